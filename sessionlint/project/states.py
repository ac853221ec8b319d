"""What a project keeps in the ``state`` of requests and of the application, by the name of the attribute."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v

if TYPE_CHECKING:
    from sessionlint.project.infer import Inference

_APPLICATIONS = ("FastAPI.state", "Starlette.state", "Litestar.state", "app.state")


class States:
    """Answers for one project."""

    def __init__(self, infer: Inference) -> None:
        self._infer = infer
        self._held: dict[tuple[bool, str], v.Value] = {}

    def held(self, state: str, attr: str) -> v.Value:
        """What ``request.state.attr`` holds; ``state`` is the dotted name of the outside object ``request.state``."""
        is_application = state.endswith(_APPLICATIONS)
        key = (is_application, attr)
        if key not in self._stores:
            return v.UNKNOWN
        if key not in self._held:
            self._held[key] = v.UNKNOWN  # asked for while it is worked out
            self._held[key] = self._union(key)
        return self._held[key]

    def _union(self, key: tuple[bool, str]) -> v.Value:
        from sessionlint.project.infer import Scope, strip

        is_application, attr = key
        found = [self._infer.expr(expr, Scope(f.module, f)) for f, expr in self._stores[key]]
        kind = "global" if is_application else "dependency"
        value = v.reroot(v.union(strip(x) for x in found), v.Origin(kind, f"state.{attr}"))
        return v.Factory(value.is_async, attr, value.autocommit) if isinstance(value, v.Factory) else value

    @cached_property
    def _stores(self) -> dict[tuple[bool, str], list[tuple[sym.Function, s.Expr]]]:
        found: dict[tuple[bool, str], list[tuple[sym.Function, s.Expr]]] = {}
        for function in self._infer.table.all_functions():
            if not function.module.is_test:
                for holder, attr, value in _stored(function):
                    is_application = sym.last_name(holder) in {"app", "application"}
                    found.setdefault((is_application, attr), []).append((function, value))
        return found


def _stored(function: sym.Function) -> Iterator[tuple[s.Expr, str, s.Expr]]:
    """(``request``, ``attr``, value) of every ``request.state.attr = value``."""
    for stmt in function.statements:
        for target in stmt.targets if isinstance(stmt, s.Assign) else ():
            if isinstance(stmt, s.Assign) and isinstance(target, s.Attribute):
                state = target.value
                if isinstance(state, s.Attribute) and state.attr == "state":
                    yield state.value, target.attr, stmt.value
