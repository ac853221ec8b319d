"""Dependencies that a framework passes by the name of the parameter (Litestar), declared in layers around a handler.

The nearest layer that names it counts: the handler's decorator, its controller, then routers and the application. Where
routers disagree about a name, nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.frameworks import litestar

if TYPE_CHECKING:
    from sessionlint.project.infer import Inference


class NamedDependencies:
    """Answers for one project."""

    def __init__(self, infer: Inference) -> None:
        self._infer = infer

    def of(self, function: sym.Function, name: str) -> v.Dependency | None:
        """What the framework passes as a parameter; None where it calls nobody for it."""
        if not self._is_used:
            return None
        if self._is_handler(function):
            for layer in (self._of_decorators(function), self._of_controller(function), self._around):
                if name in layer:
                    return layer[name]
        elif function.key in self._providers and name in self._around:
            return self._around[name]
        return None

    @cached_property
    def _is_used(self) -> bool:
        packages = litestar.LITESTAR.packages
        return any(
            binding.module.partition(".")[0] in packages
            for module in self._infer.table.modules.values()
            for binding in module.facts.imports
        )

    def _is_handler(self, function: sym.Function) -> bool:
        return any(self._is_own(d.func if isinstance(d, s.Call) else d, function) for d in function.facts.decorators)

    def _is_own(self, decorator: s.Expr, function: sym.Function) -> bool:
        from sessionlint.project.infer import Scope

        value = self._infer.expr(decorator, Scope(function.module, function.parent))
        return isinstance(value, v.External) and litestar.is_handler(value.dotted)

    def _of_decorators(self, function: sym.Function) -> dict[str, v.Dependency]:
        found: dict[str, v.Dependency] = {}
        for decorator in function.facts.decorators:
            if isinstance(decorator, s.Call):
                found.update(self._declared(_keyword(decorator), function.module, function.parent))
        return found

    def _of_controller(self, function: sym.Function) -> dict[str, v.Dependency]:
        if function.owner is None:
            return {}
        for cls in self._infer.classes.mro(function.owner):
            declared = cls.attributes.get(litestar.LAYER)
            if declared is not None:
                return dict(self._declared(declared.value, cls.module, cls.parent))
        return {}

    @cached_property
    def _around(self) -> dict[str, v.Dependency]:
        """The dependencies of routers and applications."""
        every: dict[str, set[v.Dependency]] = {}
        for name in litestar.LAYERS:
            for module, caller, call in self._infer.call_sites(name):
                if not module.is_test:
                    for key, dependency in self._declared(_keyword(call), module, caller):
                        every.setdefault(key, set()).add(dependency)
        return {key: found.pop() for key, found in every.items() if len(found) == 1}

    @cached_property
    def _providers(self) -> frozenset[str]:
        """Keys of the functions that are declared as dependencies in any layer."""
        declared = list(self._around.values())
        for function in self._infer.table.all_functions():
            declared.extend(self._of_decorators(function).values())
        for cls in self._infer.table.classes.values():
            attribute = cls.attributes.get(litestar.LAYER)
            if attribute is not None:
                declared.extend(d for _, d in self._declared(attribute.value, cls.module, cls.parent))
        return frozenset(d.target.function.key for d in declared if isinstance(d.target, v.FunctionRef))

    def _declared(
        self, expr: s.Expr | None, module: sym.Module, function: sym.Function | None
    ) -> Iterator[tuple[str, v.Dependency]]:
        """``{"session": Provide(provide_session)}``; also a bare function, and a dict kept in a global."""
        from sessionlint.project.infer import Scope

        if isinstance(expr, s.Name):
            assigned = module.assigned.get(expr.id, [])
            expr = assigned[0][0] if len(assigned) == 1 else None
        if not isinstance(expr, s.Collection):
            return
        for key, item in zip(expr.keys, expr.items, strict=False):
            if isinstance(key, s.Constant) and isinstance(key.value, str):
                value = self._infer.expr(item, Scope(module, function))
                target = value.target if isinstance(value, v.Dependency) else value
                if isinstance(target, (v.FunctionRef, v.ClassRef)):
                    yield key.value, v.Dependency(target, litestar.SCOPE, True)


def _keyword(call: s.Call) -> s.Expr | None:
    return next((k.value for k in call.keywords if k.name == litestar.LAYER), None)
