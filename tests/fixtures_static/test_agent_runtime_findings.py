"""The main fixture, checked: every marked fault is found, and nothing is found on a line that is fine.

The marks are those of the evaluation cases: ``# expect: CODE``, ``# expect?: CODE#group``, ``# ok: CODE``.
"""

from __future__ import annotations

import re
import shutil
from collections import defaultdict
from pathlib import Path

import pytest
import tomli

from sessionlint import analyze
from sessionlint.rules.registry import codes_and_names

FIXTURE = Path(__file__).parents[2] / "fixtures" / "agent_runtime"
_MARK = re.compile(r"#\s*(expect\??|ok):\s*([^#]*?(?:SES\d{3}(?:#\w+)?[,\s]*)+)")
_CODE = re.compile(r"(SES\d{3})(?:#(\w+))?")

Spot = tuple[str, int, str]


class Marks:
    """All marks of the fixture for the rules that exist."""

    def __init__(self, known: set[str]) -> None:
        self.expected: set[Spot] = set()
        self.tolerated: set[Spot] = set()
        self.fine: set[Spot] = set()
        self.groups: dict[str, set[Spot]] = defaultdict(set)
        for path in FIXTURE.rglob("*.py"):
            name = path.relative_to(FIXTURE).as_posix()
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                for kind, codes in _MARK.findall(line):
                    for code, group in _CODE.findall(codes):
                        if code in known:
                            self._add(kind, (name, number, code), group)

    def _add(self, kind: str, spot: Spot, group: str) -> None:
        if kind == "ok":
            self.fine.add(spot)
            return
        (self.expected if kind == "expect" and not group else self.tolerated).add(spot)
        if group:
            self.groups[f"{spot[2]}#{group}"].add(spot)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> set[Spot]:
    copy = tmp_path_factory.mktemp("fixture") / "agent_runtime"
    shutil.copytree(FIXTURE, copy, ignore=shutil.ignore_patterns("__pycache__", "*.db*", ".sessionlint_cache"))
    return {(f.place.file, f.place.line, f.code) for f in analyze(copy).findings}


@pytest.fixture(scope="module")
def marks() -> Marks:
    return Marks(set(codes_and_names()))


def _near(spot: Spot, found: set[Spot]) -> bool:
    file, line, code = spot
    return any((file, line + off, code) in found for off in (0, -1, 1))


def test_every_expected_finding_is_reported(marks: Marks, found: set[Spot]) -> None:
    assert [spot for spot in sorted(marks.expected) if not _near(spot, found)] == []


def test_every_group_is_hit(marks: Marks, found: set[Spot]) -> None:
    known = codes_and_names()
    wanted = tomli.loads((FIXTURE / "case.toml").read_text(encoding="utf-8")).get("any_of", [])
    missed = []
    for group in wanted:
        names = [name for name in group if name.partition("#")[0] in known]
        spots = {spot for name in names for spot in marks.groups[name]}
        if names and not any(_near(spot, found) for spot in spots):
            missed.append(group)
    assert missed == []


def test_nothing_is_reported_on_fine_or_unmarked_lines(marks: Marks, found: set[Spot]) -> None:
    right = marks.expected | marks.tolerated
    assert [spot for spot in sorted(found) if spot in marks.fine or not _near(spot, right)] == []
