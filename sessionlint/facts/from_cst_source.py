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

# Good enough to tell strings and comments from code; an f-string with its own quotes inside only blurs the counts.
_LEXEME = re.compile(
    r'''"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*"""'''
    r"""|'''[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*'''"""
    r'''|"[^"\\\n]*(?:\\.[^"\\\n]*)*"'''
    r"""|'[^'\\\n]*(?:\\.[^'\\\n]*)*'"""
    r"|\#[^\n]*"
    r"|\\\n"
    r"|\n[ \t\f]*(?:elif\b)?"
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


def _bounded(text: str) -> str:
    """Follow brackets, operator chains and ``elif`` chains through the text, cutting indentation before form feeds.

    CPython counts indentation from the last form feed of a line on; libcst 1.9 loses such form feeds or fails.
    """
    pieces: list[str] = []
    copied = 0
    open_chains: list[int] = []
    chain = depth_of_chains = 0
    elifs: dict[int, int] = {}
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
                indent = len(token)
                if token.endswith("elif"):
                    elifs[indent] = elifs.get(indent, 0) + 1
                    chain = elifs[indent]
                elif indent + 4 in elifs and text[lexeme.end() : lexeme.end() + 1] not in ("\n", "#"):
                    del elifs[indent + 4]
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
        if len(open_chains) > _MOST_BRACKETS or chain + depth_of_chains > _LONGEST_CHAIN:
            line_start = text.rfind("\n", 0, lexeme.start()) + 1
            raise SyntaxProblem(line, lexeme.start() - line_start + 1, "nested too deeply to be parsed")
    pieces.append(text[copied:])
    return "".join(pieces)
