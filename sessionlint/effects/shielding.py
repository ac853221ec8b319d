"""Commits, rollbacks and closes that a cancellation can interrupt: awaited plainly, in no shielded scope."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sessionlint.effects.session_calls import SessionCall
from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym

if TYPE_CHECKING:
    from sessionlint.effects.analysis import Analysis

_ENDS = frozenset({"commit", "rollback", "close"})


def unshielded(analysis: Analysis, function: sym.Function) -> Iterator[SessionCall]:
    """What the function awaits itself; a call that is handed to ``shield()`` or the like is not awaited here."""
    shielded = {line for stmt in function.statements if _is_shield(stmt) for line in _lines(stmt)}
    for call in analysis.session_calls.of(function):
        if call.method in _ENDS and call.fate == "awaited" and call.session.is_async is True:
            if call.loc.line not in shielded:
                yield call


def _is_shield(stmt: s.Stmt) -> bool:
    """``with CancelScope(shield=True):``, ``with move_on_after(5, shield=True):``."""
    return isinstance(stmt, s.With) and any(
        isinstance(item.context, s.Call) and any(k.name == "shield" for k in item.context.keywords)
        for item in stmt.items
    )


def _lines(stmt: s.Stmt) -> Iterator[int]:
    """The lines of the expressions in a block."""
    for inner in sym.statements(stmt.body if isinstance(stmt, s.With) else ()):
        for top in sym.statement_expressions(inner):
            yield from range(top.loc.line, top.loc.end_line + 1)
