"""Commits that a loop repeats: which loop, how often it may run, and what in it makes a commit per turn reasonable.

Watches the ``for`` loops of one frame.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sessionlint.effects import observations as obs
from sessionlint.effects.state import State
from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v

if TYPE_CHECKING:
    from sessionlint.effects.interpreter import Frame

_BATCH_WORDS = re.compile(r"(batch|chunk|page|bucket|window|slice|partition|shard|block|fetchmany|yield_per)", re.I)


@dataclass(slots=True)
class Turn:
    """One loop being run. ``foreign`` is what the frame knew of slow awaits before it."""

    stmt: s.For
    foreign: bool


class Looping:
    """The ``for`` loops of one frame."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._loops: list[Turn] = []

    def enter(self, stmt: s.For | s.While) -> None:
        """A loop begins."""
        if isinstance(stmt, s.For):
            self._loops.append(Turn(stmt, self._frame.foreign))
            self._frame.foreign = False

    def committed(self, origin: v.Origin, state: State, loc: s.Loc) -> None:
        """A commit of this function itself."""
        if self._loops:
            state.turn[loc] = origin

    def turned(self, stmt: s.For | s.While, states: list[State]) -> None:
        """The body has run once; ``states`` go on to the next turn."""
        for state in states:
            for loc, origin in list(state.turn.items()):
                if _within(stmt.body, loc):
                    del state.turn[loc]
                    if isinstance(stmt, s.For) and not self._opened_inside(stmt, origin):
                        self._note(stmt, loc, origin)

    def leave(self, stmt: s.For | s.While) -> None:
        """The loop is over."""
        if isinstance(stmt, s.For):
            turn = self._loops.pop()
            self._frame.foreign = self._frame.foreign or turn.foreign

    def _note(self, stmt: s.For, loc: s.Loc, origin: v.Origin) -> None:
        why = ""
        if _is_batched(stmt) or _few(stmt.iterable) or _is_group(stmt):
            why = "batch"
        elif self._frame.foreign or stmt.is_async or _suspends(stmt.body) or self._goes_elsewhere(stmt):
            why = "wait"
        elif _contained(stmt.body, loc):
            why = "contained"
        elif _counted(stmt.body, loc):
            why = "batch"
        self._frame.note(obs.CommittedInLoop(loc, origin, stmt.loc, why))

    def _goes_elsewhere(self, stmt: s.For) -> bool:
        """Each turn queues a job, whose taker must find its rows, or awaits what is no part of the project."""
        frame = self._frame
        for expr in sym.expressions(stmt.body):
            if isinstance(expr, s.Call) and frame.engine.catalog.is_queue(sym.last_name(expr.func) or ""):
                return True
            if isinstance(expr, s.Await) and isinstance(expr.value, s.Call):
                target = frame.infer.expr(expr.value.func, frame.infer_scope())
                if isinstance(target, (v.Unknown, v.External, v.ExternalObject)):
                    return True
        return False

    def _opened_inside(self, stmt: s.For, origin: v.Origin) -> bool:
        owned = self._frame.owned.get(origin)
        return owned is not None and _within(stmt.body, owned.opened)


def _within(body: tuple[s.Stmt, ...], loc: s.Loc) -> bool:
    """Whether a place lies in a block, nested blocks included."""
    return any(stmt.loc.line <= loc.line <= stmt.loc.end_line for stmt in sym.statements(body))


def _is_batched(stmt: s.For) -> bool:
    """A loop over batches: by the names it uses, or ``range`` with a step."""
    parts = (*sym.walk(stmt.iterable), *sym.walk(stmt.target))
    names = [e.id if isinstance(e, s.Name) else e.attr for e in parts if isinstance(e, (s.Name, s.Attribute))]
    if any(_BATCH_WORDS.search(name) for name in names):
        return True
    calls = [e for e in sym.walk(stmt.iterable) if isinstance(e, s.Call)]
    return any(sym.last_name(c.func) == "range" and len(c.args) == 3 for c in calls)


def _is_group(stmt: s.For) -> bool:
    """An item is a group itself: the body runs over it, or hands it over as a whole."""
    names = {e.id for e in sym.walk(stmt.target) if isinstance(e, s.Name)}
    for inner in sym.statements(stmt.body):
        if isinstance(inner, s.For) and isinstance(inner.iterable, s.Name) and inner.iterable.id in names:
            return True
        for top in sym.statement_expressions(inner):
            for expr in sym.walk(top):
                if isinstance(expr, s.Call) and (sym.last_name(expr.func) or "").startswith(("add_all", "bulk_")):
                    if any(isinstance(a, s.Name) and a.id in names for a in expr.args):
                        return True
    return False


def _few(iterable: s.Expr) -> bool:
    """A display of constants: a fixed handful of turns."""
    return isinstance(iterable, s.Collection)


def _suspends(body: tuple[s.Stmt, ...]) -> bool:
    """The loop hands out something each turn."""
    return any(
        isinstance(e, (s.Yield, s.YieldFrom)) for e in sym.expressions(body)
    )  # fmt: skip


def _contained(body: tuple[s.Stmt, ...], loc: s.Loc) -> bool:
    """The commit stands in a ``try`` of the loop whose handler goes on: each turn is a unit of its own."""
    for stmt in sym.statements(body):
        if isinstance(stmt, s.Try) and stmt.handlers and _within(stmt.body + stmt.orelse, loc):
            if any(not h.body or not isinstance(h.body[-1], (s.Raise, s.Return)) for h in stmt.handlers):
                return True
    return False


def _counted(body: tuple[s.Stmt, ...], loc: s.Loc) -> bool:
    """The commit stands under a test that counts: ``i % 100 == 0``, ``len(buffer) >= size``."""
    for stmt in sym.statements(body):
        if isinstance(stmt, s.If) and _within(stmt.body, loc):
            for expr in sym.walk(stmt.test):
                if isinstance(expr, s.Compare) and (_computes(expr.left) or set(expr.ops) & {">", ">=", "<", "<="}):
                    return True
                if isinstance(expr, s.Not) and isinstance(expr.value, s.Other):
                    return True
    return False


def _computes(expr: s.Expr) -> bool:
    return isinstance(expr, s.Other) or (isinstance(expr, s.Call) and sym.last_name(expr.func) == "len")
