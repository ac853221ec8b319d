"""Which endpoints leave the commit of their writes to a dependency that makes it after its yield."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionlint.effects.observations import Committed, Created, DrivenProvider, Ended
from sessionlint.effects.requests import Provided, provided
from sessionlint.facts.shape import Loc
from sessionlint.project.symbols import Function

if TYPE_CHECKING:
    from sessionlint.effects.analysis import Analysis


def relying(analysis: Analysis) -> dict[str, list[tuple[Function, Provided]]]:
    """Key of a dependency that commits after its yield -> the endpoints whose writes wait for it."""
    found: dict[str, list[tuple[Function, Provided]]] = {}
    for function, seen in analysis.observations(Ended):
        name = analysis.entries.names.get(function.key, "")
        if analysis.entries.kind(function) != "route" or name.startswith("WEBSOCKET"):
            continue
        for one in provided(analysis, function, seen.origin.name):
            provider = _opener(analysis, one.provider)
            if one.scope != "function" and _commits(analysis, provider):
                found.setdefault(provider.key, []).append((function, one))
    return found


def _opener(analysis: Analysis, provider: Function) -> Function:
    """The provider that commits: behind a dependency that only hands on what another provides, the other one."""
    seen = {provider.key}
    while True:
        inner = [
            o.provider
            for o in analysis.result(provider).observations
            if isinstance(o, (Created, DrivenProvider)) and o.provider is not None and o.provider.key not in seen
        ]
        if len(inner) != 1 or written_commit(analysis, provider) is not None:
            return provider
        provider = inner[0]
        seen.add(provider.key)


def _commits(analysis: Analysis, provider: Function) -> bool:
    """Whether the code after the yield commits; where it may or may not, the commit must be written there."""
    after = set((analysis.result(provider).after_yield or {}).values())
    return "commit" in after or ("maybe" in after and written_commit(analysis, provider) is not None)


def written_commit(analysis: Analysis, provider: Function) -> Loc | None:
    """The commit that stands after the provider's yield."""
    result = analysis.result(provider)
    yields = [e.loc for e in result.events if e.kind == "yield"]
    commits = sorted(o.loc for o in result.observations if isinstance(o, Committed))
    return next((loc for loc in commits if yields and loc > yields[0]), None)
