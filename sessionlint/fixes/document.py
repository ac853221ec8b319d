"""One source file to be edited: its exact text, its syntax tree, and the way between tree, facts and character offsets.

Built for reading: edits are made from it, never in it.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from typing import TypeVar

from sessionlint.facts import shape as s
from sessionlint.facts import syntax
from sessionlint.findings import Place
from sessionlint.source.read import ReadProblem, declared_encoding, decode

_LINE_END = re.compile(r"\r\n|\r|\n")
_Node = TypeVar("_Node", bound=ast.AST)


class Uneditable(Exception):
    """The file cannot be edited without risk; the message says why."""


class Document:
    """The text and tree of one file. Raises ``Uneditable`` for a file that could not be written back faithfully."""

    def __init__(self, file: str, source: bytes) -> None:
        text = decode(file, source)
        if isinstance(text, ReadProblem):
            raise Uneditable(f"it cannot be decoded: {text.message}")
        self.file = file
        self.source = source
        self.text = text
        self.encoding = declared_encoding(source)
        ends = set(_LINE_END.findall(text))
        if len(ends) > 1:
            raise Uneditable("its line endings are mixed")
        self.newline = ends.pop() if ends else "\n"
        if text.encode(self.encoding) != source:
            raise Uneditable(f"its bytes cannot be written back exactly as {self.encoding}")
        self._starts = [0, *(m.end() for m in _LINE_END.finditer(text))]
        self._by_kind: dict[type[ast.AST] | tuple[type[ast.AST], ...], list[ast.AST]] = {}

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree. Raises ``Uneditable`` where the file does not parse."""
        try:
            return syntax.parse(self.source)
        except (syntax.SyntaxProblem, RecursionError) as problem:
            raise Uneditable(f"it cannot be parsed: {problem}") from problem

    # ---- places ----------------------------------------------------------------------------------------------------

    def line_start(self, line: int) -> int:
        """Offset of the first character of a 1-based line; the end of the text for the line after the last."""
        return self._starts[line - 1] if line <= len(self._starts) else len(self.text)

    def line_of(self, offset: int) -> int:
        """The 1-based line of an offset."""
        return bisect_right(self._starts, offset)

    def line_text(self, line: int) -> str:
        """A line without its line end."""
        return self.text[self.line_start(line) : self.line_start(line + 1)].rstrip("\r\n")

    def offset(self, line: int, column: int) -> int:
        """Offset of a 1-based line and column in characters, as facts and findings have them."""
        return self.line_start(line) + column - 1

    def at(self, line: int, utf8: int) -> int:
        """Offset of a line and a column in UTF-8 bytes, as nodes have them."""
        start = self.line_start(line)
        text = self.text[start : self.line_start(line + 1)]
        if text.isascii():
            return start + utf8
        return start + len(text.encode("utf-8", "surrogatepass")[:utf8].decode("utf-8", "ignore"))

    def start(self, node: ast.AST) -> int:
        """Where a node begins; decorators belong to what they decorate."""
        decorators = getattr(node, "decorator_list", None)
        if decorators:
            return self.text.rindex("@", 0, self.start(decorators[0]))
        return self.at(node.lineno, node.col_offset)  # type: ignore[attr-defined]

    def end(self, node: ast.AST) -> int:
        """Where a node ends, exclusive."""
        return self.at(node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]

    def code(self, node: ast.AST) -> str:
        """A node as written."""
        return self.text[self.start(node) : self.end(node)]

    def place(self, node: ast.AST) -> Place:
        """Where a node stands, as findings and traces say it."""
        start, end = self.start(node), self.end(node)
        first, last = self.line_of(start), self.line_of(end)
        return Place(self.file, first, start - self.line_start(first) + 1, last, end - self.line_start(last) + 1)

    def indentation(self, node: ast.AST) -> str:
        """The white space before the line a node begins on."""
        line = self.line_text(self.line_of(self.start(node)))
        return line[: len(line) - len(line.lstrip())]

    @cached_property
    def unit(self) -> str:
        """One step of indentation, as the file writes it."""
        for node in self.nodes:
            body = getattr(node, "body", None)
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.If, ast.For, ast.With)):
                inner, outer = self.indentation(body[0]), self.indentation(node)  # type: ignore[index]
                if inner.startswith(outer) and inner != outer:
                    return inner[len(outer) :]
        return "    "

    # ---- nodes -----------------------------------------------------------------------------------------------------

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """Every node of the tree, outermost first."""
        return tuple(ast.walk(self.tree))

    @cached_property
    def bound_names(self) -> frozenset[str]:
        """Every name the file binds anywhere: shadowing is never worth a guess."""
        found: set[str] = set()
        for node in self.nodes:
            if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
                found.add(node.id)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                found.add(node.name)
            elif isinstance(node, ast.arg):
                found.add(node.arg)
            elif isinstance(node, ast.alias):
                found.add((node.asname or node.name).partition(".")[0])
        return frozenset(found)

    @cached_property
    def _parents(self) -> dict[ast.AST, ast.AST]:
        return {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}

    def parent(self, node: ast.AST) -> ast.AST | None:
        return self._parents.get(node)

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes around a node, innermost first."""
        current = self._parents.get(node)
        while current is not None:
            yield current
            current = self._parents.get(current)

    def enclosing(self, node: ast.AST, kind: type[_Node] | tuple[type[_Node], ...]) -> _Node | None:
        """The innermost node of a kind around a node."""
        return next((one for one in self.ancestors(node) if isinstance(one, kind)), None)

    def with_around(self, node: ast.AST) -> ast.With | ast.AsyncWith | None:
        """The innermost ``with`` around a node, inside its function."""
        for one in self.ancestors(node):
            if isinstance(one, (ast.With, ast.AsyncWith)):
                return one
            if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                return None
        return None

    def function_around(self, node: ast.AST) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """The innermost function around a node."""
        return next((n for n in self.ancestors(node) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))), None)

    def statement(self, node: ast.AST) -> ast.stmt:
        """The innermost statement a node is or stands in."""
        if isinstance(node, ast.stmt):
            return node
        found = self.enclosing(node, ast.stmt)
        assert found is not None, "an expression stands in a statement"
        return found

    def block(self, stmt: ast.stmt) -> list[ast.stmt]:
        """The list of statements that a statement stands in."""
        parent = self._parents[stmt]
        for name in ("body", "orelse", "finalbody", "handlers"):
            inner = getattr(parent, name, None)
            if isinstance(inner, list) and stmt in inner:
                return inner
        raise AssertionError("a statement stands in a block")

    def function(self, facts: s.FunctionFacts) -> ast.FunctionDef | ast.AsyncFunctionDef:
        """The definition of a function of the facts. Raises ``LookupError`` where the two do not fit."""
        for node in self.nodes:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                if node.name == facts.name and node.lineno == facts.loc.line:
                    return node
        raise LookupError(f"{self.file}: no definition of {facts.name} on line {facts.loc.line}")

    def cls(self, facts: s.ClassFacts) -> ast.ClassDef:
        """The definition of a class of the facts. Raises ``LookupError`` where the two do not fit."""
        for node in self.nodes:
            if isinstance(node, ast.ClassDef) and node.name == facts.name and node.lineno == facts.loc.line:
                return node
        raise LookupError(f"{self.file}: no definition of {facts.name} on line {facts.loc.line}")

    def spanning(self, place: s.Loc | Place, kind: type[_Node] | tuple[type[_Node], ...]) -> _Node | None:
        """The innermost node of a kind that covers a place."""
        first, last = self.offset(place.line, place.column), self.offset(place.end_line, place.end_column)
        best: _Node | None = None
        if kind not in self._by_kind:
            self._by_kind[kind] = [node for node in self.nodes if isinstance(node, kind)]
        for node in self._by_kind[kind]:
            if not _lines_cover(node, place):
                continue
            assert isinstance(node, kind)
            if self.start(node) <= first and last <= self.end(node):
                if best is None or self.end(node) - self.start(node) <= self.end(best) - self.start(best):
                    best = node
        return best

    # ---- tokens ----------------------------------------------------------------------------------------------------

    @cached_property
    def tokens(self) -> tuple[tokenize.TokenInfo, ...]:
        """The tokens of the text, as far as the tokenizer of this interpreter reads it."""
        found: list[tokenize.TokenInfo] = []
        try:
            found.extend(tokenize.generate_tokens(io.StringIO(self.text, newline="").readline))
        except (tokenize.TokenError, SyntaxError) as error:
            raise Uneditable(f"it cannot be tokenized: {error}") from error
        return tuple(found)

    @cached_property
    def string_lines(self) -> frozenset[int]:
        """Lines that begin inside a string: their leading white space is content."""
        inside: set[int] = set()
        for node in self.nodes:
            if isinstance(node, (ast.Constant, ast.JoinedStr)) and node.end_lineno != node.lineno:
                if isinstance(node, ast.JoinedStr) or isinstance(node.value, (str, bytes)):
                    inside.update(range(node.lineno + 1, (node.end_lineno or node.lineno) + 1))
        return frozenset(inside - self._implicit_joins)

    @cached_property
    def _implicit_joins(self) -> frozenset[int]:
        """Lines on which a string token begins at the first character that is no white space: ``"a"\\n"b"``."""
        return frozenset(
            token.start[0]
            for token in self.tokens
            if tokenize.tok_name[token.type] in {"STRING", "FSTRING_START", "TSTRING_START"}
            and not token.line[: token.start[1]].strip()
            and token.line.count("\n") <= 1
        )

    @cached_property
    def comments(self) -> dict[int, tuple[int, str]]:
        """Line -> (offset, text) of its comment."""
        return {
            t.start[0]: (self.offset(t.start[0], t.start[1] + 1), t.string)
            for t in self.tokens
            if t.type == tokenize.COMMENT
        }


def _lines_cover(node: ast.AST, place: s.Loc | Place) -> bool:
    """Whether a node's lines, decorators included, hold a place; quick, because offsets of every node are not."""
    decorators = getattr(node, "decorator_list", None)
    first = decorators[0].lineno if decorators else getattr(node, "lineno", 0)
    return bool(first <= place.line and place.end_line <= getattr(node, "end_lineno", 0))
