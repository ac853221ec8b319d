"""What a function does with something it makes: keep it for later calls, or dispose of it before it ends."""

from __future__ import annotations

from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym

_CACHES = frozenset({"lru_cache", "cache", "alru_cache", "cached", "cached_property", "singleton"})


def is_cached(function: sym.Function) -> bool:
    """Whether a decorator keeps the result for the next call."""
    return bool(_CACHES & function.decorator_names)


def keeps(function: sym.Function, call: s.Call) -> bool:
    """Whether the result of ``call`` goes into a global, an attribute or a container, at once or through a name."""
    names: set[str] = set()
    for stmt in function.statements:
        if isinstance(stmt, s.Assign):
            value, targets = stmt.value, stmt.targets
        elif isinstance(stmt, s.AnnotatedAssign) and stmt.value is not None:
            value, targets = stmt.value, (stmt.target,)
        else:
            continue
        parts = sym.walk(value)
        made = any(p is call for p in parts) or any(isinstance(p, s.Name) and p.id in names for p in parts)
        for target in targets if made else ():
            if not isinstance(target, s.Name) or target.id in function.facts.globals:
                return True
            names.add(target.id)
    return False


_TAKES_OUT = frozenset({"pop", "popitem", "remove", "discard", "clear", "popleft"})


def takes_out(function: sym.Function, container: str) -> bool:
    """Whether the function itself removes entries from the container it names so (``ACTIVE.pop(key)``)."""
    for call in function.calls:
        if isinstance(call.func, s.Attribute) and call.func.attr in _TAKES_OUT:
            if sym.dotted_text(call.func.value) == container:
                return True
    return any(
        isinstance(target, s.Subscript) and sym.dotted_text(target.value) == container
        for stmt in function.statements
        if isinstance(stmt, s.Delete)
        for target in stmt.targets
    )


def removers(keeper: sym.Function, container: str) -> frozenset[str]:
    """Names of the functions beside ``keeper`` (of its class, else of its module) that take entries out again."""
    owner, name = keeper.owner, container.rpartition(".")[2]
    if owner is None:
        beside, spellings = list(keeper.module.functions.values()), [container]
    else:
        beside, spellings = list(owner.methods.values()), [f"{start}.{name}" for start in ("cls", "self", owner.name)]
    return frozenset(f.name for f in beside if any(takes_out(f, spelling) for spelling in spellings))


def calls_finally(function: sym.Function, names: frozenset[str]) -> bool:
    """Whether a ``finally`` of the function calls something of one of these names."""
    finals = (stmt.final for stmt in function.statements if isinstance(stmt, s.Try))
    return any(sym.last_name(call.func) in names for final in finals for call in sym.calls(final))


def disposes(function: sym.Function) -> bool:
    """Whether the function names ``dispose``."""
    return any(isinstance(e, s.Attribute) and e.attr == "dispose" for e in function.expressions)
