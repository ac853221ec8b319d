"""Loops and the results they read: rows that stream from an open cursor, and rows that are read again and again.

Looks at whole functions, not at paths.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.constructions import factories, keyword
from sessionlint.project.infer import Inference, Scope

_STREAMING_OPTIONS = frozenset({"yield_per", "stream_results"})
#: what makes a session read the row again, or another session read it
_REFRESHING = frozenset(
    {"refresh", "expire", "expire_all", "expunge", "expunge_all", "rollback", "commit", "close", "reset", "invalidate",
     "remove", "populate_existing", "get_async_session", "run_sync"}
)  # fmt: skip


class Poll(NamedTuple):
    """A row that a loop reads again at ``loc`` through a session opened before ``loop``; ``name`` keeps it alive."""

    loc: s.Loc
    loop: s.Loc
    name: str
    model: sym.Class


class Results:
    """Answers about the loops of a project."""

    def __init__(self, infer: Inference) -> None:
        self._infer = infer

    def streamed_from(self, function: sym.Function, loop: s.Loc) -> v.Origin | None:
        """The session whose open cursor feeds the ``for`` loop at a place."""
        for stmt in function.statements:
            if isinstance(stmt, s.For) and stmt.loc == loop:
                value = self._infer.expr(stmt.iterable, Scope(function.module, function))
                for option in v.options_of(value):
                    if isinstance(option, v.Rows) and option.origin is not None:
                        if stmt.is_async or self._asks_to_stream(function, stmt.iterable):
                            return option.origin
        return None

    def _asks_to_stream(self, function: sym.Function, expr: s.Expr, depth: int = 0) -> bool:
        """Whether an expression, or what its names are bound to, sets ``yield_per`` or ``stream_results``."""
        for part in sym.walk(expr):
            if isinstance(part, s.Attribute) and part.attr in _STREAMING_OPTIONS:
                return True
            if isinstance(part, s.Call) and any(k.name in _STREAMING_OPTIONS for k in part.keywords):
                return True
            if isinstance(part, s.Name) and depth < 3:
                for kind, what in function.bindings.get(part.id, ()):
                    if kind == "value" and self._asks_to_stream(function, what, depth + 1):  # type: ignore[arg-type]
                        return True
        return False

    def polls(self, function: sym.Function) -> Iterator[Poll]:
        """Rows read in every turn of a loop that waits, with nothing that would make them fresh."""
        for stmt in function.statements:
            if isinstance(stmt, s.While) and _waits(stmt) and not self._refreshes(stmt.body):
                yield from self._read_again(function, stmt)

    def _refreshes(self, body: tuple[s.Stmt, ...]) -> bool:
        called = {sym.last_name(e.func) for e in sym.expressions(body) if isinstance(e, s.Call)}
        return bool(called & (_REFRESHING - {"commit"} if self._keeps_rows else _REFRESHING))

    @cached_property
    def _keeps_rows(self) -> bool:
        """Whether no session of the project expires its objects at a commit."""
        options = [keyword(made.call, "expire_on_commit") for made in factories(self._infer)]
        return bool(options) and all(isinstance(o, s.Constant) and o.value is False for o in options)

    def _read_again(self, function: sym.Function, loop: s.While) -> Iterator[Poll]:
        scope = Scope(function.module, function)
        for stmt in sym.statements(loop.body):
            if not isinstance(stmt, s.Assign) or len(stmt.targets) != 1 or not isinstance(stmt.targets[0], s.Name):
                continue
            value = self._infer.expr(stmt.value, scope)
            for option in v.options_of(value):
                if isinstance(option, v.Entity) and option.model is not None and option.origin is not None:
                    if not _inside(loop, option.origin) and _is_read(stmt.value):
                        if not self._asks_to_refresh(function, stmt.value):
                            yield Poll(stmt.value.loc, loop.loc, stmt.targets[0].id, option.model)

    def _asks_to_refresh(self, function: sym.Function, expr: s.Expr) -> bool:
        """Whether the query, here or where it was built, asks for fresh rows."""
        for part in sym.walk(expr):
            if isinstance(part, s.Call):
                if sym.last_name(part.func) in {"populate_existing", "with_for_update"}:
                    return True
                if any(k.name in {"populate_existing", "with_for_update"} for k in part.keywords):
                    return True
            if isinstance(part, s.Name):
                for kind, what in function.bindings.get(part.id, ()):
                    if kind == "value" and isinstance(what, s.Call) and self._asks_to_refresh(function, what):
                        return True
        return False


def _waits(loop: s.While) -> bool:
    """A loop that pauses or hands out a value in its turns: it polls."""
    for expr in sym.expressions(loop.body):
        if isinstance(expr, (s.Yield, s.YieldFrom)):
            return True
        if isinstance(expr, s.Call) and sym.last_name(expr.func) in {"sleep", "wait_for"}:
            return True
    return False


def _is_read(expr: s.Expr) -> bool:
    """A call, awaited or not; not a name that was filled elsewhere."""
    inner = expr.value if isinstance(expr, s.Await) else expr
    return isinstance(inner, s.Call)


def _inside(loop: s.While, origin: v.Origin) -> bool:
    """Whether a session is made in the loop itself."""
    if origin.kind != "local":
        return False
    line = int(origin.name.partition(":")[0] or 0)
    return loop.loc.line <= line <= max(stmt.loc.end_line for stmt in sym.statements(loop.body))
