"""The one error both front ends raise when a file cannot be read as Python; knows nothing of either."""

from __future__ import annotations

import re

_LONGEST_MESSAGE = 200


class SyntaxProblem(Exception):
    """A file that cannot be read: where (``line`` and ``column`` count from 1, columns in characters) and why.

    ``message`` is one clean line of text without position, path or trailing full stop, such as ``unexpected indent``.
    """

    def __init__(self, line: int, column: int, message: str) -> None:
        self.line = max(1, line)
        self.column = max(1, column)
        self.message = _one_clean_line(message)
        super().__init__(self.line, self.column, self.message)

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.message}"


def _one_clean_line(message: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in message)
    words = re.sub(r"\s+", " ", printable).strip().rstrip(".")
    if len(words) > _LONGEST_MESSAGE:
        words = words[: _LONGEST_MESSAGE - 3].rstrip() + "..."
    return words or "invalid syntax"
