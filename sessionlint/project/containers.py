"""What dependency injection containers build, for how long they keep it, and which sessions end up in it.

Reads dependency-injector's providers and dishka's provider methods; what the words mean stands in ``frameworks``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.frameworks import dishka, known, sqlalchemy
from sessionlint.project.infer import Inference, Scope


class Built(NamedTuple):
    """A class that a container builds. ``kept`` for the process, or anew for each use; ``call`` says so."""

    owner: sym.Class | sym.Module
    cls: sym.Class
    kept: bool
    call: s.Call
    text: str


class CapturedSession(NamedTuple):
    """A singleton whose constructor is given a session: ``argument`` names it."""

    owner: sym.Class | sym.Module
    cls: sym.Class
    loc: s.Loc
    argument: str


def built(infer: Inference) -> Iterator[Built]:
    """Every class outside tests that a provider object is told to build."""
    for owner, name, call in _provider_calls(infer):
        target = infer.expr(call.func, _scope(owner))
        if not isinstance(target, (v.External, v.ExternalObject)) or not call.args:
            continue
        made = infer.expr(call.args[0], _scope(owner))
        if not isinstance(made, v.ClassRef):
            continue
        lifetime = known.lifetime(target.dotted)
        if lifetime:
            yield Built(owner, made.cls, lifetime == "process", call, f"kept in the singleton `{name}`")
        elif known.provides(target.dotted) and dishka.scope(call):
            yield Built(owner, made.cls, dishka.is_process_long(call), call, "provided with `Scope.APP`")


def application_wide(infer: Inference) -> frozenset[str]:
    """Keys of provider methods whose result dishka keeps for the process."""
    found = set()
    for function in infer.table.all_functions():
        for decorator in function.facts.decorators:
            if sym.last_name(decorator) != "provide":
                continue
            target = infer.expr(
                decorator.func if isinstance(decorator, s.Call) else decorator, Scope(function.module, function.parent)
            )
            if isinstance(target, v.External) and known.provides(target.dotted):
                named = dishka.scope(decorator) if isinstance(decorator, s.Call) else ""
                if dishka.is_process(named or _default_scope(function)):
                    found.add(function.key)
    return frozenset(found)


def _default_scope(function: sym.Function) -> str:
    """``scope = Scope.APP`` in the body of the provider class."""
    declared = function.owner.attributes.get("scope") if function.owner is not None else None
    return (sym.last_name(declared.value) or "") if declared is not None and declared.value is not None else ""


def captured_sessions(infer: Inference) -> Iterator[CapturedSession]:
    """Singletons that are built with a session of their own, once and for all."""
    for found in built(infer):
        if not found.kept or not infer.classes.holds_session(found.cls):
            continue
        given = [("", a) for a in found.call.args[1:]] + [(k.name or "", k.value) for k in found.call.keywords]
        for name, expr in given:
            if _provides_session(infer, expr, found.owner):
                argument = name or sym.dotted_text(expr)
                yield CapturedSession(found.owner, found.cls, found.call.loc, argument)
                break


def _provides_session(infer: Inference, expr: s.Expr, owner: sym.Class | sym.Module, depth: int = 0) -> bool:
    """Whether a provider given as an argument opens a session when the singleton is built."""
    if depth > 3:
        return False
    if isinstance(expr, s.Name):
        if isinstance(owner, sym.Class):
            attribute = owner.attributes.get(expr.id)
            return attribute is not None and attribute.value is not None and (
                _provides_session(infer, attribute.value, owner, depth + 1)
            )  # fmt: skip
        assigned = owner.assigned.get(expr.id, [])
        return len(assigned) == 1 and _provides_session(infer, assigned[0][0], owner, depth + 1)
    if isinstance(expr, s.Call) and expr.args:
        target = infer.expr(expr.func, _scope(owner))
        if isinstance(target, v.External) and known.provides(target.dotted):
            made = infer.expr(expr.args[0], _scope(owner))
            if isinstance(made, v.Factory):
                return not made.scoped
            if isinstance(made, v.FunctionRef):
                function = made.function
                value = infer.yields(function) if function.facts.is_generator else infer.returns(function)
                return isinstance(value, v.Session)
            if isinstance(made, v.External):
                return sqlalchemy.is_session(made.dotted) is not None
            return isinstance(made, v.ClassRef) and infer.classes.session_flavour(made.cls) is not None
    return False


def _provider_calls(infer: Inference) -> Iterator[tuple[sym.Class | sym.Module, str, s.Call]]:
    for cls in infer.table.classes.values():
        for attribute in () if cls.module.is_test else cls.facts.attributes:
            if isinstance(attribute.value, s.Call):
                yield cls, f"{cls.name}.{attribute.name}", attribute.value
    for module in infer.table.modules.values():
        for name, assigned in () if module.is_test else module.assigned.items():
            for expr, function in assigned:
                if function is None and isinstance(expr, s.Call):
                    yield module, name, expr


def _scope(owner: sym.Class | sym.Module) -> Scope:
    return Scope(owner) if isinstance(owner, sym.Module) else Scope(owner.module, owner.parent)
