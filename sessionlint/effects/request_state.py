"""Sessions that an ASGI middleware opens around a whole request and leaves in its state for dependencies to hand on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Scope

if TYPE_CHECKING:
    from sessionlint.effects.analysis import Analysis

_ASGI = ("scope", "receive", "send")


def kept_by_middleware(analysis: Analysis) -> dict[str, sym.Function]:
    """``scope["state"]["session"] = session`` inside the session's block: the name, and the middleware's ``__call__``.

    A plain ASGI middleware leaves its block when the last byte is sent; what a ``BaseHTTPMiddleware`` does is not told.
    """
    found: dict[str, sym.Function] = {}
    for function in analysis.functions:
        if function.name == "__call__" and tuple(function.parameters)[-3:] == _ASGI:
            for block in function.statements:
                for stmt in sym.statements(block.body) if isinstance(block, s.With) else ():
                    for target in stmt.targets if isinstance(stmt, s.Assign) else ():
                        name = _state_name(target)
                        if name and isinstance(stmt, s.Assign) and _is_session(analysis, stmt.value, function):
                            found[name] = function
    return found


def state_session(analysis: Analysis, function: sym.Function, parameter: str) -> sym.Function | None:
    """The middleware that owns the session behind a parameter which a dependency reads from ``request.state``."""
    declared = function.parameters.get(parameter)
    dependency = analysis.infer.dependency(function, declared) if declared is not None else None
    target = dependency.target if dependency is not None else None
    if not isinstance(target, v.FunctionRef):
        return None
    provider = target.function
    value = analysis.infer.yields(provider) if provider.facts.is_generator else analysis.infer.returns(provider)
    if not isinstance(value, v.ExternalObject):
        return None
    path, _, name = value.dotted.rpartition(".")
    return analysis.state_sessions.get(name) if path.endswith(".state") else None


def _state_name(target: s.Expr) -> str:
    """``scope["state"]["name"]``."""
    if isinstance(target, s.Subscript) and isinstance(target.value, s.Subscript):
        outer, inner = target.value, target.index
        if isinstance(outer.value, s.Name) and outer.value.id == _ASGI[0] and isinstance(outer.index, s.Constant):
            if outer.index.value == "state" and isinstance(inner, s.Constant) and isinstance(inner.value, str):
                return inner.value
    return ""


def _is_session(analysis: Analysis, value: s.Expr, function: sym.Function) -> bool:
    held = analysis.infer.expr(value, Scope(function.module, function))
    return any(isinstance(o, v.Session) for o in v.options_of(held))
