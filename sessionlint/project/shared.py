"""Sessions that live as long as the process: kept in a global, a class, a default argument, a cache or a singleton.

A session is one that the expression itself opens; factories and scoped registries are none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Inference, Scope, place_origin
from sessionlint.project.lifetimes import Lifetimes, Reason, is_application_state, place_of

_CACHES = frozenset({"lru_cache", "cache", "alru_cache"})
_SINGLETONS = frozenset({"Singleton", "ThreadSafeSingleton"})


class Shared(NamedTuple):
    """One such session; ``where`` says what keeps it, ``why`` how that comes to live so long."""

    owner: sym.Function | sym.Class | sym.Module
    loc: s.Loc
    text: str
    where: str
    why: tuple[Reason, ...] = ()


def shared_sessions(infer: Inference, lifetimes: Lifetimes, serves: Callable[[sym.Function], bool]) -> Iterator[Shared]:
    """Every process-long session outside tests, scripts left out; ``serves`` tells what answers requests and jobs."""
    imported = _imported(infer.table)
    for module in infer.table.modules.values():
        if module.is_test:
            continue
        yield from _globals(infer, module, module.path in imported, serves)
        for cls in module.classes.values():
            for attribute in cls.facts.attributes:
                scope = Scope(module, cls.parent)
                for call in _opened(infer, attribute.value, scope):
                    yield Shared(cls, call.loc, _text(call), f"the class attribute `{cls.name}.{attribute.name}`")
                for call in _singletons(infer, attribute.value, scope):
                    yield Shared(cls, call.loc, _text(call), f"the singleton `{cls.name}.{attribute.name}`")
            yield from _kept_objects(infer, cls, lifetimes)
        for function in module.functions.values():
            yield from _of_function(infer, function, lifetimes)


def _globals(
    infer: Inference, module: sym.Module, is_imported: bool, serves: Callable[[sym.Function], bool]
) -> Iterator[Shared]:
    for name, assigned in module.assigned.items():
        for expr, function in assigned:
            if function is None and not _is_shared(infer, module, name, is_imported, serves):
                continue
            for call in _opened(infer, expr, Scope(module, function)):
                yield Shared(function or module, call.loc, _text(call), f"the module global `{name}`")
            for part in _singletons(infer, expr, Scope(module, function)):
                yield Shared(function or module, part.loc, _text(part), f"the singleton `{name}`")


def _is_shared(
    infer: Inference, module: sym.Module, name: str, is_imported: bool, serves: Callable[[sym.Function], bool]
) -> bool:
    """Whether a module-level session is for others: a script's own, used by the statements around it, is not."""
    users = [f for f in module.functions.values() if name in _names(f)]
    if any(serves(f) for f in users):
        return True
    held = infer.global_value(module, name)
    concurrent = isinstance(held, v.Session) and held.is_async and sum(f.facts.is_async for f in users) > 1
    for stmt in module.facts.body:
        if isinstance(stmt, s.If) and isinstance(stmt.test, s.Compare) and _mentions(stmt.test, "__name__"):
            return bool(concurrent)
        if isinstance(stmt, (s.Expression, s.For, s.With, s.Assign)) and _used_by(stmt, name):
            return False
    return is_imported or bool(users)


def _used_by(stmt: s.Stmt, name: str) -> bool:
    """``session.add(...)`` as a statement of the module."""
    for expr in sym.expressions([stmt]):
        if isinstance(expr, s.Call) and isinstance(expr.func, s.Attribute):
            if isinstance(expr.func.value, s.Name) and expr.func.value.id == name:
                return True
    return False


def _names(function: sym.Function) -> frozenset[str]:
    return frozenset(e.id for e in function.expressions if isinstance(e, s.Name))


def _kept_objects(infer: Inference, cls: sym.Class, lifetimes: Lifetimes) -> Iterator[Shared]:
    """What the constructor of a process-long object opens and keeps on it."""
    reasons = lifetimes.process_long(cls.key)
    for attr, assigned in infer.classes.assigned(cls).items() if reasons else ():
        for method, expr, _ in assigned:
            if method.name in {"__init__", "__post_init__"}:
                for call in _opened(infer, expr, Scope(cls.module, method)):
                    yield Shared(method, call.loc, _text(call), f"`{cls.name}.{attr}`", reasons or ())


def _of_function(infer: Inference, function: sym.Function, lifetimes: Lifetimes) -> Iterator[Shared]:
    scope = Scope(function.module, function)
    for parameter in function.facts.parameters:
        for call in _opened(infer, parameter.default, Scope(function.module, function.parent)):
            yield Shared(function, call.loc, _text(call), f"the default of the parameter `{parameter.name}`")
    if _CACHES & function.decorator_names or lifetimes.is_application_wide(function):
        made = infer.yields(function) if function.facts.is_generator else infer.returns(function)
        if any(o.kind == "local" for o in infer.holds(made)):
            how = "the cache of" if _CACHES & function.decorator_names else "the application-wide provider"
            yield Shared(function, function.facts.loc, f"{function.name}()", f"{how} `{function.qualname}`")
    for stmt in function.statements:
        if isinstance(stmt, s.Assign):
            for target in stmt.targets:
                if isinstance(target, (s.Attribute, s.Subscript)) and is_application_state(infer, target, scope):
                    for call in _opened(infer, stmt.value, scope):
                        yield Shared(function, call.loc, _text(call), f"`{place_of(target)}`")


def _singletons(infer: Inference, expr: s.Expr | None, scope: Scope) -> Iterator[s.Call]:
    for part in sym.walk(expr) if expr is not None else ():
        if isinstance(part, s.Call) and _makes_singleton(infer, part, scope):
            yield part


def _makes_singleton(infer: Inference, call: s.Call, scope: Scope) -> bool:
    """dependency-injector's ``Singleton(factory)``: one session for all; ``Singleton(sessionmaker)`` is a factory."""
    if sym.last_name(call.func) not in _SINGLETONS or not call.args:
        return False
    target = infer.expr(call.func, scope)
    if not isinstance(target, v.External) or not target.dotted.startswith("dependency_injector"):
        return False
    made = infer.called(infer.expr(call.args[0], scope), (), (), call.loc)
    return isinstance(made, v.Session) and made.origin == place_origin(call.loc)


def _opened(infer: Inference, expr: s.Expr | None, scope: Scope) -> Iterator[s.Call]:
    """The calls inside an expression that open a session there and then."""
    waiting = [expr] if expr is not None else []
    while waiting:
        current = waiting.pop()
        if isinstance(current, s.Lambda):
            continue
        if isinstance(current, s.Call):
            made = infer.expr(current, scope)
            if isinstance(made, v.Session) and made.origin == place_origin(current.loc):
                yield current
                continue
        waiting.extend(sym.children(current))


def _imported(table: sym.SymbolTable) -> frozenset[str]:
    """Paths of the modules that another one imports (from)."""
    found = set()
    for module in table.modules.values():
        if module.is_test:
            continue
        for binding in module.facts.imports:
            symbol = table.resolve(module, binding) if binding.local != "*" else None
            if symbol is not None and not isinstance(symbol, sym.External) and symbol.module is not module:
                found.add(symbol.module.path)
    return frozenset(found)


def _mentions(expr: s.Expr, name: str) -> bool:
    return any(isinstance(e, s.Name) and e.id == name for e in sym.walk(expr))


def _text(call: s.Call) -> str:
    return f"{sym.dotted_text(call.func) or sym.last_name(call.func) or 'call'}()"
