"""Where the event loop has to wait: calls on sync sessions, made in a coroutine or in plain functions it calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sessionlint.effects.session_calls import SessionCall
from sessionlint.effects.state import MAX_CHAIN, Link
from sessionlint.facts.shape import Loc
from sessionlint.project import symbols as sym

if TYPE_CHECKING:
    from sessionlint.effects.analysis import Analysis


class Wait(NamedTuple):
    """The first wait of a function: where in it, through which calls, and the call at its end, in ``path``."""

    loc: Loc
    call: SessionCall
    chain: tuple[Link, ...]
    path: str


class Blocking:
    """Answers for one project, each function once."""

    def __init__(self, analysis: Analysis) -> None:
        self._analysis = analysis
        self._known: dict[str, Wait | None] = {}

    def first(self, function: sym.Function) -> Wait | None:
        """The first place where a function waits for a sync session; None where it does not."""
        if function.key in self._known:
            return self._known[function.key]
        self._known[function.key] = None
        own = next(iter(self._analysis.session_calls.blocking(function)), None)
        found = [Wait(own.loc, own, (), function.module.path)] if own is not None else []
        for edge in self._analysis.result(function).edges:
            callee = self._analysis.table.functions.get(edge.callee)
            if edge.how != "call" or callee is None or callee.facts.is_async or callee.module.is_test:
                continue
            inner = self.first(callee)
            if inner is not None:
                link = Link(function.module.path, edge.loc, f"{callee.qualname}()")
                found.append(Wait(edge.loc, inner.call, (link, *inner.chain)[:MAX_CHAIN], inner.path))
        wait = min(found, key=lambda w: w.loc) if found else None
        self._known[function.key] = wait
        return wait
