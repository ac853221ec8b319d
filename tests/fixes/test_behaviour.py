"""Repairs keep behaviour: programs made at random are run before and after on a database.

A run that fails before may leave less afterwards (its half of a transaction is no longer permanent), never what was not
written; a run that succeeds leaves all it left before, and exactly that where nothing lost was repaired.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fixes.generated_work import programs, run
from tests.fixes.project import fixed

#: findings whose repair keeps what was lost before
_LOSSES = {"SES105", "SES106", "SES301", "SES303", "SES304", "SES309", "SES320", "SES321"}


@pytest.mark.parametrize("unsafe", [False, True], ids=["safe", "unsafe"])
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(files=programs())
def test_rows_and_exceptions(unsafe: bool, files: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> None:
    outcome = fixed(files, unsafe=unsafe)
    after = {file: source.decode() for file, source in outcome.after.sources.items()}
    for text in after.values():
        ast.parse(text)
    assert files["app/work.py"].count("# row") == after["app/work.py"].count("# row"), "a comment is lost"
    if not outcome.changed:
        return
    repaired = {f.code for repair in outcome.applied for g in repair.groups for f in g.findings}
    database = Path(tmp_path_factory.mktemp("work")) / "work.db"
    for flag in (False, True):
        old, new = run(files, database, flag), run(after, database, flag)
        if old.error == "OperationalError":
            continue  # two sessions that wait for each other: the fault itself
        assert new.error == old.error, _shown(files, after, flag, old, new)
        if old.error:
            assert set(new.rows) <= _tags(files), _shown(files, after, flag, old, new)
            continue
        missing = [row for row in old.rows if old.rows.count(row) > new.rows.count(row)]
        assert not missing, _shown(files, after, flag, old, new)
        if not repaired & _LOSSES:
            assert new.rows == old.rows, _shown(files, after, flag, old, new)
    assert not fixed(after, unsafe=unsafe).changed, "a second run changes something"


def _tags(files: dict[str, str]) -> set[str]:
    return {part.split('"')[0] for part in files["app/work.py"].split('tag="')[1:]}


def _shown(before: dict[str, str], after: dict[str, str], flag: bool, old: object, new: object) -> str:
    return f"main({flag})\n{old}\n{new}\n--- before\n{before['app/work.py']}\n--- after\n{after['app/work.py']}"
