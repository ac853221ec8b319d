"""Runs rules on examples: for this project's own rule files and for users' own rules.

An example is a text of one or several files; ``# --- app/repo.py ---`` starts a file (and belongs to none), and
``# SES201`` at the end of a line marks it as guilty.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

_HEADER = re.compile(r"#\s*---\s*(\S+)\s*---\s*$")


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


def check_example(text: str, *, every_rule: bool = True) -> list[tuple[str, int, str]]:
    """(file, line, code) of every finding on an example, of all rules or of the default ones. Nothing of it is run."""
    from sessionlint.api import report_on
    from sessionlint.selection import CommandLine

    with tempfile.TemporaryDirectory(prefix="sessionlint-example-") as folder:
        root = Path(folder)
        for name, content in split_example(text).items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        report = report_on(root, command_line=CommandLine(select=("ALL",) if every_rule else ()))
    return [(f.place.file, f.place.line, f.code) for f in report.findings]
