"""What a framework makes for one request: the session-opening dependencies behind an entry point's parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sessionlint.effects.observations import Created, DrivenProvider
from sessionlint.effects.scopes import OWN
from sessionlint.facts.shape import Loc
from sessionlint.project import symbols as sym

if TYPE_CHECKING:
    from sessionlint.effects.analysis import Analysis


class Provided(NamedTuple):
    """One dependency with its options. ``via`` are the functions between the entry point and it, outermost first."""

    provider: sym.Function
    scope: str
    cached: bool
    parameter: str
    loc: Loc
    via: tuple[sym.Function, ...] = ()


def provided(analysis: Analysis, function: sym.Function, parameter: str) -> list[Provided]:
    """The dependencies behind one parameter that do something to a session: open one, or end its transaction."""
    return _behind(analysis, function, parameter, None, ())


def opens_session(analysis: Analysis, provider: sym.Function) -> bool:
    """Whether a dependency brings a session of its own to life."""
    return provider.key in analysis.providers or OWN in (analysis.result(provider).after_yield or {})


def _behind(
    analysis: Analysis, function: sym.Function, name: str, top: tuple[str, Loc] | None, via: tuple[sym.Function, ...]
) -> list[Provided]:
    declared = function.parameters.get(name)
    dependency = analysis.infer.dependency(function, declared) if declared is not None else None
    target = analysis.infer.runs(dependency.target) if dependency is not None else None
    if declared is None or dependency is None or target is None or target in via:
        return []
    top = top or (name, declared.loc)
    found = []
    if opens_session(analysis, target) or analysis.result(target).after_yield:
        found.append(Provided(target, dependency.scope, dependency.use_cache, *top, via))
    for inner in target.parameters:
        found.extend(_behind(analysis, target, inner, top, (*via, target)))
    return found


def opened_from(analysis: Analysis, provider: sym.Function, depth: int = 0) -> frozenset[str]:
    """What a provider makes its session with: the factories' definitions, followed through providers it uses itself."""
    found: set[str] = set()
    for seen in analysis.result(provider).observations:
        if isinstance(seen, (Created, DrivenProvider)) and seen.provider is not None and depth < _MAX_DEPTH:
            found |= opened_from(analysis, seen.provider, depth + 1)
        elif isinstance(seen, Created):
            head, _, rest = seen.text.partition(".")
            symbol = analysis.table.lookup(provider.module, head)
            home = f"{symbol.module.path}:{symbol.name}" if isinstance(symbol, sym.Global) else head
            found.add(f"{home}.{rest}")
    return frozenset(found)


#: providers that use a provider that uses a provider
_MAX_DEPTH = 4
