"""What becomes of a session when the entry point that used it has ended: what its dependency or a hook does then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionlint.effects.observations import Committed
from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v

if TYPE_CHECKING:
    from sessionlint.effects.analysis import Analysis

#: entry points that stand around others: hooks, middleware, lifespans
_AROUND = frozenset({"event", "lifespan"})


def is_lost(analysis: Analysis, function: sym.Function, origin: v.Origin) -> bool:
    """Whether nobody commits what a function leaves pending on a session that it did not open."""
    if origin.kind == "global":
        return analysis.entries.kind(function) not in {"", *_AROUND} and origin not in analysis.committed_around
    return bool(analysis.entries.kind(function)) and policies(analysis, function, origin.name) == {"nothing"}


def policies(
    analysis: Analysis, function: sym.Function, parameter: str, seen: frozenset[str] = frozenset()
) -> set[str]:
    """What the dependencies behind a parameter do with their session after the request: commit, nothing, ..."""
    declared = function.parameters.get(parameter)
    if declared is None:
        return {"unknown"}
    dependency = analysis.infer.dependency(function, declared)
    if dependency is None:
        return {"unknown"} if not seen else set()
    provider = analysis.infer.runs(dependency.target)
    if provider is None or provider.key in seen:
        return {"unknown"}
    if provider.key in analysis.providers:
        return {analysis.provider_policy(provider)}
    found: set[str] = set()
    for name in provider.parameters:
        found |= policies(analysis, provider, name, seen | {provider.key})
    return found


def committed_around(analysis: Analysis) -> frozenset[v.Origin]:
    """The shared sessions that code which runs around others may commit.

    That is a hook or middleware, the wrapper of a decorator, a context manager, a method that goes on to ``super()``.
    """
    found: set[v.Origin] = set()
    for function in analysis.functions:
        result = analysis.result(function)
        variants = result.summary.variants
        committed = {o for variant in variants for o, t in variant.transactions if t.committed}
        committed.update(o.origin for o in result.observations if isinstance(o, Committed))
        if any(o.kind == "global" for o in committed) and _stands_around(analysis, function):
            found |= committed
    return frozenset(o for o in found if o.kind == "global")


def _stands_around(analysis: Analysis, function: sym.Function) -> bool:
    called = {call.func.id for call in function.calls if isinstance(call.func, s.Name)}
    return (
        analysis.entries.kind(function) in _AROUND
        or (function.parent is not None and bool(called & set(function.parent.parameters)))
        or function.facts.is_generator
        or function.name in {"__exit__", "__aexit__", "__call__"}
        or "super" in called
    )
