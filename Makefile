# Two commands: `make demo` shows findings on a small service, `make test` proves the project.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test test-matrix docs site clean
.DELETE_ON_ERROR:

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/.installed

# Exit code 1 means findings, and the demo is there to show some.
demo: $(VENV)/.installed
	$(BIN)/sessionlint check fixtures/agent_runtime || test $$? -eq 1

# ruff, ruff format, mypy and import-linter run as tests (tests/architecture), so the last line is pytest's own summary.
test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n 2 --dist loadgroup

# Run after a change to a rule, an option or a command: writes docs/rules, the tables and the changelog's list.
docs: $(VENV)/.installed-dev
	$(BIN)/python tools/make_docs.py

site: docs
	$(BIN)/python -m mkdocs build --strict

# The runtime's tests in environments of their own. The name of one holds its versions: sa2.0-fastapi0.115. "latest" is
# the newest of 2.1 or of FastAPI; anyio and Starlette follow FastAPI.
MATRIX ?= sa2.0-fastapi0.115 sa2.1-fastapi0.117 sa2.0-fastapi0.118 sa2.0-fastapilatest sa2.1-fastapilatest
MATRIX_DIR ?= .venvs

$(MATRIX_DIR)/%/.installed: pyproject.toml
	$(PYTHON) -m venv $(MATRIX_DIR)/$*
	$(MATRIX_DIR)/$*/bin/python -m pip install --quiet --disable-pip-version-check -e '.[runtime-tests]' \
		'sqlalchemy==$(patsubst sa%,%,$(word 1,$(subst -, ,$*))).*' \
		$(if $(findstring latest,$*),fastapi,'fastapi==$(patsubst fastapi%,%,$(word 2,$(subst -, ,$*))).*')
	@touch $@

.PHONY: $(MATRIX:%=test-matrix-%)
$(MATRIX:%=test-matrix-%): test-matrix-%: $(MATRIX_DIR)/%/.installed
	@$(MATRIX_DIR)/$*/bin/python -c "import fastapi, sqlalchemy, starlette; print('SQLAlchemy', sqlalchemy.__version__, \
		'FastAPI', fastapi.__version__, 'Starlette', starlette.__version__)"
	$(MATRIX_DIR)/$*/bin/python -m pytest -q tests/runtime

test-matrix: $(MATRIX:%=test-matrix-%)

clean:
	rm -rf $(VENV) $(MATRIX_DIR) site .sessionlint_cache .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
