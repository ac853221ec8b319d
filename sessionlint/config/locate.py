"""Where keys and values stand in a TOML text; the TOML libraries do not say.

Reads only texts that a TOML parser has accepted. Must not judge values.
"""

from __future__ import annotations

import re
from typing import NamedTuple

Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_\-]+")
_STRINGS = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|' + r"'''.*?'{3,5}|" + r'"(?:\\.|[^"\\\n])*"|' + r"'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]\}\s#]+(?: \d[^,\]\}\s#]*)?")


class Spot(NamedTuple):
    """A piece of the text: 1-based line and column, length in characters."""

    line: int
    column: int
    length: int


class Spots(NamedTuple):
    """Where each key and each value (array elements by index) of a text stands."""

    keys: dict[Path, Spot]
    values: dict[Path, Spot]


def locate(text: str) -> Spots:
    """Find every key and value; what cannot be followed is simply missing from the answer."""
    reader = _Reader(text)
    try:
        reader.document()
    except (IndexError, ValueError):
        pass  # positions found so far still help; the caller falls back to line 1
    return Spots(reader.keys, reader.values)


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.keys: dict[Path, Spot] = {}
        self.values: dict[Path, Spot] = {}
        self.arrays: dict[Path, int] = {}

    def spot(self, start: int, end: int) -> Spot:
        line_start = self.text.rfind("\n", 0, start) + 1
        newline = self.text.find("\n", start, end)
        return Spot(
            self.text.count("\n", 0, start) + 1,
            start - line_start + 1,
            max(1, (end if newline < 0 else newline) - start),
        )

    def skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def expect(self, token: str) -> None:
        if not self.text.startswith(token, self.at):
            raise ValueError(token)
        self.at += len(token)

    def document(self) -> None:
        table: Path = ()
        while True:
            self.skip(_BLANK)
            if self.at >= len(self.text):
                return
            if self.text[self.at] == "[":
                table = self.header()
            else:
                self.pair(table)

    def header(self) -> Path:
        double = self.text.startswith("[[", self.at)
        self.at += 2 if double else 1
        path = self.key(())
        if double:
            index = self.arrays.get(path, -1) + 1
            self.arrays[path] = index
            path = (*path, index)
        self.expect("]]" if double else "]")
        return path

    def key(self, table: Path) -> Path:
        path = table
        while True:
            self.skip(_SPACE)
            match = _STRINGS.match(self.text, self.at) or _BARE.match(self.text, self.at)
            if match is None:
                raise ValueError("key")
            word = match.group()
            path = (*path, word[1:-1] if word[0] in "\"'" else word)
            self.keys.setdefault(path, self.spot(match.start(), match.end()))
            self.at = match.end()
            self.skip(_SPACE)
            if self.text[self.at : self.at + 1] != ".":
                return path
            self.at += 1

    def pair(self, table: Path) -> None:
        path = self.key(table)
        self.expect("=")
        self.skip(_SPACE)
        self.value(path)

    def value(self, path: Path) -> None:
        start = self.at
        first = self.text[self.at]
        if first == "[":
            self.at += 1
            self.array(path)
        elif first == "{":
            self.at += 1
            self.inline_table(path)
        else:
            match = _STRINGS.match(self.text, self.at) or _SCALAR.match(self.text, self.at)
            if match is None:
                raise ValueError("value")
            self.at = match.end()
        self.values[path] = self.spot(start, self.at)

    def array(self, path: Path) -> None:
        index = 0
        while True:
            self.skip(_BLANK)
            if self.text[self.at] == "]":
                self.at += 1
                return
            self.value((*path, index))
            index += 1
            self.skip(_BLANK)
            if self.text[self.at] == ",":
                self.at += 1

    def inline_table(self, path: Path) -> None:
        while True:
            self.skip(_BLANK)
            if self.text[self.at] == "}":
                self.at += 1
                return
            self.pair(path)
            self.skip(_BLANK)
            if self.text[self.at] == ",":
                self.at += 1
