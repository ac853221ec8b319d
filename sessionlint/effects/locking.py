"""In-process locks that a function enters, and what it leaves uncommitted when it lets go of them.

Watches the ``with`` blocks of one frame. A lock that lives in the database is none: it is held until the commit.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sessionlint.effects import observations as obs
from sessionlint.effects.state import State, Write
from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v

if TYPE_CHECKING:
    from sessionlint.effects.interpreter import Frame

_CLASSES = frozenset({"Lock", "RLock"})
#: names of locks whose type is not known: ``lock``, ``self._locks[key]``, ``row_lock``, ``get_lock(name)``, ``mutex``
_NAMES = re.compile(r"(^|_)(r?locks?|locked|locker|lockset|mutex(es)?)(_|$)|Lock$|Mutex$")
_IN_DATABASE = re.compile(r"advisory|pg_|for_update|row_?lock|table_?lock|db_?lock", re.I)


class Locking:
    """The locks of one frame."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def left(self, stmt: s.With, states: list[State]) -> None:
        """A ``with`` block is over; ``states`` are the paths that leave it without an exception."""
        lock = next((item for item in stmt.items if self._is_lock(item.context)), None)
        if lock is None or not self._reads(stmt) or _locks_rows(stmt):
            return
        for state in states:
            for key, transaction in state.sessions.items():
                if transaction.unknown or transaction.closed or state.deliberate:
                    continue
                writes = tuple(w for w in transaction.pending if self._changed_inside(w, stmt))
                if writes:
                    origin = transaction.origin or key
                    text = sym.dotted_text(lock.context) or sym.last_name(lock.context) or "lock"
                    self._frame.note(obs.LockReleased(lock.context.loc, origin, writes, text))
                    return

    def _is_lock(self, expr: s.Expr) -> bool:
        frame = self._frame
        name = sym.last_name(expr) or ""
        if _IN_DATABASE.search(name):
            return False
        value = frame.infer.expr(expr, frame.infer_scope())
        if isinstance(value, (v.Session, v.Begin, v.Connection, v.Engine, v.Factory)) or frame.infer.holds(value):
            return False
        if isinstance(expr, s.Call) and any(
            isinstance(frame.infer.expr(a, frame.infer_scope()), (v.Session, v.Connection))
            for a in (*expr.args, *(k.value for k in expr.keywords))
        ):
            return False  # it is given the session: a lock in the database
        if isinstance(value, v.ExternalObject) and value.dotted.rpartition(".")[2] in _CLASSES:
            return True
        return bool(_NAMES.search(name))

    def _reads(self, stmt: s.With) -> bool:
        """Whether the block looks at the database: what is written depends on what was read."""
        frame = self._frame
        last = _last_line(stmt)
        for event in frame.result.events:
            if not stmt.loc.line <= event.loc.line <= last:
                continue
            if event.kind == "read":
                return True
            callee = frame.infer.table.functions.get(event.callee)
            if event.kind == "call" and callee is not None:
                if any(e.kind == "read" for e in frame.engine.result(callee).events):
                    return True
        return False

    def _changed_inside(self, write: Write, stmt: s.With) -> bool:
        if write.kind == "consumer" or (not write.chain and write.path != self._frame.function.module.path):
            return False
        loc = write.chain[0].loc if write.chain else write.loc
        return stmt.loc.line <= loc.line <= _last_line(stmt)


def _last_line(stmt: s.With) -> int:
    return max((inner.loc.end_line for inner in sym.statements(stmt.body)), default=stmt.loc.end_line)


def _locks_rows(stmt: s.With) -> bool:
    """``with_for_update()`` inside: the row stays locked until the commit, wherever that is."""
    for inner in sym.statements(stmt.body):
        for top in sym.statement_expressions(inner):
            if any(isinstance(e, s.Attribute) and e.attr == "with_for_update" for e in sym.walk(top)):
                return True
    return False
