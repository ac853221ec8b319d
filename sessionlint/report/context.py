"""What a reporter may know besides the report: where paths start, colours, and the lines of a file.

Also the two lines of text hygiene every format needs. Must not read files itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def _no_lines(_file: str) -> Sequence[str]:
    return ()


@dataclass(frozen=True)
class Context:
    """``lines`` gives the lines of a file (path relative to the root) without line ends."""

    root: str = "."
    cwd: str = "."
    lines: Callable[[str], Sequence[str]] = _no_lines
    colour: bool = False
    full_path: bool = False
    version: str = ""
    workspace: str = ""

    def shown(self, file: str) -> str:
        """The path as the user would type it: relative to the working directory."""
        if not file:
            return ""
        try:
            relative = os.path.relpath(os.path.join(self.root, file), self.cwd)
        except ValueError:  # another drive
            relative = os.path.join(self.root, file)
        return printable(relative.replace(os.sep, "/"))

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
