"""Functions that run per request, event or job, and not once per process: told from who calls them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sessionlint.facts.shape import Loc
from sessionlint.project.keeping import is_cached
from sessionlint.project.symbols import Function

if TYPE_CHECKING:
    from sessionlint.effects.analysis import Analysis

_OFTEN = frozenset({"route", "task", "event"})
_ONCE = frozenset({"lifespan", "command", "script", "test"})


class Call(NamedTuple):
    """One call on the way down: in ``function``, at ``loc``, of ``callee``."""

    function: Function
    loc: Loc
    callee: Function


class Way(NamedTuple):
    """From what runs often down to the function asked about."""

    top: Function
    calls: tuple[Call, ...]


def often(analysis: Analysis, function: Function) -> Way | None:
    """How a request or job leads to the function; None where it may run only once."""
    waiting: list[tuple[Function, tuple[Call, ...]]] = [(function, ())]
    seen = {function.key}
    while waiting:
        current, calls = waiting.pop(0)
        kind = analysis.entries.kind(current)
        if kind in _ONCE or (current is not function and is_cached(current)):
            continue
        if kind in _OFTEN or current.key in analysis.entries.dependencies:
            return Way(current, calls)
        for caller, loc, _ in analysis.callers.get(current.key, ()):
            if caller.key not in seen and not caller.module.is_test:
                seen.add(caller.key)
                waiting.append((caller, (Call(caller, loc, current), *calls)))
    return None
