"""The table from libcst node class to lowering function, and what every lowering needs: positions and recursion.

The families (expressions, strings, statements, patterns) register themselves here by decorator; none of them walks.
"""

from __future__ import annotations

import ast
import itertools
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypedDict, TypeVar

import libcst as cst
from libcst.metadata import CodePosition, CodeRange

from sessionlint.facts.from_cst_source import columns_between
from sessionlint.facts.syntax_problem import SyntaxProblem

Lowered = TypeVar("Lowered", bound=ast.AST)
# Each function takes exactly the node class it is registered for, which the type of a dictionary cannot say.
_Lower = Callable[["Lowering", Any], Lowered]
_Table = dict[type[cst.CSTNode], _Lower[Lowered]]

_EXPRESSIONS: _Table[ast.expr] = {}
_STATEMENTS: _Table[ast.stmt] = {}
_PATTERNS: _Table[ast.pattern] = {}


class Parenthesizable(Protocol):
    """What expressions and patterns of libcst share: their own parentheses, outermost first."""

    @property
    def lpar(self) -> Sequence[cst.LeftParen]: ...
    @property
    def rpar(self) -> Sequence[cst.RightParen]: ...


class Place(TypedDict):
    """The four position attributes of an ``ast`` node: lines from 1, columns from 0 in UTF-8 bytes."""

    lineno: int
    col_offset: int
    end_lineno: int
    end_col_offset: int


class Lowering:
    """One file being lowered: its text, the positions libcst computed, and the way down the tables."""

    def __init__(self, original: str, written: str, ranges: Mapping[cst.CSTNode, CodeRange]) -> None:
        """``ranges`` are positions in ``written``, libcst's own rendering of the file's ``original`` text."""
        self._lines = written.split("\n")
        self._originals = self._lines if original == written else original.split("\n")
        self._ranges = ranges
        self._byte_columns: dict[int, list[int]] = {}
        self._moved = {} if original == written else _moved_columns(self._originals, self._lines)

    def expression(self, node: cst.CSTNode) -> ast.expr:
        return _entry(_EXPRESSIONS, self, node)(self, node)

    def optional(self, node: cst.CSTNode | None) -> ast.expr | None:
        return None if node is None else self.expression(node)

    def statement(self, node: cst.CSTNode) -> ast.stmt:
        return _entry(_STATEMENTS, self, node)(self, node)

    def pattern(self, node: cst.CSTNode) -> ast.pattern:
        return _entry(_PATTERNS, self, node)(self, node)

    def start(self, node: cst.CSTNode) -> CodePosition:
        """Where the node begins, its own parentheses left out."""
        return self._ranges[node].start

    def end(self, node: cst.CSTNode) -> CodePosition:
        """Where the node ends, its own parentheses left out."""
        return self._ranges[node].end

    def outer_end(self, node: cst.CSTNode) -> CodePosition:
        """Where the node ends, behind its outermost closing parenthesis."""
        closing: Sequence[cst.RightParen] = getattr(node, "rpar", ())
        return self._ranges[closing[-1]].end if closing else self._ranges[node].end

    def place(self, node: cst.CSTNode) -> Place:
        """The node's place without its parentheses, as ``ast`` gives it for all but tuples and generators."""
        whole = self._ranges[node]
        return self.between(whole.start, whole.end)

    def inside_parens(self, node: cst.CSTNode, parens: Parenthesizable) -> Place:
        """The node's place together with its innermost parentheses, if it has any."""
        if not parens.lpar:
            return self.place(node)
        return self.between(self._ranges[parens.lpar[-1]].start, self._ranges[parens.rpar[0]].end)

    def between(self, start: CodePosition, end: CodePosition) -> Place:
        return Place(
            lineno=start.line,
            col_offset=self._byte_column(start.line, self._start_column(start)),
            end_lineno=end.line,
            end_col_offset=self._byte_column(end.line, self._end_column(end)),
        )

    def text_between(self, start: CodePosition, end: CodePosition) -> str:
        """The source text from ``start`` to ``end``, possibly over several lines."""
        if start.line == end.line:
            return self._lines[start.line - 1][start.column : end.column]
        first = self._lines[start.line - 1][start.column :]
        last = self._lines[end.line - 1][: end.column]
        return "\n".join([first, *self._lines[start.line : end.line - 1], last])

    def problem(self, node: cst.CSTNode, message: str) -> SyntaxProblem:
        start = self._ranges[node].start
        return SyntaxProblem(start.line, self._start_column(start) + 1, message)

    def _start_column(self, at: CodePosition) -> int:
        """The column, in characters of the original line, of something that begins there."""
        moved = self._moved.get(at.line)
        return at.column if moved is None or at.column >= len(moved) else moved[at.column]

    def _end_column(self, at: CodePosition) -> int:
        """The column, in characters of the original line, behind something that ends there."""
        moved = self._moved.get(at.line)
        return at.column if moved is None or at.column == 0 else moved[at.column - 1] + 1

    def _byte_column(self, line: int, column: int) -> int:
        text = self._originals[line - 1]
        if text.isascii():
            return column
        columns = self._byte_columns.get(line)
        if columns is None:
            widths = (len(character.encode("utf-8", "surrogatepass")) for character in text)
            columns = self._byte_columns[line] = [0, *itertools.accumulate(widths)]
        return columns[column]


def _moved_columns(originals: Sequence[str], written: Sequence[str]) -> dict[int, list[int]]:
    """For lines (from 1) that libcst did not give back unchanged, where their characters stand in the original."""
    moved: dict[int, list[int]] = {}
    for line, (original, rendered) in enumerate(zip(originals, written, strict=False), start=1):
        if original != rendered:
            columns = columns_between(original, rendered)
            if columns is None or len(originals) != len(written):
                raise SyntaxProblem(line, 1, "libcst does not give this line back unchanged")
            moved[line] = columns
    return moved


def lowers_expression(*kinds: type[cst.CSTNode] | None) -> Callable[[_Lower[ast.expr]], None]:
    """Register an expression's lowering; a kind this libcst does not have yet is given as ``None``."""
    return lambda lower: _register(_EXPRESSIONS, kinds, lower)


def lowers_statement(*kinds: type[cst.CSTNode] | None) -> Callable[[_Lower[ast.stmt]], None]:
    return lambda lower: _register(_STATEMENTS, kinds, lower)


def lowers_pattern(*kinds: type[cst.CSTNode] | None) -> Callable[[_Lower[ast.pattern]], None]:
    return lambda lower: _register(_PATTERNS, kinds, lower)


def identifier(name: str) -> str:
    """A name as the interpreter sees it: NFKC-normalised (language reference, 2.3 Identifiers and keywords)."""
    return name if name.isascii() else unicodedata.normalize("NFKC", name)


def _register(table: _Table[Lowered], kinds: Iterable[type[cst.CSTNode] | None], lower: _Lower[Lowered]) -> None:
    table.update((kind, lower) for kind in kinds if kind is not None)


def _entry(table: _Table[Lowered], lowering: Lowering, node: cst.CSTNode) -> _Lower[Lowered]:
    lower = table.get(type(node))
    if lower is None:
        raise lowering.problem(node, f"libcst reads {type(node).__name__} here, which this version does not know")
    return lower
