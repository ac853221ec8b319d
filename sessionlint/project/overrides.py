"""Dependencies that the composition root replaces: ``app.dependency_overrides[port] = provider``, outside tests."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v

if TYPE_CHECKING:
    from sessionlint.project.infer import Inference

_TABLE = "dependency_overrides"


class _Override(NamedTuple):
    """``app`` is the application as a global; None where it is something else (a factory's local)."""

    app: sym.Global | None
    provider: v.Value


class Overrides:
    """Answers for one project."""

    def __init__(self, infer: Inference) -> None:
        self._infer = infer

    def instead_of(self, target: v.Value | None, function: sym.Function) -> v.Value | None:
        """What a function gets for a dependency: its replacement, or the dependency where none is certain."""
        key = _key(target)
        found = self._all.get(key, []) if key else []
        apps = self._apps(function) if len({o.provider for o in found}) > 1 else []
        mine = [o for o in found if o.app in apps] if apps else found
        providers = {o.provider for o in mine}
        return providers.pop() if len(providers) == 1 else target

    def _apps(self, function: sym.Function) -> list[sym.Global]:
        """The applications a function is registered with: ``app`` of ``@app.get(...)``."""
        found = []
        for decorator in function.facts.decorators:
            if isinstance(decorator, s.Call) and isinstance(decorator.func, s.Attribute):
                app = self._global(decorator.func.value, function.module)
                if app is not None:
                    found.append(app)
        return found

    def _global(self, expr: s.Expr, module: sym.Module) -> sym.Global | None:
        symbol = self._infer.table.lookup(module, expr.id) if isinstance(expr, s.Name) else None
        return symbol if isinstance(symbol, sym.Global) else None

    @cached_property
    def _all(self) -> dict[str, list[_Override]]:
        from sessionlint.project.infer import Scope

        found: dict[str, list[_Override]] = {}
        for module in self._infer.table.modules.values():
            if module.is_test:
                continue
            bodies: list[tuple[sym.Function | None, tuple[s.Stmt, ...]]] = [(None, module.facts.body)]
            bodies.extend((f, f.statements) for f in module.functions.values())
            for function, body in bodies:
                for target, value in _stores(body):
                    scope = Scope(module, function)
                    key = _key(self._infer.expr(target.index, scope))
                    if key:
                        app = (
                            self._global(target.value.value, module) if isinstance(target.value, s.Attribute) else None
                        )
                        found.setdefault(key, []).append(_Override(app, self._infer.expr(value, scope)))
        return found


def _stores(body: tuple[s.Stmt, ...]) -> Iterator[tuple[s.Subscript, s.Expr]]:
    for stmt in body:
        for target in stmt.targets if isinstance(stmt, s.Assign) else ():
            if isinstance(stmt, s.Assign) and isinstance(target, s.Subscript) and sym.last_name(target.value) == _TABLE:
                yield target, stmt.value


def _key(value: v.Value | None) -> str:
    if isinstance(value, v.FunctionRef):
        return value.function.key
    return value.cls.key if isinstance(value, v.ClassRef) else ""
