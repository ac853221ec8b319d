"""Scoped registries (``scoped_session``, ``async_scoped_session``): where they are made, closed and emptied."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.constructions import Construction, keyword, registries
from sessionlint.project.infer import Inference, Scope

_EXTENSIONS = frozenset(
    {"flask_sqlalchemy", "quart_sqlalchemy", "pyramid_tm", "zope.sqlalchemy", "flask_sqlalchemy_lite"}
)


class Closing(NamedTuple):
    """``registry.close()``."""

    owner: sym.Function | sym.Module
    loc: s.Loc
    text: str


class Registry(NamedTuple):
    """One registry and what the project does to it; ``scoped_by`` is its ``scopefunc`` as written, or empty."""

    made: Construction
    is_async: bool
    scoped_by: str
    closed: tuple[Closing, ...]
    emptied: bool


def scoped_registries(infer: Inference) -> Iterator[Registry]:
    """Every registry outside tests; none where an extension empties them after each request."""
    if any(b.module.startswith(tuple(_EXTENSIONS)) for m in infer.table.modules.values() for b in m.facts.imports):
        return
    made = list(registries(infer))
    if not made:
        return
    emptied = {name for name, _ in _calls_on_registries(infer, "remove")} | set(_handed_on(infer, "remove"))
    closed: dict[str, list[Closing]] = {}
    for how in ("close", "aclose"):
        for name, call in _calls_on_registries(infer, how):
            closed.setdefault(name, []).append(call)
    for found in made:
        name = _name_of(infer, found)
        scoped = keyword(found.call, "scopefunc") or (found.call.args[1] if len(found.call.args) > 1 else None)
        flavour = isinstance(found.made, v.Factory) and bool(found.made.is_async)
        yield Registry(
            found, flavour, sym.dotted_text(scoped) if scoped is not None else "",
            tuple(closed.get(name, ())), name in emptied or not name,
        )  # fmt: skip


def _calls_on_registries(infer: Inference, method: str) -> Iterator[tuple[str, Closing]]:
    """(registry's name, call) of every ``registry.method()``."""
    for module, function, call in infer.call_sites(method):
        if module.is_test or not isinstance(call.func, s.Attribute):
            continue
        for option in v.options_of(infer.expr(call.func.value, Scope(module, function))):
            if isinstance(option, v.Factory) and option.scoped:
                yield option.name, Closing(function or module, call.loc, sym.dotted_text(call.func))


def _handed_on(infer: Inference, method: str) -> Iterator[str]:
    """Names of registries whose method is given to something that will call it: ``at_end(registry.remove)``."""
    for module in infer.table.modules.values():
        if module.is_test:
            continue
        owners = [(None, sym.calls(module.facts.body)), *((f, f.calls) for f in module.functions.values())]
        for function, calls in owners:
            for call in calls:
                for argument in (*call.args, *(k.value for k in call.keywords)):
                    if isinstance(argument, s.Attribute) and argument.attr == method:
                        for option in v.options_of(infer.expr(argument.value, Scope(module, function))):
                            if isinstance(option, v.Factory) and option.scoped:
                                yield option.name or sym.last_name(argument.value) or ""


def _name_of(infer: Inference, found: Construction) -> str:
    """The module-level name or attribute a registry is kept in; empty where it is kept nowhere that can be named."""
    for name, assigned in found.module.assigned.items():
        if any(expr is found.call for expr, _ in assigned):
            return name
    return ""
