"""Where generators stop: in a ``finally``, in a handler of their own closing, and under which locks.

Looks at whole functions, not at paths. A generator that is closed early gets a ``GeneratorExit`` at its yield; whatever
stands around that yield then happens, or goes on holding until then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from sessionlint.effects.handlers import caught_types
from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Inference, Scope

#: classes of outside packages that let one holder in at a time; a semaphore lets several and is meant to be held
_LOCK_CLASSES = frozenset({"Lock", "RLock", "FileLock", "SoftFileLock", "Condition", "Redlock", "AsyncFileLock"})
_LOCK_PACKAGES = frozenset(
    {
        "asyncio",
        "threading",
        "multiprocessing",
        "anyio",
        "trio",
        "redis",
        "aioredis",
        "filelock",
        "aioredlock",
        "pottery",
    }
)
_CLOSING = frozenset({"GeneratorExit", "BaseException"})
_MAX_DEPTH = 4


class ClosingYield(NamedTuple):
    """A yield that runs while its generator is being closed. ``block`` is finally or except, ``opened`` its ``try``."""

    loc: s.Loc
    block: str
    opened: s.Loc


class LockedYield(NamedTuple):
    """A yield under a lock taken at ``opened``; ``text`` is the lock as written."""

    loc: s.Loc
    opened: s.Loc
    text: str


@dataclass(frozen=True, slots=True)
class _Around:
    """What stands around a statement."""

    finals: tuple[s.Try, ...] = ()
    handlers: tuple[tuple[s.Handler, s.Try], ...] = ()
    guards: tuple[s.Expr, ...] = ()
    locks: tuple[tuple[s.Loc, str], ...] = ()


class Generators:
    """Answers about the generators of a project."""

    def __init__(self, infer: Inference) -> None:
        self._infer = infer

    def closing_yields(self, function: sym.Function) -> Iterator[ClosingYield]:
        """Yields that are reached because the generator is being closed at an earlier one."""
        for loc, around in self._yields(function):
            for stmt in around.finals:
                if _suspends(stmt) and not _knows_better(stmt, around.guards):
                    yield ClosingYield(loc, "finally", stmt.loc)
            for handler, stmt in around.handlers:
                if _suspends_body(stmt.body) and _catches_closing(handler, stmt):
                    yield ClosingYield(loc, "except", stmt.loc)

    def locked_yields(self, function: sym.Function) -> Iterator[LockedYield]:
        """Yields under a lock."""
        for loc, around in self._yields(function):
            if around.locks:
                opened, text = around.locks[-1]
                yield LockedYield(loc, opened, text)

    # ---- locks -----------------------------------------------------------------------------------------------------

    def is_lock(self, value: v.Value, depth: int = 0) -> bool:
        """A mutual exclusion: of a library, a context manager that yields under one, a class that takes one."""
        if depth > _MAX_DEPTH:
            return False
        if isinstance(value, v.Options):
            return any(self.is_lock(o, depth) for o in value.options)
        if isinstance(value, v.ExternalObject):
            parts = value.dotted.replace("()", "").split(".")
            if parts[0] not in _LOCK_PACKAGES:
                return False
            return parts[-1] in _LOCK_CLASSES or (parts[-1] == "lock" and parts[0] in {"redis", "aioredis"})
        if isinstance(value, v.Running) and value.wrapper:
            functions = [value.function]
            if value.function.is_abstract and value.function.owner is not None:
                functions = self._infer.classes.implementations(value.function.owner, value.function.name)
            return any(around.locks for f in functions for _, around in self._yields(f, depth + 1))
        if isinstance(value, v.Instance):
            enters = self._infer.classes.method(value.cls, "__aenter__") or self._infer.classes.method(
                value.cls, "__enter__"
            )
            return enters is not None and self._takes_lock(enters, depth)
        return False

    def _takes_lock(self, enters: sym.Function, depth: int) -> bool:
        """Whether entering acquires a lock that it does not release itself."""
        scope = Scope(enters.module, enters)
        names = set()
        for expr in enters.expressions:
            if isinstance(expr, s.Call) and isinstance(expr.func, s.Attribute):
                if self.is_lock(self._infer.expr(expr.func.value, scope), depth + 1):
                    names.add(expr.func.attr)
        return bool(names & {"acquire", "__aenter__", "__enter__"}) and "release" not in names

    # ---- walking ---------------------------------------------------------------------------------------------------

    def _yields(self, function: sym.Function, depth: int = 0) -> Iterator[tuple[s.Loc, _Around]]:
        if function.facts.is_generator:
            yield from self._in_block(function, function.facts.body, _Around(), depth)

    def _in_block(
        self, function: sym.Function, body: tuple[s.Stmt, ...], around: _Around, depth: int
    ) -> Iterator[tuple[s.Loc, _Around]]:
        taken = around
        for stmt in body:
            for top in sym.statement_expressions(stmt):
                for expr in sym.walk(top):
                    if isinstance(expr, (s.Yield, s.YieldFrom)):
                        yield expr.loc, taken
            if isinstance(stmt, (s.If, s.While)):
                inner = replace(taken, guards=(*taken.guards, stmt.test)) if isinstance(stmt, s.If) else taken
                yield from self._in_block(function, stmt.body, inner, depth)
                yield from self._in_block(function, stmt.orelse, inner, depth)
            elif isinstance(stmt, s.For):
                yield from self._in_block(function, stmt.body, taken, depth)
                yield from self._in_block(function, stmt.orelse, taken, depth)
            elif isinstance(stmt, s.With):
                locks = self._locks(function, stmt, depth)
                yield from self._in_block(function, stmt.body, replace(taken, locks=(*taken.locks, *locks)), depth)
            elif isinstance(stmt, s.Match):
                for case in stmt.cases:
                    yield from self._in_block(function, case.body, taken, depth)
            elif isinstance(stmt, s.Try):
                released = self._released(function, stmt, depth)
                inner = replace(taken, locks=(*taken.locks, *released))
                yield from self._in_block(function, stmt.body, inner, depth)
                yield from self._in_block(function, stmt.orelse, inner, depth)
                for handler in stmt.handlers:
                    caught = replace(inner, handlers=(*inner.handlers, (handler, stmt)))
                    yield from self._in_block(function, handler.body, caught, depth)
                # only tests inside the finally can know that the generator is being closed
                final = replace(taken, finals=(*taken.finals, stmt), guards=())
                yield from self._in_block(function, stmt.final, final, depth)

    def _locks(self, function: sym.Function, stmt: s.With, depth: int) -> tuple[tuple[s.Loc, str], ...]:
        scope = Scope(function.module, function)
        return tuple(
            (item.context.loc, _text(item.context))
            for item in stmt.items
            if self.is_lock(self._infer.expr(item.context, scope), depth)
        )

    def _released(self, function: sym.Function, stmt: s.Try, depth: int) -> tuple[tuple[s.Loc, str], ...]:
        """Locks that a ``finally`` releases: they are held in the ``try``."""
        scope = Scope(function.module, function)
        found = []
        for expr in sym.expressions(stmt.final):
            if isinstance(expr, s.Call) and isinstance(expr.func, s.Attribute) and expr.func.attr == "release":
                if self.is_lock(self._infer.expr(expr.func.value, scope), depth):
                    found.append((stmt.loc, _text(expr.func.value)))
        return tuple(found)


def _suspends(stmt: s.Try) -> bool:
    return any(_suspends_body(b) for b in (stmt.body, stmt.orelse, *(h.body for h in stmt.handlers)))


def _suspends_body(body: tuple[s.Stmt, ...]) -> bool:
    return any(isinstance(expr, (s.Yield, s.YieldFrom)) for expr in sym.expressions(body))


def _knows_better(stmt: s.Try, guards: tuple[s.Expr, ...]) -> bool:
    """Whether the yield depends on a name that the ``try`` sets: how it went decides."""
    asked = {e.id for test in guards for e in sym.walk(test) if isinstance(e, s.Name)}
    assigned: set[str] = set()
    for body in (stmt.body, stmt.orelse, *(h.body for h in stmt.handlers)):
        for inner in sym.statements(body):
            targets = inner.targets if isinstance(inner, s.Assign) else ()
            if isinstance(inner, (s.AugmentedAssign, s.AnnotatedAssign)):
                targets = (inner.target,)
            assigned.update(t.id for t in targets if isinstance(t, s.Name))
    return bool(asked & assigned) or bool(asked & {"sys"})


def _catches_closing(handler: s.Handler, stmt: s.Try) -> bool:
    """Whether the ``GeneratorExit`` of a yield in the ``try`` ends in this handler, which does not tell it apart."""
    names = {sym.last_name(t) for t in caught_types(handler)}
    if handler.types is not None and not names & _CLOSING:
        return False
    for earlier in stmt.handlers:
        if earlier is handler:
            break
        if earlier.types is None or {sym.last_name(t) for t in caught_types(earlier)} & _CLOSING:
            return False
    return not any(isinstance(expr, s.Name) and expr.id == "GeneratorExit" for expr in sym.expressions(handler.body))


def _text(expr: s.Expr) -> str:
    if isinstance(expr, s.Call):
        return f"{_text(expr.func)}()"
    if isinstance(expr, s.Subscript):
        return f"{_text(expr.value)}[...]"
    return sym.dotted_text(expr) or sym.last_name(expr) or "a lock"
