"""``pytest --sessionlint-sanitize``: the run-time sanitizer around a test run.

Loaded into every pytest run of an environment that has sessionlint installed, so this file imports nothing beyond
pytest; what the option needs lives in ``pytest_session``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sessionlint.integrations.pytest_session import SanitizedRun

_RUN = "sessionlint-run"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("sessionlint", "SQLAlchemy session sanitizer")
    group.addoption(
        "--sessionlint-sanitize",
        nargs="?",
        const="fail",
        default=None,
        choices=("fail", "report"),
        help="watch sessions and transactions while the tests run; `fail` (default) fails each test that meets a new "
        "violation, `report` only lists them at the end",
    )
    group.addoption("--sessionlint-todo", metavar="FILE", help="file of known violations, which fail nothing")
    group.addoption(
        "--sessionlint-update-todo", action="store_true", help="write what this run meets to the to-do file"
    )
    group.addoption("--sessionlint-json", metavar="FILE", help="write the violations as JSON")
    group.addoption(
        "--sessionlint-max-transaction-ms", type=float, metavar="MS", help="longest transaction (default 500)"
    )
    group.addoption(
        "--sessionlint-max-commits", type=int, metavar="N", help="most commits in one HTTP request (default 5)"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    # Before the first conftest.py: the files that define session factories are seen when they are imported.
    if early_config.known_args_namespace.sessionlint_sanitize:
        _begin(early_config)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "sessionlint_allow(*codes): the sanitizer reports none of these in this test")
    config.addinivalue_line("markers", "allow_long_transaction: the sanitizer accepts long transactions in this test")
    # Worker processes and plugins given with -p see no early hook.
    if config.getoption("sessionlint_sanitize") and not config.pluginmanager.has_plugin(_RUN):
        _begin(config)


def _begin(config: pytest.Config) -> None:
    from sessionlint.integrations.pytest_session import SanitizedRun

    run: SanitizedRun = SanitizedRun(config)
    config.pluginmanager.register(run, _RUN)


@pytest.fixture
def db_sanitizer(request: pytest.FixtureRequest) -> object:
    """The running ``Sanitizer``; skips the test where ``--sessionlint-sanitize`` is not given."""
    run = request.config.pluginmanager.get_plugin(_RUN)
    if run is None:
        pytest.skip("needs --sessionlint-sanitize")
    return run.sanitizer
