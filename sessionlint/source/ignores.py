"""Put suppression comments into a source text: for taking over a rule in a project that has many findings.

Pure. Must not judge findings; the text it gives means the same to Python as before, or it raises.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Mapping
from typing import NamedTuple

WIDEST = 88
"""Longest line a trailing comment may make: the default of black and ruff."""


class CannotIgnore(Exception):
    """The text cannot take comments; the message says why."""


class _Layout(NamedTuple):
    open_ends: frozenset[int]  # rows after which a comment may stand
    logical: tuple[tuple[int, int], ...]  # first and last row of each logical line


def with_ignores(text: str, wanted: Mapping[int, Iterable[str]], reason: str) -> str:
    """``text`` with one ``# sessionlint: ignore[...] -- reason`` for each line (1-based) and its codes.

    The comment trails the line where it fits and where Python allows one, else it stands above the logical line.
    Raises ``CannotIgnore``.
    """
    layout = _layout(text)
    lines = _split(text)
    above: dict[int, list[str]] = {}
    for row, codes in wanted.items():
        comment = f"# sessionlint: ignore[{', '.join(sorted(set(codes)))}] -- {reason}"
        body = lines[row - 1].rstrip("\r\n")
        end = lines[row - 1][len(body) :]
        trailing = f"{body.rstrip()}  {comment}"
        place = _above(row, layout)
        if row in layout.open_ends and (len(trailing) <= WIDEST or place is None):
            lines[row - 1] = trailing + end
        elif place is not None:
            above.setdefault(place, []).append(comment)
        else:
            raise CannotIgnore(f"line {row} cannot take a comment")
    out: list[str] = []
    for number, line in enumerate(lines, 1):
        indent = line[: len(line) - len(line.lstrip(" \t"))]
        newline = "\r\n" if line.endswith("\r\n") else "\n"
        out += [f"{indent}{comment}{newline}" for comment in above.get(number, ())]
        out.append(line)
    new = "".join(out)
    if _meaning(new) != _meaning(text):
        raise CannotIgnore("a comment would change the meaning of the file")
    return new


def _split(text: str) -> list[str]:
    """Lines with their ends, where Python's tokenizer ends them."""
    return re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z", text)


def _above(row: int, layout: _Layout) -> int | None:
    """The row before which a comment on its own line covers ``row``."""
    for first, last in layout.logical:
        if first <= row <= last:
            inside = row > first and row - 1 in layout.open_ends  # in brackets: covers the next physical line
            return row if inside else first
    return None


def _layout(text: str) -> _Layout:
    open_ends: set[int] = set()
    logical: list[tuple[int, int]] = []
    start = 0
    quiet = (tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER)
    try:
        for token in tokenize.generate_tokens(io.StringIO(text, newline="").readline):
            if token.type in (tokenize.NL, tokenize.NEWLINE):
                open_ends.add(token.start[0])
            if token.type == tokenize.NEWLINE:
                logical.append((start or token.start[0], token.start[0]))
                start = 0
            elif token.type not in quiet and not start:
                start = token.start[0]
    except (tokenize.TokenError, SyntaxError, ValueError, RecursionError) as error:
        raise CannotIgnore(f"the file cannot be read as Python: {error}") from error
    return _Layout(frozenset(open_ends), tuple(logical))


def _meaning(text: str) -> str | None:
    """The syntax tree as text; None where the running Python does not know the syntax."""
    try:
        return ast.dump(ast.parse(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
