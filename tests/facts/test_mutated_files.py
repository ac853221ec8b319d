"""Whatever becomes of a real file, it gives facts or one problem at a place inside it, the same each time."""

from __future__ import annotations

import pickle

from hypothesis import HealthCheck, given, settings

from sessionlint.facts import FileFacts, ParseProblem, extract
from tests.facts.mutated_files import MUTATED


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(mutated=MUTATED)
def test_facts_or_one_problem(mutated: tuple[str, str]):
    name, text = mutated
    found = extract(name, text.encode("utf-8"))
    assert found == extract(name, text.encode("utf-8"))
    assert found.path == name
    if isinstance(found, FileFacts):
        assert pickle.loads(pickle.dumps(found)) == found
        return
    assert isinstance(found, ParseProblem)
    lines = text.split("\n")
    assert 1 <= found.line <= len(lines) + 1
    assert 1 <= found.column <= len([*lines, ""][found.line - 1]) + 1
    assert found.message and found.message.isprintable()
