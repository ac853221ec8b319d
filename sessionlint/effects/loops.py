"""New event loops: where plain code runs a coroutine to its end (``asyncio.run``, ``anyio.run``, ``async_to_sync``)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Scope

if TYPE_CHECKING:
    from sessionlint.effects.analysis import Analysis

_RUNNERS = frozenset({"asyncio.run", "anyio.run", "uvloop.run"})
_ADAPTERS = frozenset({"asgiref.sync.async_to_sync"})


class Run(NamedTuple):
    """``function`` starts a loop at ``loc`` for ``work``; ``text`` is the call as written."""

    function: sym.Function
    loc: s.Loc
    work: sym.Function
    text: str


def runs(analysis: Analysis) -> Iterator[Run]:
    """Every such place outside tests whose work is a coroutine function of the project."""
    for name in ("run", "async_to_sync"):
        for module, function, call in analysis.infer.call_sites(name):
            if function is None or module.is_test or function.facts.is_async:
                continue
            scope = Scope(module, function)
            runner = analysis.infer.expr(call.func, scope)
            dotted = runner.dotted if isinstance(runner, v.External) else ""
            if dotted in _RUNNERS | _ADAPTERS and call.args:
                given = analysis.infer.expr(call.args[0], scope)
                work = given.function if isinstance(given, (v.Running, v.FunctionRef)) else None
                if work is not None:
                    yield Run(function, call.loc, work, sym.dotted_text(call.func) or name)
