"""What a program really puts behind an interface: the arguments at the places that construct the object.

An annotation names the interface; the composition root decides which implementation it is. Only where every such
place outside tests gives a class that can be told is the interface replaced by what is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.arguments import argument_for, argument_named

if TYPE_CHECKING:
    from sessionlint.project.infer import Inference

#: construction sites that are looked at; a class built in more places is no composition root's business
_MAX_SITES = 8


class Site(NamedTuple):
    """A call, and the function (None: the top level of the module) that makes it."""

    module: sym.Module
    caller: sym.Function | None
    call: s.Call


class Wiring:
    """Answers for one project."""

    def __init__(self, infer: Inference) -> None:
        self._infer = infer

    def of_field(self, cls: sym.Class, name: str, declared: v.Value) -> v.Value:
        """The type of a data field or constructor parameter: ``declared``, or what objects of the class are given."""
        if not self._is_interface(declared):
            return declared
        init = self._infer.classes.method(cls, "__init__")
        names = self._infer.classes.data_fields(cls) if init is None else _positional(init)[1:]
        return self._narrowed(declared, [(at, argument_named(at.call, name, names)) for at in self._constructions(cls)])

    def of_parameter(self, function: sym.Function, parameter: s.Parameter, declared: v.Value) -> v.Value:
        """The type of a parameter: ``declared``, or what the function's dependency or its callers give."""
        if not self._is_interface(declared):
            return declared
        if function.owner is not None:
            return self.of_field(function.owner, parameter.name, declared) if function.name == "__init__" else declared
        dependency = self._infer.dependency(function, parameter)
        if dependency is not None and dependency.target is not None:
            provided = self._infer.provided(dependency.target)
            return provided if self._is_concrete(provided) else declared
        sites = self._calls(function)
        return self._narrowed(declared, [(at, argument_for(function, at.call, parameter.name)) for at in sites])

    def _is_interface(self, value: v.Value) -> bool:
        return isinstance(value, v.Instance) and self._infer.classes.is_interface(value.cls)

    def _is_concrete(self, value: v.Value) -> bool:
        options = v.options_of(value)
        return bool(options) and all(isinstance(o, v.Instance) and not self._is_interface(o) for o in options)

    def _narrowed(self, declared: v.Value, given: list[tuple[Site, s.Expr | None]]) -> v.Value:
        found = []
        for at, argument in given:
            value = self._infer.value_at(argument, at.module, at.caller) if argument is not None else v.UNKNOWN
            if not self._is_concrete(value):
                return declared
            found.append(value)
        return v.union(found) if found else declared

    def _constructions(self, cls: sym.Class) -> list[Site]:
        """The calls that construct the class or a subclass that keeps its constructor; none where others do."""
        classes = self._infer.classes
        built = [cls, *classes.subclasses(cls)]
        if any(classes.method(sub, "__init__") is not classes.method(cls, "__init__") for sub in built):
            return []
        return [
            at
            for one in built
            for at, target in self._sites(one.name)
            if isinstance(target, v.ClassRef) and target.cls is one
        ]

    def _calls(self, function: sym.Function) -> list[Site]:
        return [
            at
            for at, target in self._sites(function.name)
            if isinstance(target, v.FunctionRef) and target.function is function
        ]

    def _sites(self, name: str) -> list[tuple[Site, v.Value]]:
        """(place, what is called) of every call outside tests of this name; none where there are many."""
        sites = [Site(*site) for site in self._infer.call_sites(name) if not site[0].is_test]
        if len(sites) > _MAX_SITES:
            return []
        return [(at, self._infer.value_at(at.call.func, at.module, at.caller)) for at in sites]


def _positional(function: sym.Function) -> list[str]:
    return [p.name for p in function.facts.parameters if p.kind in {"positional", "either"}]
