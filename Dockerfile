# docker build -t sessionlint . && docker run --rm -v "$PWD:/code" sessionlint
FROM python:3.12-slim

# git: for --diff-base; the mounted project belongs to another user
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/* \
    && git config --system --add safe.directory '*'

COPY pyproject.toml README.md LICENSE CHANGELOG.md /src/
COPY sessionlint /src/sessionlint
RUN pip install --no-cache-dir /src && rm -rf /src

WORKDIR /code
ENTRYPOINT ["sessionlint"]
CMD ["check", "--no-cache"]
