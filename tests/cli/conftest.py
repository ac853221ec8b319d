"""A pipeline whose one rule reports every ``.commit()``: the command line is tested, not the rules."""

from __future__ import annotations

import ast
import re
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sessionlint.facts.shape import FileFacts, ParseProblem
from sessionlint.findings import Beliefs, Finding, FixSafety, Place, Severity, Step, Unresolved


@dataclass(frozen=True)
class FakeRule:
    code: str
    name: str
    check: Any
    severity: Severity = Severity.ERROR
    default: bool = True
    doc: str = "A page that names MissingGreenlet."
    summary: str = "Says something."
    bad: tuple[str, ...] = ("db.commit()",)
    good: tuple[str, ...] = ("pass",)
    when_many: str = ""


BELIEFS = Beliefs(factories=("maker",), providers=("get_db",), models=("User",))


@dataclass(frozen=True)
class FakeAnalysis:
    facts: Any
    settings: Any
    beliefs: Beliefs = field(default_factory=lambda: BELIEFS)
    unresolved: tuple[Unresolved, ...] = (Unresolved(Place("app.py", 1, 1, 1, 2), "save(db)", "no such function"),)

    functions: tuple[Any, ...] = ()

    @property
    def analysed_files(self) -> int:
        return len(self.facts)

    def entry_points(self) -> list[Any]:
        return [types.SimpleNamespace(name="app.main", kind="route", place=Place("app.py", 1, 1, 1, 2))]

    def timeline(self, entry: str) -> list[Any]:
        if entry not in {"app.main", "main"}:
            raise LookupError([])
        event = types.SimpleNamespace(depth=1, place=Place("app.py", 1, 1, 1, 2), kind="commit", message="db.commit()")
        return [event]


def find_commits(analysis: FakeAnalysis) -> Iterator[Finding]:
    for facts in analysis.facts:
        text = (Path(analysis.settings.root) / facts.path).read_bytes().decode("utf-8", "replace")
        for number, line in enumerate(text.splitlines(), 1):
            for match in re.finditer(r"commit\(\)", line):
                place = Place(facts.path, number, match.start() + 1, number, match.end() + 1)
                yield Finding(
                    "SES201",
                    "commit-in-repository",
                    Severity.ERROR,
                    "`Repo.save` commits",
                    place,
                    label="here",
                    help="let the boundary commit",
                    trace=(Step(place, "it starts here"),),
                    fix=FixSafety.SAFE,
                )


def fail(analysis: FakeAnalysis) -> Iterator[Finding]:
    raise ValueError("a fault of the rule")


def extract(path: str, source: bytes) -> FileFacts | ParseProblem:
    """Facts without content, from what the running interpreter can parse."""
    try:
        ast.parse(source)
    except SyntaxError as error:
        return ParseProblem(path, error.lineno or 1, error.offset or 1, error.msg)
    except (ValueError, MemoryError) as error:
        return ParseProblem(path, 1, 1, str(error))
    return FileFacts(path, (), (), (), (), None, frozenset(), 0)


RULES = [FakeRule("SES201", "commit-in-repository", find_commits)]


@pytest.fixture(autouse=True)
def pipeline(monkeypatch: pytest.MonkeyPatch) -> list[FakeRule]:
    """The rules of the run; a test may add to the list."""
    rules = list(RULES)
    registry = types.ModuleType("sessionlint.rules.registry")
    registry.all_rules = lambda: tuple(rules)  # type: ignore[attr-defined]
    registry.codes_and_names = lambda: {rule.code: rule.name for rule in rules}  # type: ignore[attr-defined]
    registry.installed_files = list  # type: ignore[attr-defined]
    registry.more_specific = list  # type: ignore[attr-defined]
    effects = types.ModuleType("sessionlint.effects")
    effects.analyse = FakeAnalysis  # type: ignore[attr-defined]
    import sessionlint
    import sessionlint.rules

    monkeypatch.setattr("sessionlint.facts.extract", extract)
    # fixers ask a real analysis; which repairs exist is tested with them
    monkeypatch.setattr("sessionlint.run.marked", lambda findings, _analysis, _sources: findings)
    monkeypatch.setitem(sys.modules, "sessionlint.rules.registry", registry)
    monkeypatch.setitem(sys.modules, "sessionlint.effects", effects)
    monkeypatch.setattr(sessionlint.rules, "registry", registry, raising=False)
    monkeypatch.setattr(sessionlint, "effects", effects, raising=False)
    return rules
