"""Compares what `check` says with what the sanitizer met: the same fault is the same kind at a shared line or function.

The two halves cannot always name the same line: the source shows where a scope is left, the running program where the
last write was made. So findings are grouped by kind, and belong together when their functions or traces meet.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sessionlint import analyze

KINDS: Mapping[str, frozenset[str]] = {
    code: frozenset(kinds.split())
    for code, kinds in {
        "SES101": "creation",
        "SES102": "creation",
        "SES105": "creation",
        "SES106": "creation",
        "SES116": "creation",
        "SES117": "creation",
        "SES201": "commit",
        "SES301": "lost",
        "SES303": "lost",
        "SES304": "lost",
        "SES309": "lost",
        "SES320": "lost stream",
        "SES321": "lost",
        "SES402": "lost",
        "SES501": "lost stream",
        "SES502": "stream",
        "SES503": "wait",
    }.items()
}
"""What each code is about; only codes named here are compared."""

ONLY_COUNTERPARTS = frozenset({"SES116", "SES320", "SES402", "SES501"})
"""Faults of another kind, whose consequence the sanitizer meets under a code of its own, or not at all."""


@dataclass(frozen=True)
class Seen:
    """One finding of either half; ``lines`` includes those of its trace."""

    code: str
    file: str
    line: int
    function: str
    lines: frozenset[tuple[str, int]]

    def __str__(self) -> str:
        return f"{self.code} {self.file}::{self.function}"

    def is_same_fault(self, other: Seen) -> bool:
        if not KINDS[self.code] & KINDS[other.code]:
            return False
        return (self.file, self.function) == (other.file, other.function) or bool(self.lines & other.lines)


@dataclass(frozen=True)
class Comparison:
    both: int
    only_static: set[str]
    only_running: set[str]


def compare(static: list[Seen], running: list[Seen]) -> Comparison:
    """Which findings have no counterpart in the other half, by code, file and function."""
    return Comparison(
        sum(any(one.is_same_fault(other) for other in static) for one in running),
        {
            str(one)
            for one in static
            if one.code not in ONLY_COUNTERPARTS and not any(one.is_same_fault(other) for other in running)
        },
        {str(one) for one in running if not any(one.is_same_fault(other) for other in static)},
    )


def check(folder: Path) -> list[Seen]:
    """What `check` says about a folder."""
    found = []
    for one in analyze(folder).findings:
        if one.code in KINDS:
            places = (one.place, *(step.place for step in one.trace))
            lines = frozenset((place.file, place.line) for place in places)
            found.append(Seen(one.code, one.place.file, one.place.line, one.function, lines))
    return found


def run(folder: Path, script: str, environment: Mapping[str, str], *words: str) -> list[Seen]:
    """What the sanitizer meets while a script runs in a folder."""
    report = folder / "met.json"
    command = [sys.executable, "-B", "-m", "sessionlint.runtime.sanitizer", "--json", str(report), *words, script]
    done = subprocess.run(
        command, cwd=folder, env=dict(environment), capture_output=True, text=True, timeout=300, check=False
    )
    assert report.is_file(), done.stderr[-3000:]
    found = []
    for row in json.loads(report.read_text(encoding="utf-8"))["findings"]:
        if row["code"] in KINDS:
            steps = [row, *row.get("trace", ())]
            lines = frozenset((step["file"], step["line"]) for step in steps)
            found.append(Seen(row["code"], row["file"], row["line"], row["function"], lines))
    return found
