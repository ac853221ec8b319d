# Two commands: `make demo` shows findings on a small service, `make test` proves the project.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test clean
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
	$(BIN)/python -m pytest

clean:
	rm -rf $(VENV) .sessionlint_cache .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
