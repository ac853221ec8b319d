"""What the sanitizer says: a violation with its place, under the code and name of the static rule where there is one.

Two codes exist only at run time, because no reading of the source can measure them: ``SES290`` and ``SES590``.
"""

from __future__ import annotations

import linecache
from dataclasses import dataclass, field
from typing import NamedTuple

NAMES = {
    "SES101": "session-created-outside-factory-module",
    "SES102": "own-session-in-callee",
    "SES105": "async-for-over-session-dependency",
    "SES106": "next-on-session-dependency",
    "SES117": "session-dependency-not-transparent",
    "SES201": "commit-in-repository",
    "SES290": "too-many-commits-per-request",
    "SES301": "write-without-commit",
    "SES304": "write-after-last-commit",
    "SES502": "yield-inside-transaction",
    "SES503": "io-inside-transaction",
    "SES590": "transaction-open-too-long",
}
"""Code to name of all that can be said. A test holds the names equal to those of the rule files."""


class Spot(NamedTuple):
    """A line of the project: ``file`` relative to the root with forward slashes, 1-based ``line``.

    ``function`` is the dotted qualified name inside the file, empty at module level.
    """

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Step(NamedTuple):
    """One link of the chain a reader needs to believe a violation."""

    spot: Spot
    message: str


@dataclass
class Violation:
    """One fault at one place; ``count`` says how often it was met, ``met_in`` by which tests (the first few)."""

    code: str
    message: str
    spot: Spot
    trace: tuple[Step, ...] = ()
    statement: str = ""
    count: int = 1
    met_in: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return NAMES[self.code]

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What stays when lines move: code, file, function and the text of the statement."""
        return (self.code, self.spot.file, self.spot.function, self.statement)

    def render(self) -> str:
        """The violation as the concise report of ``check`` prints it, with the trace below."""
        head = f"{self.spot}: {self.code} [{self.name}] {self.message}"
        return "\n".join([head, *(f"    {step.spot}: {step.message}" for step in self.trace)])


def statement_at(path: str, line: int) -> str:
    """The text of a source line without surrounding or repeated white space, and without its comment."""
    text = " ".join(linecache.getline(path, line).split())
    return text.partition("  #")[0].partition(" # ")[0].strip()
