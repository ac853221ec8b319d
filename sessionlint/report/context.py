"""What a reporter may know besides the report: where paths start, colours, and the lines of a file.

Also the two lines of text hygiene every format needs. Must not read files itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sessionlint.findings import Severity

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def _no_lines(_file: str) -> Sequence[str]:
    return ()


def _no_rules() -> Sequence[RuleText]:
    return ()


@dataclass(frozen=True)
class RuleText:
    """What a report may say about a rule; ``page`` is Markdown, ``when_many`` what to do first about hundreds."""

    code: str
    name: str
    severity: Severity
    summary: str
    page: str
    when_many: str = ""


@dataclass(frozen=True)
class Context:
    """``lines`` gives the lines of a file (path relative to the root) without line ends.

    ``repository`` is the folder that a forge shows, at or above ``root``; ``rules`` gives all rules that could report.
    """

    root: str = "."
    cwd: str = "."
    lines: Callable[[str], Sequence[str]] = _no_lines
    colour: bool = False
    full_path: bool = False
    version: str = ""
    workspace: str = ""
    repository: str = ""
    rules: Callable[[], Sequence[RuleText]] = _no_rules

    def shown(self, file: str) -> str:
        """The path as the user would type it, made printable: relative to the working directory."""
        return printable(self.typed(file))

    def typed(self, file: str) -> str:
        """The path relative to the working directory, as it is."""
        return self._relative(file, self.cwd)

    def in_repository(self, file: str) -> str:
        """The path relative to the repository, as forges want it."""
        return self._relative(file, self.repository or self.root)

    def _relative(self, file: str, base: str) -> str:
        if not file:
            return ""
        path = os.path.join(self.root, file)
        try:
            path = os.path.relpath(path, base)
        except ValueError:  # another drive
            pass
        return path.replace(os.sep, "/")

    def paint(self, text: str, style: str) -> str:
        """``text`` in a rich style when colours are on."""
        if not self.colour or not text:
            return text
        from rich.color import ColorSystem
        from rich.style import Style

        return Style.parse(style).render(text, color_system=ColorSystem.STANDARD)


def printable(text: str) -> str:
    """One line of text: line breaks and control characters (escape sequences too) are written out."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def count(number: int, one: str, many: str = "") -> str:
    """``1 finding``, ``2 findings``, ``0 factories``."""
    return f"{number} {one if number == 1 else many or one + 's'}"
