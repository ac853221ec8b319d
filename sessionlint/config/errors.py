"""Faults in a configuration file: each with its place and a next step, all raised together.

Must not print; the command line does.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NamedTuple


class ConfigProblem(NamedTuple):
    """One fault; line and column are 1-based, ``line`` 0 means that the fault has no place in a file."""

    file: str
    line: int
    column: int
    length: int
    message: str
    hint: str
    source_line: str

    def render(self) -> str:
        """The fault as text: message, place, the guilty line with carets, and what to do."""
        head = f"error: {self.message}"
        if not self.line:
            where = f"\n --> {self.file}" if self.file else ""
            return head + where + (f"\n{self.hint}" if self.hint else "")
        number = str(self.line)
        pad = " " * len(number)
        lead = "".join("\t" if char == "\t" else " " for char in self.source_line[: self.column - 1])
        carets = lead + "^" * self.length + (f" {self.hint}" if self.hint else "")
        return (
            f"{head}\n{pad}--> {self.file}:{self.line}:{self.column}\n"
            f"{pad} |\n{number} | {self.source_line}\n{pad} | {carets}"
        )


class ConfigErrors(Exception):
    """All faults of a configuration at once."""

    def __init__(self, problems: Iterable[ConfigProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n\n".join(problem.render() for problem in self.problems))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``did you mean `x`?`` for the nearest known word, else an empty text."""
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.6)
    return f"did you mean `{by_lower[close[0]]}`?" if close else ""
