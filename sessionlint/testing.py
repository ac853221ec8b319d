"""Runs rules on examples: for this project's own rule files and for users' own rules.

An example is a text of one or several files; ``# --- app/repo.py ---`` starts a file (and belongs to none), and
``# SES201`` at the end of a line marks it as guilty.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from types import ModuleType

_HEADER = re.compile(r"#\s*---\s*(\S+)\s*---\s*$")
_MARKER = re.compile(r"#\s*([A-Z]{3}\d{3}(?:\s*,\s*[A-Z]{3}\d{3})*)\s*$")


def split_example(text: str) -> dict[str, str]:
    """File name to content; what stands before the first header is ``example.py``."""
    files: dict[str, list[str]] = {}
    current = "example.py"
    for line in text.strip("\n").split("\n"):
        header = _HEADER.match(line.strip())
        if header:
            current = header[1]
            files.setdefault(current, [])
        else:
            files.setdefault(current, []).append(line)
    if not any(line.strip() for line in files.get("example.py", ())):
        files.pop("example.py", None)
    return {name: "\n".join(lines) + "\n" for name, lines in files.items()}


def check_example(text: str, *rules: ModuleType, every_rule: bool = True) -> list[tuple[str, int, str]]:
    """(file, line, code) of every finding on an example, of all rules or of the default ones. Nothing of it is run.

    ``rules`` are modules of rules that need not be registered.
    """
    from sessionlint.api import report_on
    from sessionlint.rules import registry
    from sessionlint.selection import CommandLine

    known = registry.codes_and_names()
    extra = tuple(rule for rule in map(registry.rule_of, rules) if rule.code not in known)
    with tempfile.TemporaryDirectory(prefix="sessionlint-example-") as folder:
        root = Path(folder)
        for name, content in split_example(text).items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        words = CommandLine(select=("ALL",) if every_rule else ())
        report = report_on(root, command_line=words, extra_rules=extra)
    return [(f.place.file, f.place.line, f.code) for f in report.findings]


def marked_lines(text: str, code: str) -> list[tuple[str, int]]:
    """(file, line) of every line of an example that ends with a marker of ``code``."""
    return sorted(
        (name, number)
        for name, content in split_example(text).items()
        for number, line in enumerate(content.splitlines(), 1)
        if (marker := _MARKER.search(line)) and code in re.split(r"\s*,\s*", marker[1])
    )


def check_rule(rule: ModuleType) -> None:
    """Hold a rule's module to its own examples: every marked line of ``BAD`` is reported, and no other line at all.

    ``rule`` is a module like those of ``sessionlint.rules``, whether it is registered as an entry point or not. Raises
    ``AssertionError`` that lists expected and reported lines side by side.
    """
    from sessionlint.rules import registry

    described = registry.rule_of(rule)
    assert described.bad and described.good, f"{described.code} needs BAD and GOOD examples"
    for kind, texts in (("BAD", described.bad), ("GOOD", described.good)):
        for number, text in enumerate(texts, 1):
            expected = marked_lines(text, described.code)
            assert bool(expected) == (kind == "BAD"), f"{kind} example {number}: BAD has marked lines, GOOD has none"
            found = check_example(text, rule)
            got = sorted((file, line) for file, line, code in found if code == described.code)
            assert got == expected, _side_by_side(f"{described.code} {kind} example {number}", text, expected, got)


def _side_by_side(title: str, text: str, expected: list[tuple[str, int]], got: list[tuple[str, int]]) -> str:
    files = {name: content.splitlines() for name, content in split_example(text).items()}
    rows = [title, f"  {'expected':<10}{'got':<10}place"]
    for file, line in sorted({*expected, *got}):
        lines = files.get(file, [])
        source = lines[line - 1].strip() if 0 < line <= len(lines) else "(no such line)"
        here = (file, line)
        rows.append(f"  {'x' if here in expected else '':<10}{'x' if here in got else '':<10}{file}:{line}  {source}")
    return "\n".join(rows)
