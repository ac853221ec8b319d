"""Whether the decorators of a function let a new parameter through to it."""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.facts import shape as s
from sessionlint.fixes.program import Program
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Scope

#: pass on whatever they are called with, wherever they come from
_PASSING = frozenset(
    {
        "abstractmethod", "asynccontextmanager", "classmethod", "contextmanager", "deprecated", "final", "inject",
        "observe", "overload", "override", "retry", "staticmethod", "traced", "typechecked", "wraps",
    }
)  # fmt: skip


def in_the_way(program: Program, function: sym.Function) -> str:
    """Why a decorator would not pass a new argument on, or calls the function itself; empty if none does so."""
    for decorator in function.facts.decorators:
        name = sym.last_name(decorator) or ""
        made = decorator.func if isinstance(decorator, s.Call) else decorator
        value = program.analysis.infer.expr(made, Scope(function.module, function.parent))
        if isinstance(value, v.FunctionRef):
            wrappers = list(_innermost(value.function))
            if not wrappers:
                return f"`{name}` may keep the function and call it elsewhere"
            if not all(any(p.kind == "args" for p in w.facts.parameters) for w in wrappers):
                return f"what `{name}` puts in its place takes only the arguments it names"
        elif isinstance(made, s.Attribute) and name not in _PASSING and not isinstance(value, v.External):
            return f"`{name}` may keep the function and call it elsewhere"
    return ""


def _innermost(function: sym.Function) -> Iterator[sym.Function]:
    """The functions that a decorator puts in place of others."""
    for nested in function.nested.values():
        if isinstance(nested, sym.Function):
            inner = list(_innermost(nested))
            yield from inner or [nested]
