"""Where factories and engines are made: every call of ``sessionmaker``, ``create_engine`` and their kin.

Finds the calls at module level, in class bodies and in functions, under whatever name they were imported; calls of the
project's own subclasses count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.frameworks import known, sqlalchemy
from sessionlint.project.infer import Inference, Scope


class Construction(NamedTuple):
    """One such call; ``function`` is None at module level and in class bodies."""

    module: sym.Module
    function: sym.Function | None
    call: s.Call
    made: v.Value

    @property
    def owner(self) -> sym.Function | sym.Module:
        """What a finding about it stands in."""
        return self.function or self.module


def factories(infer: Inference) -> Iterator[Construction]:
    """Every ``sessionmaker(...)`` and ``async_sessionmaker(...)`` outside tests."""
    return _constructions(infer, lambda dotted: sqlalchemy.is_factory(dotted)[0], _FACTORY_NAMES)


def sessions(infer: Inference) -> Iterator[Construction]:
    """Every ``AsyncSession(...)`` and ``Session(...)`` outside tests."""
    return _constructions(infer, lambda dotted: sqlalchemy.is_session(dotted) is not None, _SESSION_NAMES)


def registries(infer: Inference) -> Iterator[Construction]:
    """Every ``scoped_session(...)`` and ``async_scoped_session(...)`` outside tests."""
    return _constructions(infer, lambda dotted: sqlalchemy.is_registry(dotted) is not None, _REGISTRY_NAMES)


def engines(infer: Inference) -> Iterator[Construction]:
    """Every ``create_engine(...)`` and ``create_async_engine(...)`` outside tests."""
    return _constructions(infer, lambda dotted: sqlalchemy.makes_engine(dotted) is not None, _ENGINE_NAMES)


def keyword(call: s.Call, name: str) -> s.Expr | None:
    """The expression a call gives for a keyword."""
    return next((k.value for k in call.keywords if k.name == name), None)


def passes_on(call: s.Call) -> bool:
    """Whether arguments come from elsewhere: ``**options``."""
    return any(k.name is None for k in call.keywords)


def reconfigured(infer: Inference, found: Construction, option: str) -> bool:
    """Whether a factory is given ``option`` later: ``maker.configure(option=...)`` in the module that makes it."""
    for module, function, call in infer.call_sites("configure"):
        if module is found.module and keyword(call, option) is not None and isinstance(call.func, s.Attribute):
            if isinstance(infer.expr(call.func.value, Scope(module, function)), v.Factory):
                name = sym.dotted_text(call.func.value)
                if any(expr is found.call for expr, _ in module.assigned.get(name, ())):
                    return True
    return False


_FACTORY_NAMES = frozenset({"sessionmaker", "async_sessionmaker"})
_SESSION_NAMES = frozenset({"Session", "AsyncSession"})
_REGISTRY_NAMES = frozenset({"scoped_session", "async_scoped_session"})
_ENGINE_NAMES = frozenset({"create_engine", "create_async_engine", "engine_from_config", "async_engine_from_config"})


def _constructions(infer: Inference, wanted: Callable[[str], bool], names: frozenset[str]) -> Iterator[Construction]:
    spelled = set(names)
    for module in infer.table.modules.values():
        spelled.update(b.local for b in module.imports.values() if b.name in names)
        spelled.update(c.name for c in module.classes.values() if any(map(wanted, infer.classes.outside_bases(c))))
    for name in sorted(spelled):
        for module, function, call in infer.call_sites(name):
            if not module.is_test and _is_call_of(infer, wanted, call, Scope(module, function)):
                yield Construction(module, function, call, infer.expr(call, Scope(module, function)))
    for cls in infer.table.classes.values():
        for attribute in () if cls.module.is_test else cls.facts.attributes:
            call_, scope = attribute.value, Scope(cls.module, cls.parent)
            if isinstance(call_, s.Call) and sym.last_name(call_.func) in spelled:
                if _is_call_of(infer, wanted, call_, scope):
                    yield Construction(cls.module, cls.parent, call_, infer.expr(call_, scope))
            elif isinstance(call_, s.Call) and call_.args and sym.last_name(call_.args[0]) in spelled:
                yield from _by_a_container(infer, wanted, call_, cls, scope)


def _by_a_container(
    infer: Inference, wanted: Callable[[str], bool], call: s.Call, cls: sym.Class, scope: Scope
) -> Iterator[Construction]:
    """``providers.Singleton(async_sessionmaker, engine, ...)``: the container makes the call, with these arguments."""
    provider, target = infer.expr(call.func, scope), infer.expr(call.args[0], scope)
    if isinstance(provider, v.External) and known.lifetime(provider.dotted):
        if isinstance(target, v.External) and wanted(target.dotted):
            keywords = tuple((k.name, infer.expr(k.value, scope)) for k in call.keywords if k.name)
            yield Construction(cls.module, cls.parent, call, infer.called(target, (), keywords, call.loc))


def _is_call_of(infer: Inference, wanted: Callable[[str], bool], call: s.Call, scope: Scope) -> bool:
    target = infer.expr(call.func, scope)
    if isinstance(target, v.ClassRef):
        return any(map(wanted, infer.classes.outside_bases(target.cls)))
    return isinstance(target, v.External) and wanted(target.dotted)
