"""The service of the guide: its container stops remembering sessions and its streams get units of work."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from sessionlint.extraction import with_deep_stack
from sessionlint.fixes.engine import Means, repair
from sessionlint.fixes.migrate.unit_of_work import propose
from tests.fixes.project import fixed, programmed

_SERVICE = Path(__file__).parents[2] / "fixtures" / "agent_runtime"
#: what a reviewer would have written: the files that the migration changes
_MIGRATED = Path(__file__).parent / "agent_runtime"
_REPAIRED = ("memoised_session_service_loses_second_chat", "stream_starts_before_the_parent_is_committed",
             "function_scope_stream_loses_the_row")  # fmt: skip
_FINE = ("streams_that_commit", "export_without_a_connection", "exceptions_caught_outside", "unit_of_work_is_passed_on")


def test_streams_of_the_service(tmp_path: Path) -> None:
    sources = {
        str(path.relative_to(_SERVICE)): path.read_bytes()
        for path in sorted(_SERVICE.rglob("*.py"))
        if "__pycache__" not in path.parts
    }
    early = with_deep_stack(lambda: propose(programmed(sources), lambda one: one.function.name == "process_message"))
    assert [refusal.reason.rpartition(";")[2] for refusal in early.refusals] == [" repair that first (SES115)"]
    repaired = with_deep_stack(lambda: fixed(sources, only="SES115").after)
    means = Means(programmed, lambda _finding: False, unsafe=True, propose=lambda p: propose(p, lambda _entry: True))
    outcome = with_deep_stack(lambda: repair(repaired, means))
    assert [refusal.reason for refusal in outcome.refused] == []
    got = {file: source.decode() for file, source in outcome.changed.items()}
    wanted = {str(p.relative_to(_MIGRATED)).removesuffix(".txt"): p.read_text() for p in _MIGRATED.rglob("*.txt")}
    for file in sorted(got | wanted):
        assert got.get(file) == wanted.get(file), file
    before, after = _shown(_SERVICE), _shown(_written(tmp_path, outcome.after.sources))
    assert {name: before[name] for name in _REPAIRED} == dict.fromkeys(_REPAIRED, True), "the faults show"
    assert {name: after[name] for name in _REPAIRED} == dict.fromkeys(_REPAIRED, False), "and are gone"
    assert {name: after[name] for name in _FINE} == dict.fromkeys(_FINE, True), "what worked works"


def _written(folder: Path, sources: Mapping[str, bytes]) -> Path:
    root = folder / "service"
    shutil.copytree(_SERVICE, root, ignore=shutil.ignore_patterns("__pycache__"))
    for file, source in sources.items():
        (root / file).write_bytes(source)
    return root


def _shown(root: Path) -> dict[str, bool]:
    """Which checks of the driver show what they say."""
    words = [word for name in (*_REPAIRED, *_FINE) for word in ("--only", name)]
    ran = subprocess.run(
        [sys.executable, "driver.py", "--json", *words],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return {one["name"]: one["shown"] for one in json.loads(ran.stdout)}
