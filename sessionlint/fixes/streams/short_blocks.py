"""Cuts the body of a generator into the runs of statements that use a session, none of which waits for the reader.

Raises ``Refused`` where the session decides how the stream goes on, so that no block without a ``yield`` can hold it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from sessionlint.findings import Step
from sessionlint.fixes.around import is_docstring
from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import Edit
from sessionlint.fixes.leaving import fresh_name
from sessionlint.fixes.rewrite import delete, insert_before, replace, stands_alone
from sessionlint.fixes.sources import Refused

#: methods of a session whose result is read from it only while it is open
LAZY = frozenset({"execute", "scalars"})
_READ = frozenset({"all", "first", "one", "one_or_none", "scalar", "scalar_one", "scalar_one_or_none", "fetchall"})
_ENDS = frozenset({"rollback", "close"})


class Run(NamedTuple):
    """Consecutive statements of one block, from the first that uses the session to the last."""

    stmts: tuple[ast.stmt, ...]

    @property
    def lines(self) -> range:
        return range(self.stmts[0].lineno, (self.stmts[-1].end_lineno or self.stmts[-1].lineno) + 1)


@dataclass
class ShortBlocks:
    """``names`` are the session and what is built on it; ``sessions`` the session itself.

    ``runs`` are to be put into blocks; ``edits`` go with that; ``hoisted`` are reads of a loop's header, as lines that
    need a block of their own in front of the loop.
    """

    document: Document
    node: ast.FunctionDef | ast.AsyncFunctionDef
    names: set[str]
    sessions: set[str]
    runs: list[Run] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    hoisted: list[tuple[ast.stmt, str]] = field(default_factory=list)

    def cut(self) -> None:
        """Find the runs. Raises ``Refused``."""
        self._block([stmt for stmt in self.node.body if not is_docstring(stmt)])
        for node in ast.walk(self.node):
            if node is not self.node and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                if self._uses(node):
                    raise Refused("a function inside the stream uses the session", self._step(node))
        self._results()

    def _block(self, stmts: Iterable[ast.stmt]) -> None:
        run: list[ast.stmt] = []
        between: list[ast.stmt] = []

        def close() -> None:
            if run:
                self.runs.append(Run(tuple(run)))
            run.clear()
            between.clear()

        for stmt in stmts:
            uses = self._uses(stmt) and not self._needless(stmt)
            if waits(stmt):
                close()
                if uses:
                    self._inside(stmt)
            elif uses:
                run.extend([*between, stmt])
                between.clear()
            elif run:
                between.append(stmt)
        close()

    def _needless(self, stmt: ast.stmt) -> bool:
        """``await db.rollback()`` and ``close()`` behind a block, which has done both by then; they go."""
        value = stmt.value if isinstance(stmt, ast.Expr) else None
        inner = value.value if isinstance(value, ast.Await) else value
        if not isinstance(inner, ast.Call) or inner.args or inner.keywords:
            return False
        method = inner.func
        if not isinstance(method, ast.Attribute) or method.attr not in _ENDS or not self._is_session(method.value):
            return False
        around = self.document.parent(stmt)
        if not isinstance(around, (ast.ExceptHandler, ast.Try)) or (
            isinstance(around, ast.Try) and stmt not in around.finalbody
        ):
            return False
        self.edits.append(delete(self.document, stmt))
        return True

    def _inside(self, stmt: ast.stmt) -> None:
        """A statement that both waits for the reader and uses the session: its blocks are cut in turn."""
        if isinstance(stmt, (ast.For,)) and self._uses(stmt.iter):
            self._hoist(stmt)
        else:
            for header in _headers(stmt):
                if self._uses(header):
                    raise Refused("the session is needed while the reader is waited for", self._step(header))
        inner = [getattr(stmt, name, None) for name in ("body", "orelse", "finalbody")]
        if not any(inner):
            raise Refused("one statement uses the session and hands a part to the reader", self._step(stmt))
        for block in inner:
            self._block(block or [])
        for handler in getattr(stmt, "handlers", []):
            self._block(handler.body)

    def _hoist(self, loop: ast.For) -> None:
        """``for row in (await db.scalars(query)).all():`` reads its rows in front of the loop."""
        if not stands_alone(self.document, loop.body[0]):
            raise Refused("the loop stands on one line", self._step(loop))
        name = fresh_name(self.node, ("rows", "found", "loaded"))
        self.hoisted.append((loop, f"{name} = {self._consumed(loop.iter)}"))
        self.edits.append(replace(self.document, loop.iter, name))

    # ---- what leaves a block ---------------------------------------------------------------------------------------

    def _results(self) -> None:
        """A result that is read behind its block is read inside: ``rows = (await db.execute(query)).all()``."""
        for run in self.runs:
            inside = {n for stmt in run.stmts for n in ast.walk(stmt)}
            for stmt in (n for n in inside if isinstance(n, ast.Assign)):
                if self._is_lazy(stmt.value):
                    outside = self._read_outside(stmt, inside)
                    if outside:
                        chain = self._chain(outside)
                        self.edits.append(replace(self.document, stmt.value, self._consumed(stmt.value, chain)))

    def _read_outside(self, stmt: ast.Assign, inside: set[ast.AST]) -> list[ast.Name]:
        names = {t.id for t in stmt.targets if isinstance(t, ast.Name)}
        return [
            n
            for n in ast.walk(self.node)
            if isinstance(n, ast.Name) and n.id in names and isinstance(n.ctx, ast.Load) and n not in inside
        ]

    def _chain(self, outside: list[ast.Name]) -> str:
        """What is called on a result where a loop runs over it (``.scalars()``), which moves to where it is made."""
        chain = ""
        for use in outside:
            whole: ast.AST = use
            steps = []
            while True:
                attribute = self.document.parent(whole)
                call = self.document.parent(attribute) if attribute is not None else None
                if not isinstance(attribute, ast.Attribute) or not isinstance(call, ast.Call) or call.args:
                    break
                steps.append(f".{attribute.attr}()")
                whole = call
            loop = self.document.parent(whole)
            if not isinstance(loop, (ast.For, ast.comprehension)) or loop.iter is not whole or len(outside) > 1:
                raise Refused(f"`{use.id}` is read from the session behind the block", self._step(use))
            if whole is not use:
                self.edits.append(replace(self.document, whole, use.id))
            chain = "".join(steps)
        return chain

    def _consumed(self, value: ast.expr, chain: str = "") -> str:
        text = self.document.code(value)
        if "\n" in text:
            raise Refused("what is read stands on several lines", self._step(value))
        if not self._is_lazy(value):
            return text
        text = f"({text}){chain}" if isinstance(value, ast.Await) else f"{text}{chain}"
        return text if chain.endswith((".all()", ".fetchall()")) else f"{text}.all()"

    def _is_lazy(self, value: ast.expr) -> bool:
        """``await db.execute(query)``, or ``.scalars()`` of it, with nothing read yet."""
        inner = value.value if isinstance(value, ast.Await) else value
        if not isinstance(inner, ast.Call) or not isinstance(inner.func, ast.Attribute):
            return False
        if inner.func.attr in _READ:
            return False
        return (self._is_session(inner.func.value) and inner.func.attr in LAZY) or self._is_lazy(inner.func.value)

    def _is_session(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id in self.sessions

    def _uses(self, node: ast.AST) -> bool:
        return any(isinstance(n, ast.Name) and n.id in self.names for n in ast.walk(node))

    def kept(self) -> list[tuple[ast.Name, bool]]:
        """Names of one run that are used behind it too: (the use, whether that is in another run)."""
        found = []
        places = [{n for stmt in run.stmts for n in ast.walk(stmt)} for run in self.runs]
        hoisted = [set(ast.walk(loop.target)) for loop, _ in self.hoisted if isinstance(loop, ast.For)]
        uses = [n for n in ast.walk(self.node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]
        for inside in (*places, *hoisted):
            names = {n.id for n in inside if isinstance(n, ast.Name)} - self.names
            end = max(n.lineno for n in inside if isinstance(n, ast.Name))
            for use in uses:
                if use.id in names and use not in inside:
                    another = any(use in other for other in places)
                    if another or use.lineno > end:
                        found.append((use, another))
        return found

    def written(self, header: str, lines: Callable[[Iterable[ast.AST]], list[str]]) -> list[Edit]:
        """The hoisted reads, each in a block of its own that ``header`` opens."""
        edits = []
        unit = self.document.unit
        for stmt, line in self.hoisted:
            assert isinstance(stmt, ast.For)
            inner = [*lines([stmt.iter]), line]
            edits.append(insert_before(self.document, stmt, [header, *(f"{unit}{one}" for one in inner)]))
        return edits

    def _step(self, node: ast.AST) -> Step:
        return Step(self.document.place(node), "here")


def waits(node: ast.AST) -> bool:
    """Whether a statement hands something to the reader of the stream."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, (ast.Yield, ast.YieldFrom)):
            return True
        if not isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            waiting.extend(ast.iter_child_nodes(one))
    return False


def _headers(stmt: ast.stmt) -> list[ast.AST]:
    """The expressions of a compound statement that are no block of it."""
    blocks = {"body", "orelse", "finalbody", "handlers"}
    return [
        child
        for name, value in ast.iter_fields(stmt)
        if name not in blocks
        for child in (value if isinstance(value, list) else [value])
        if isinstance(child, ast.AST)
    ]
