"""Suppression comments of a file: ``# noqa: SES201``, ``# sessionlint: ignore[...]`` and ``ignore-file[...]``.

Says which comments there are and which lines they cover. Must not know findings; a comment inside a string is none.
"""

from __future__ import annotations

import io
import re
import tokenize
from typing import NamedTuple

_NOQA = re.compile(r"#\s*noqa\s*:\s*(?P<codes>[A-Za-z]+[0-9]*(?:[\s,]+[A-Za-z]+[0-9]+)*)", re.IGNORECASE)
_OURS = re.compile(r"#\s*sessionlint\s*:\s*(?P<kind>ignore-file|ignore)\b(?P<codes>\s*\[(?P<inside>[^\]]*)\])?")
_CODE = re.compile(r"[A-Za-z]+[0-9]*")


class Suppression(NamedTuple):
    """One comment.

    ``codes`` are as written (upper-cased for noqa), empty for a blanket one. It covers the physical lines
    ``first`` to ``last``, 1-based; ``last`` 0 means the whole file. ``line``, ``column``, ``end_column`` are the
    comment's own place.
    """

    kind: str
    codes: tuple[str, ...]
    line: int
    column: int
    end_column: int
    first: int
    last: int

    def covers(self, first: int, last: int) -> bool:
        """Whether a statement on these lines lies under the comment."""
        return self.last == 0 or (self.first <= last and first <= self.last)


class _Comment(NamedTuple):
    line: int
    column: int
    text: str
    alone: bool


def may_suppress(source: bytes) -> bool:
    """A cheap test that most files fail: whether parsing comments is worth it."""
    return b"sessionlint:" in source or b"noqa" in source or b"NOQA" in source or b"sessionlint :" in source


def suppressions(text: str, prefixes: frozenset[str] = frozenset({"SES"})) -> tuple[Suppression, ...]:
    """All suppression comments of a file's text that concern this tool: ``prefixes`` are those of its rules' codes."""
    try:
        comments, logical = _tokenized(text)
    except (tokenize.TokenError, SyntaxError, ValueError, RecursionError):
        comments, logical = _by_line(text)
    out: list[Suppression] = []
    for comment in comments:
        out.extend(_parse(comment, logical, prefixes))
    return tuple(out)


def without_suppressions(line: str) -> str:
    """A line without its trailing suppression comment: adding one must not make a statement another."""
    if "#" not in line:
        return line.strip()
    starts = [match.start() for pattern in (_NOQA, _OURS) for match in pattern.finditer(line)]
    return line[: min(starts)].strip() if starts else line.strip()


def _parse(comment: _Comment, logical: list[tuple[int, int]], prefixes: frozenset[str]) -> list[Suppression]:
    out = []
    for match in _NOQA.finditer(comment.text):
        codes = tuple(code.upper() for code in _CODE.findall(match["codes"]))
        ours = tuple(code for code in codes if code[:3] in prefixes)
        if ours:
            named = tuple(code for code in ours if len(code) > 3)
            out.append(_placed("noqa", named, comment, match, comment.line, comment.line))
    for match in _OURS.finditer(comment.text):
        inside = match["inside"] or ""
        codes = tuple(code.strip() for code in inside.split(",") if code.strip())
        if match["kind"] == "ignore-file":
            out.append(_placed("ignore-file", codes, comment, match, 1, 0))
        else:
            first, last = _covered(comment, logical)
            out.append(_placed("ignore", codes, comment, match, first, last))
    return out


def _placed(
    kind: str, codes: tuple[str, ...], comment: _Comment, match: re.Match[str], first: int, last: int
) -> Suppression:
    column = comment.column + match.start()
    return Suppression(kind, codes, comment.line, column, comment.column + match.end(), first, last)


def _covered(comment: _Comment, logical: list[tuple[int, int]]) -> tuple[int, int]:
    """The comment's own line when it trails code, else the next logical line."""
    if not comment.alone:
        return comment.line, comment.line
    for first, last in logical:
        if first > comment.line:
            return first, last
        if first <= comment.line <= last:
            return comment.line + 1, comment.line + 1  # inside a bracketed statement: the next physical line
    return comment.line, comment.line


def _tokenized(text: str) -> tuple[list[_Comment], list[tuple[int, int]]]:
    """Comments, and the first and last physical line of every logical line."""
    comments: list[_Comment] = []
    logical: list[tuple[int, int]] = []
    start = 0
    layout = (tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER)
    for token in tokenize.generate_tokens(io.StringIO(text, newline="").readline):
        if token.type == tokenize.COMMENT:
            alone = not token.line[: token.start[1]].strip()
            comments.append(_Comment(token.start[0], token.start[1] + 1, token.string, alone))
        elif token.type == tokenize.NEWLINE:
            if start:
                logical.append((start, token.start[0]))
            start = 0
        elif token.type not in layout and not start:
            start = token.start[0]
    return comments, logical


def _by_line(text: str) -> tuple[list[_Comment], list[tuple[int, int]]]:
    """The same by a line at a time, for a file that cannot be tokenized: a mark inside a string counts too."""
    comments: list[_Comment] = []
    logical: list[tuple[int, int]] = []
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        at = line.find("#")
        if line.strip() and at != len(line) - len(line.lstrip()):
            logical.append((number, number))
        if at >= 0:
            comments.append(_Comment(number, at + 1, line[at:], not line[:at].strip()))
    return comments, logical
