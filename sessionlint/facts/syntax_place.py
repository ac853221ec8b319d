"""Where a syntax error really stands, which is not always where the parser noticed it; parses nothing.

A parser that meets ``def`` inside ``db.commit(`` complains of the ``def``; the fault is the bracket. CPython says so
itself only when the rest of the file leaves no other doubt. Only files with an error come here.
"""

from __future__ import annotations

import io
import re
import sys
import tokenize
from collections.abc import Iterator
from typing import NamedTuple

from sessionlint.facts.decoding import decoded
from sessionlint.facts.syntax_problem import SyntaxProblem

_GENERIC = "invalid syntax"
_OPENING, _CLOSING = "([{", ")]}"
# What never stands inside brackets, and what may but not as the head of a block.
_STATEMENTS = frozenset(
    [
        "@",
        "assert",
        "break",
        "class",
        "continue",
        "def",
        "del",
        "elif",
        "except",
        "finally",
        "global",
        "import",
        "nonlocal",
        "pass",
        "raise",
        "return",
        "try",
        "while",
        "with",
        "async",
    ]
)
_CLAUSES = frozenset(["else", "for", "from", "if"])
_INDENTATION = re.compile(r"unexpected indent|unindent does not match|inconsistent use of tabs")
_OF_A_STRING = re.compile(r"f-string|\((?:unicode|value) error\)|bytes can only contain")
_STRING_PREFIX = re.compile(r"\w*")


class _Token(NamedTuple):
    """A token of code; ``line`` and ``column`` count from 1."""

    kind: int
    text: str
    line: int
    column: int


def unclosed_bracket(source: bytes, problem: SyntaxProblem) -> SyntaxProblem:
    """The bracket that was never closed, if a statement begins inside it and that is all the parser could say.

    Gives ``problem`` itself otherwise.
    """
    if problem.message != _GENERIC:
        return problem
    text = _text(source)
    if text is None:
        return problem
    brackets: list[_Token] = []
    line: list[_Token] = []
    for token in _tokens(text):
        if (token.line, token.column) > (problem.line, problem.column):
            break
        if line and line[0].line != token.line:
            line = []
        line.append(token)
        if (token.line, token.column) == (problem.line, problem.column):
            opened = [bracket for bracket in brackets if bracket.line < token.line]
            if opened and _begins_statement(line, text):
                return SyntaxProblem(opened[-1].line, opened[-1].column, f"'{opened[-1].text}' was never closed")
            break
        if token.text in _OPENING:
            brackets.append(token)
        elif token.text in _CLOSING and brackets:
            brackets.pop()
    return problem


def in_its_line(source: bytes, problem: SyntaxProblem, told_of: str | None) -> SyntaxProblem:
    """The same problem of ``ast`` at the token it is about.

    CPython points at the end of a badly indented line and, up to 3.11, behind a bad string or into a fragment of an
    f-string; ``told_of`` is the line it quoted (``SyntaxError.text``).
    """
    if _INDENTATION.match(problem.message):
        lines = (_text(source) or "").split("\n")
        line = lines[problem.line - 1] if problem.line <= len(lines) else ""
        return SyntaxProblem(problem.line, len(line) - len(line.lstrip()) + 1, problem.message)
    if sys.version_info < (3, 12) and _OF_A_STRING.match(problem.message):
        return _in_string(_text(source) or "", problem, (told_of or "").rstrip("\n"))
    return problem


def _in_string(text: str, problem: SyntaxProblem, told_of: str) -> SyntaxProblem:
    lines = text.split("\n")
    line = lines[problem.line - 1] if problem.line <= len(lines) else ""
    if told_of.startswith("(") and told_of not in line:
        at = line.find("{" + told_of[1:].removesuffix(")"))  # CPython parses "{a b}" as "(a b)"
        if at >= 0:
            return SyntaxProblem(problem.line, at + problem.column, problem.message)
    strings = [
        token
        for token in _tokens(text)
        if token.kind == tokenize.STRING and (token.line, token.column) < (problem.line, problem.column)
    ]
    wanted = "f" if problem.message.startswith("f-string") else "b" if problem.message.startswith("bytes") else ""
    guilty = [token for token in strings if wanted in _prefix(token)] or strings
    return SyntaxProblem(guilty[-1].line, guilty[-1].column, problem.message) if guilty else problem


def _prefix(string: _Token) -> str:
    match = _STRING_PREFIX.match(string.text)
    return match[0].lower() if match else ""


def _begins_statement(line: list[_Token], text: str) -> bool:
    """Whether the last of these tokens, all of one line, makes that line one that cannot stand inside brackets."""
    first, offending = line[0], line[-1]
    if offending is first and first.text in _STATEMENTS:
        return True
    if first.text not in _CLAUSES and first.text not in _STATEMENTS:
        return False
    if first.text == "from":
        return offending is first or offending.text == "import"
    whole = list(_tokens(text.split("\n")[first.line - 1]))
    if [token.text for token in whole[:2]] in (["async", "def"], ["async", "with"]):
        return offending is first
    return whole[-1].text == ":" and (offending is first or offending.column == whole[-1].column)


def _text(source: bytes) -> str | None:
    try:
        text = decoded(source)
    except SyntaxProblem:
        return None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _tokens(text: str) -> Iterator[_Token]:
    """Tokens of code up to the first thing that is none; never raises for what a text may hold."""
    skipped = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type not in skipped and token.string.strip():
                yield _Token(token.type, token.string, token.start[0], token.start[1] + 1)
    except (tokenize.TokenError, SyntaxError, ValueError):
        return
