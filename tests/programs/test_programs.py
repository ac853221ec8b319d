"""Runs every program of this folder and compares all findings with the marks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sessionlint.testing import check_example, split_example

PROGRAMS = sorted(Path(__file__).parent.glob("*.txt"))
_ALLOWED = re.compile(r"\?\s*(SES\d{3})")

Mark = tuple[str, int, str]


def marks(text: str) -> tuple[set[Mark], set[Mark]]:
    """(findings that must be reported, findings that may be) as file, line, code."""
    wanted: set[Mark] = set()
    allowed: set[Mark] = set()
    for file, content in split_example(text).items():
        for number, line in enumerate(content.split("\n"), 1):
            comment = line.partition("  #")[2]
            optional = set(_ALLOWED.findall(comment))
            allowed |= {(file, number, code) for code in optional}
            wanted |= {(file, number, code) for code in re.findall(r"SES\d{3}", comment) if code not in optional}
    return wanted, allowed


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.stem)
def test_findings_are_the_marked_ones(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    wanted, allowed = marks(text)
    got = set(check_example(text, every_rule=False))
    missed = sorted(wanted - got)
    extra = sorted(got - wanted - allowed)
    assert not missed and not extra, f"{path.stem}\n  missed: {missed}\n  not marked: {extra}"


def test_there_are_programs() -> None:
    assert len(PROGRAMS) >= 20
