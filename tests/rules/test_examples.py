"""Each rule's examples are its tests: every line marked with the rule's code is reported, and no other.

A BAD or GOOD example is the text of one or more files::

    # --- app/repo.py ---
    ...
    await self._db.commit()  # SES201

The header line belongs to no file: the line after it is line 1. Blank lines between files are nobody's either.
Findings of other rules are ignored here; they have examples of their own.
"""

from __future__ import annotations

import ast
import importlib
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

_RULES = Path(__file__).parent.parent.parent / "sessionlint" / "rules"
_RULE = re.compile(r"ses\d{3}_[a-z0-9_]+")
_HEADER = re.compile(r"# --- (\S+) ---")
_MARKER = re.compile(r"#\s*(SES\d{3}(?:\s*,\s*SES\d{3})*)\s*$")
_HEADINGS = (
    "## What it does",
    "## Why is this bad",
    "## Instead",
    "## Fix safety",
    "## Options",
    "## Symptom at run time",
    "## References",
)
_NAMES = sorted(path.stem for path in _RULES.glob("*.py") if _RULE.fullmatch(path.stem))
EACH_RULE = pytest.mark.parametrize("name", _NAMES)


@dataclass(frozen=True)
class Example:
    rule: str
    kind: str  # BAD or GOOD
    number: int
    text: str

    @property
    def code(self) -> str:
        return self.rule.partition("_")[0].upper()


def _written(name: str) -> dict[str, object]:
    """The literals a rule file assigns at its top: read, not imported, so that one broken file breaks no other test."""
    tree = ast.parse((_RULES / f"{name}.py").read_text(encoding="utf-8"))
    literals: dict[str, object] = {"__doc__": ast.get_docstring(tree)}
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            try:
                literals[statement.targets[0].id] = ast.literal_eval(statement.value)
            except ValueError:
                literals[statement.targets[0].id] = ast.unparse(statement.value)
    return literals


def _texts(name: str, kind: str) -> tuple[str, ...]:
    written = _written(name).get(kind)
    return written if isinstance(written, tuple) else ()


def _examples() -> list[Example]:
    return [
        Example(name, kind, number, text)
        for name in _NAMES
        for kind in ("BAD", "GOOD")
        for number, text in enumerate(_texts(name, kind), start=1)
    ]


EACH_EXAMPLE = pytest.mark.parametrize(
    "example", [pytest.param(example, id=f"{example.rule}-{example.kind}{example.number}") for example in _examples()]
)


def split(text: str) -> dict[str, list[str]]:
    """File name -> its lines, in the order of the text."""
    files: dict[str, list[str]] = {}
    lines: list[str] | None = None
    for line in text.splitlines():
        header = _HEADER.fullmatch(line.strip())
        if header is not None:
            assert header.group(1) not in files, f"two files are called {header.group(1)}"
            lines = files[header.group(1)] = []
        elif lines is not None:
            lines.append(line)
        else:
            assert not line.strip(), f"an example begins with a header, not with {line!r}"
    return files


def marked(text: str, code: str) -> list[tuple[str, int]]:
    """(file, 1-based line) of every line that ends with a marker of `code`."""
    return sorted(
        (file, number)
        for file, lines in split(text).items()
        for number, line in enumerate(lines, start=1)
        if (marker := _MARKER.search(line)) and code in re.split(r"\s*,\s*", marker.group(1))
    )


@EACH_EXAMPLE
def test_example_is_reported_as_marked(example: Example) -> None:
    testing = importlib.import_module("sessionlint.testing")
    expected = marked(example.text, example.code)
    got = sorted((file, line) for file, line, code in testing.check_example(example.text) if code == example.code)
    assert got == expected, _side_by_side(example, expected, got)


@EACH_EXAMPLE
def test_example_is_well_formed(example: Example) -> None:
    files = split(example.text)
    assert files, "an example has at least one file"
    assert bool(marked(example.text, example.code)) == (example.kind == "BAD"), "BAD is marked, GOOD is not"
    if example.code != "SES001" or example.kind == "GOOD":
        for file, lines in files.items():
            compile("\n".join(lines), file, "exec")


@EACH_RULE
def test_rule_file_is_complete(name: str) -> None:
    written = _written(name)
    documentation = str(written["__doc__"] or "")
    summary = documentation.partition("\n")[0]
    assert summary.endswith("."), f"the first line is the summary, one sentence: {summary!r}"
    places = [documentation.find(f"\n{heading}\n") for heading in _HEADINGS]
    missing = [heading for heading, place in zip(_HEADINGS, places, strict=True) if place < 0]
    assert not missing, f"headings missing: {missing}"
    assert places == sorted(places), f"headings stand in this order: {_HEADINGS}"
    assert _texts(name, "BAD") and _texts(name, "GOOD"), "BAD and GOOD are tuples of literal strings"
    assert isinstance(written.get("DEFAULT"), bool), "DEFAULT is True or False"
    assert str(written.get("SEVERITY")).startswith("Severity."), "SEVERITY is a member of Severity"


def _side_by_side(example: Example, expected: list[tuple[str, int]], got: list[tuple[str, int]]) -> str:
    files = split(example.text)
    rows = [f"{example.code} {example.kind} example {example.number}", f"  {'expected':<10}{'got':<10}place"]
    for file, line in sorted({*expected, *got}):
        lines = files.get(file, [])
        source = lines[line - 1].strip() if 0 < line <= len(lines) else "(no such line)"
        here = (file, line)
        rows.append(f"  {'x' if here in expected else '':<10}{'x' if here in got else '':<10}{file}:{line}  {source}")
    return "\n".join(rows)
