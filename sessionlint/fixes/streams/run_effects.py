"""What lines of a function do to sessions, calls included: do they write, do they end transactions themselves."""

from __future__ import annotations

from collections.abc import Container
from typing import NamedTuple

from sessionlint.effects import Analysis
from sessionlint.effects.observations import Suspended
from sessionlint.project import symbols as sym

_MOST_DEEP = 12


class Effects(NamedTuple):
    """``pending``: the last write is behind the last commit."""

    writes: bool
    ends: bool
    pending: bool


def effects_of(analysis: Analysis, function: sym.Function, lines: Container[int] | None = None) -> Effects:
    """The effects of some lines, or of all; events in the order of the text."""
    writes = ends = pending = False
    for kind in _kinds(analysis, function, lines, frozenset()):
        if kind in {"write", "flush"}:
            writes = writes or kind == "write"
            pending = pending or kind == "write"
        elif kind in {"commit", "rollback"}:
            ends, pending = True, False
    return Effects(writes, ends, pending)


def _kinds(analysis: Analysis, function: sym.Function, lines: Container[int] | None, seen: frozenset[str]) -> list[str]:
    if function.key in seen or len(seen) > _MOST_DEEP:
        return []
    found: list[str] = []
    for event in analysis.result(function).events:
        if lines is not None and event.loc.line not in lines:
            continue
        callee = analysis.table.functions.get(event.callee)
        if callee is not None:
            found.extend(_kinds(analysis, callee, None, seen | {function.key}))
        else:
            found.append(event.kind)
    return found


def waits_open(analysis: Analysis, generator: sym.Function, seen: frozenset[str] = frozenset()) -> Suspended | None:
    """Where a generator, or one it passes on, waits for its reader with a transaction open that is not its own."""
    if generator.key in seen:
        return None
    result = analysis.result(generator)
    for one in result.observations:
        if isinstance(one, Suspended) and one.open and not one.owned:
            return one
    inner = (analysis.table.functions.get(e.callee) for e in result.edges if e.how == "iterate")
    found = (waits_open(analysis, f, seen | {generator.key}) for f in inner if f is not None)
    return next((one for one in found if one is not None), None)
