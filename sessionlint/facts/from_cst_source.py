"""What libcst must be handed: decoded text with plain newlines, no form feeds in indentation, no abysmal nesting.

libcst's parser is native code: it ends the process with a segmentation fault at some thousand nested brackets
(measured with libcst 1.9 and a stack of 8 MB: between 800 and 1 600) and is quadratic in the length of one operator
chain, so both are bounded here before it sees the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sessionlint.facts.decoding import decoded
from sessionlint.facts.syntax_problem import SyntaxProblem

_MOST_BRACKETS = 100
_LONGEST_CHAIN = 1_000
# Each elif is two calls through C to libcst's code generation, and Python 3.12.1 allows 1 500 of them, immovably.
_MOST_ELIFS = 500

# Good enough to tell strings and comments from code; an f-string with its own quotes inside only blurs the counts.
_LEXEME = re.compile(
    r'''"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*"""'''
    r"""|'''[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*'''"""
    r'''|"[^"\\\n]*(?:\\.[^"\\\n]*)*"'''
    r"""|'[^'\\\n]*(?:\\.[^'\\\n]*)*'"""
    r"|\#[^\n]*"
    r"|\\\n"
    r"|\n[ \t\f]*(?:elif\b|else\b)?"
    r"|[()\[\]{}]|[,;]|\w+|[^\s\w]",
    re.DOTALL,
)
_CHAINING_WORDS = frozenset({"not", "lambda", "if", "else", "await", "and", "or", "in", "is", "for", "yield", "from"})


@dataclass(frozen=True)
class CstSource:
    """A file's text with plain newlines, and the same text without what libcst cannot take (line by line the same)."""

    original: str
    text: str


def prepare(source: bytes) -> CstSource:
    """The text of ``source`` as libcst can take it; raises ``SyntaxProblem`` for bytes that are no text or too deep."""
    original = decoded(source).replace("\r\n", "\n").replace("\r", "\n")
    return CstSource(original, _bounded(original))


def columns_between(original: str, written: str) -> list[int] | None:
    """For each character of a line as libcst wrote it, its column in the original; None if more than blanks differ.

    libcst 1.9 forgets the blank in ``except (A, B) :``, and ``prepare`` takes form feeds off indentation.
    """
    columns: list[int] = []
    at = 0
    for character in written:
        while original[at : at + 1] != character and original[at : at + 1].isspace():
            at += 1
        columns.append(at)
        if original[at : at + 1] == character:
            at += 1
        elif not character.isspace():
            return None
    return columns


class _ElifChains:
    """How many ``elif`` enclose the current line: libcst nests each, with its block, in the one before."""

    def __init__(self) -> None:
        self.depth = 0
        self._open: list[tuple[int, int]] = []  # (indentation, how many elif so far), outermost first

    def follow(self, indent: int, word: str) -> None:
        """Take note of a line of code that is indented so far and begins with ``elif``, ``else`` or something else."""
        count = 0
        while self._open and (self._open[-1][0] > indent or (self._open[-1][0] == indent and word != "else")):
            at, closed = self._open.pop()
            self.depth -= closed
            if at == indent:
                count = closed
        if word == "elif":
            self._open.append((indent, count + 1))
            self.depth += count + 1


def _bounded(text: str) -> str:
    """Follow brackets, operator chains and ``elif`` chains through the text, cutting indentation before form feeds.

    CPython counts indentation from the last form feed of a line on; libcst 1.9 loses such form feeds or fails.
    """
    pieces: list[str] = []
    copied = 0
    open_chains: list[int] = []
    chain = depth_of_chains = 0
    elifs = _ElifChains()
    line = 1
    if text.startswith((" ", "\t", "\f")):
        text_start = re.match(r"[ \t\f]*\f", text)
        if text_start is not None:
            copied = text_start.end()
    for lexeme in _LEXEME.finditer(text):
        token = lexeme.group()
        first = token[0]
        if first == "\n":
            line += 1
            if not open_chains:
                chain = 0
                feeds = token.rfind("\f") + 1
                if feeds:
                    pieces.append(text[copied : lexeme.start() + 1])
                    copied = lexeme.start() + feeds
                word = token.strip()
                if text[lexeme.end() : lexeme.end() + 1] not in ("\n", "#"):
                    elifs.follow(len(token) - len(word), word)
        elif first in "([{":
            open_chains.append(chain + 1)
            depth_of_chains += chain + 1
            chain = 0
        elif first in ")]}":
            if open_chains:
                chain = open_chains.pop()
                depth_of_chains -= chain
        elif first in ",;":
            chain = 0
        elif first in "\"'":
            line += token.count("\n")
            chain += 1
        elif first == "#":
            continue
        elif token == "\\\n":
            line += 1
        elif token in _CHAINING_WORDS or not (first.isalnum() or first in "_:="):
            chain += 1
        too_nested = len(open_chains) > _MOST_BRACKETS or elifs.depth > _MOST_ELIFS
        if too_nested or chain + depth_of_chains > _LONGEST_CHAIN:
            line_start = text.rfind("\n", 0, lexeme.start()) + 1
            raise SyntaxProblem(line, lexeme.start() - line_start + 1, "nested too deeply to be parsed")
    pieces.append(text[copied:])
    return "".join(pieces)
