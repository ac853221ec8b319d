"""Flags and optional objects that choose between the paths of a function: its own parameters, and captured ones."""

from __future__ import annotations

from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project.infer import Inference


def switches(function: sym.Function) -> tuple[str, ...]:
    """Parameters with a constant default, or said to be true or false."""
    return tuple(n for n, p in function.parameters.items() if _is_switch(p))


def optional_sessions(infer: Inference, function: sym.Function) -> tuple[str, ...]:
    """Sessions, and what holds one, that may be None without being so by default: ``db: AsyncSession | None``."""
    found = (p for p in function.facts.parameters if p.default is None and _may_be_none(p.annotation))
    return tuple(p.name for p in found if infer.holds(infer.parameter(function, p.name)))


def captured_switches(infer: Inference, function: sym.Function) -> tuple[str, ...]:
    """Those of the enclosing function that a nested one looks at."""
    if function.parent is None:
        return ()
    used = infer.free_names(function)
    return tuple(n for n in switches(function.parent) if n in used and n not in function.parameters)


def _is_switch(parameter: s.Parameter) -> bool:
    annotation = parameter.annotation
    flag = isinstance(annotation, s.Name) and annotation.id == "bool"
    return flag or isinstance(parameter.default, s.Constant)


def _may_be_none(annotation: s.Expr | None) -> bool:
    """``X | None``, ``Optional[X]``."""
    if isinstance(annotation, s.Choice):
        return any(isinstance(o, s.Constant) and o.value is None for o in annotation.options)
    return isinstance(annotation, s.Subscript) and sym.last_name(annotation.value) == "Optional"
