"""Every place of a project that speaks of a function or class: calls, partials, dependencies, and all other uses.

Sees tests too. What a name means is asked of the inference; a call on something unknown by the same name is a doubt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple
from weakref import WeakKeyDictionary

from sessionlint.effects import Analysis
from sessionlint.facts import shape as s
from sessionlint.findings import Place, Step
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Scope

#: attributes of a framework's objects under which a program keeps its own
_HOLDERS = frozenset({"state", "ctx", "context", "obj", "extensions", "user_data", "bot_data"})


class Use(NamedTuple):
    """One use: in which function (None at module level) of which module, and the expression.

    ``call`` is the call itself for a call, the enclosing call for a partial or a dependency.
    """

    module: sym.Module
    caller: sym.Function | None
    expr: s.Expr
    call: s.Call | None = None

    @property
    def place(self) -> Place:
        return Place(self.module.path, *self.expr.loc)

    def step(self, text: str) -> Step:
        return Step(self.place, text)


@dataclass
class References:
    """The uses of one target by kind."""

    calls: list[Use] = field(default_factory=list)
    partials: list[Use] = field(default_factory=list)
    depends: list[Use] = field(default_factory=list)
    #: handed on as a value: callbacks, registries, decorators
    values: list[Use] = field(default_factory=list)
    #: called by the same name on something whose class is not known
    doubts: list[Use] = field(default_factory=list)


def of_functions(analysis: Analysis, family: Iterable[sym.Function]) -> References:
    """The uses of a function, or of a method with all that overrides it and that it overrides."""
    functions = set(family)
    names = {f.name for f in functions}
    owners = {f.owner.name for f in functions if f.owner is not None}

    def means(value: v.Value) -> bool:
        return any(isinstance(o, v.FunctionRef) and o.function in functions for o in v.options_of(value))

    return _search(analysis, names, means, owners)


def of_class(analysis: Analysis, cls: sym.Class) -> References:
    """The uses of a class: constructions are its calls."""

    def means(value: v.Value) -> bool:
        return any(isinstance(o, v.ClassRef) and o.cls is cls for o in v.options_of(value))

    return _search(analysis, {cls.name}, means, set())


def _search(analysis: Analysis, names: set[str], means, owners: set[str]) -> References:  # type: ignore[no-untyped-def]
    found = References()
    infer = analysis.infer
    names = _with_aliases(analysis, names)
    for module in analysis.table.modules.values():
        if not names & module.facts.names:
            continue
        knows = bool(owners & module.facts.names)
        mentions = _mentions(analysis, module)
        for use in (use for name in sorted(names) for use in mentions.get(name, ())):
            value = infer.expr(use.expr, Scope(module, use.caller))
            if means(value):
                _sort(found, use)
            elif use.call is not None and use.call.func is use.expr and knows:
                if (isinstance(value, v.Unknown) or _kept_outside(value)) and isinstance(use.expr, s.Attribute):
                    found.doubts.append(use)
    return found


def _with_aliases(analysis: Analysis, names: set[str]) -> set[str]:
    """The names, and those that files import them by (``from .one import create as create_one``)."""
    known: dict[str, set[str]] = _ALIASES.get(analysis) or {}
    if not known:
        for module in analysis.table.modules.values():
            for binding in module.facts.imports:
                if binding.name is not None and binding.local != binding.name:
                    known.setdefault(binding.name, set()).add(binding.local)
        _ALIASES[analysis] = known
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(known.get(name, ()))
    return found


_ALIASES: WeakKeyDictionary[Analysis, dict[str, set[str]]] = WeakKeyDictionary()
#: names mentioned in a file, by analysis and path: a project with many findings asks for many functions
_KNOWN: WeakKeyDictionary[Analysis, dict[str, dict[str, list[Use]]]] = WeakKeyDictionary()


def _mentions(analysis: Analysis, module: sym.Module) -> dict[str, list[Use]]:
    """Every name and attribute a file mentions, by its last word."""
    by_file = _KNOWN.setdefault(analysis, {})
    known = by_file.get(module.path)
    if known is None:
        known = by_file[module.path] = {}
        for caller, top in _expressions(module):
            for expr, around in _with_calls(top):
                if isinstance(expr, (s.Name, s.Attribute)):
                    known.setdefault(sym.last_name(expr) or "", []).append(Use(module, caller, expr, around))
    return known


def _kept_outside(value: v.Value) -> bool:
    """Whether a value was put into an object of a framework that holds anything: ``request.app.state.store``."""
    return any(isinstance(o, v.ExternalObject) and _HOLDERS & set(o.dotted.split(".")) for o in v.options_of(value))


def _sort(found: References, use: Use) -> None:
    callee = sym.last_name(use.call.func) if use.call is not None else None
    if use.call is not None and use.call.func is use.expr:
        found.calls.append(use)
    elif callee == "partial" and use.call is not None and use.call.args and use.call.args[0] is use.expr:
        found.partials.append(use)
    elif callee in {"Depends", "Security"}:
        found.depends.append(use)
    elif callee not in {"isinstance", "issubclass", "cast", "super"}:
        found.values.append(use)


def _with_calls(top: s.Expr) -> Iterator[tuple[s.Expr, s.Call | None]]:
    """Every expression with the call it is the callee or a direct argument of."""
    waiting: list[tuple[s.Expr, s.Call | None]] = [(top, None)]
    while waiting:
        expr, around = waiting.pop()
        yield expr, around
        if isinstance(expr, s.Attribute) and sym.dotted_text(expr):
            continue  # the parts of a dotted name are no uses of their own
        inner = expr if isinstance(expr, s.Call) else None
        waiting.extend((part, inner) for part in sym.children(expr))


def _expressions(module: sym.Module) -> Iterator[tuple[sym.Function | None, s.Expr]]:
    """Every expression of a file that is evaluated: bodies, defaults, decorators, class attributes."""
    for stmt in sym.statements(module.facts.body):
        yield from ((None, e) for e in sym.statement_expressions(stmt))
    for cls in module.classes.values():
        yield from ((cls.parent, a.value) for a in cls.facts.attributes if a.value is not None)
        yield from ((cls.parent, d) for d in cls.facts.decorators)
    for function in module.functions.values():
        outer = function.parent
        for parameter in function.facts.parameters:
            if parameter.default is not None:
                yield outer, parameter.default
            if parameter.annotation is not None and isinstance(parameter.annotation, s.Subscript):
                yield outer, parameter.annotation
        yield from ((outer, d) for d in function.facts.decorators)
        for stmt in function.statements:
            yield from ((function, e) for e in sym.statement_expressions(stmt))


def family(analysis: Analysis, function: sym.Function) -> list[sym.Function]:
    """A method with the declarations it implements and the methods that override it; a function alone.

    With each go the ``@overload`` declarations in front of it.
    """
    members = [function] if function.owner is None else _methods(analysis, function)
    declared = [
        other
        for member in members
        for other in member.module.functions.values()
        if other.qualname == member.qualname and "overload" in other.decorator_names
    ]
    return sorted({f.key: f for f in (*members, *declared)}.values(), key=lambda f: f.key)


def _methods(analysis: Analysis, function: sym.Function) -> list[sym.Function]:
    assert function.owner is not None
    classes = analysis.infer.classes
    tops = [c for c in classes.mro(function.owner) if function.name in c.methods]
    found = {c.methods[function.name].key: c.methods[function.name] for c in tops}
    for top in tops:
        for sub in classes.subclasses(top):
            method = sub.methods.get(function.name)
            if method is not None:
                found[method.key] = method
        for implementation in classes.implementations(top, function.name):
            found[implementation.key] = implementation
    for protocol in analysis.table.classes.values():
        declared = protocol.methods.get(function.name)
        if declared is not None and declared.is_abstract and declared.key not in found:
            if function in classes.implementations(protocol, function.name):
                found[declared.key] = declared
    return list(found.values())
