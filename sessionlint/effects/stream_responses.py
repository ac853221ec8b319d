"""Response classes of the project that close what they stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Scope

if TYPE_CHECKING:
    from sessionlint.effects.analysis import Analysis


def closes_its_body(analysis: Analysis, function: sym.Function, loc: s.Loc) -> bool:
    """Whether the response made by the call at ``loc`` is of a class whose methods name ``aclose``."""
    for site in analysis.session_calls.sites(function):
        if site.call.loc == loc:
            made = analysis.infer.expr(site.call.func, Scope(function.module, function))
            if isinstance(made, v.ClassRef):
                family = analysis.infer.classes.mro(made.cls)
                return any(_names_aclose(method) for one in family for method in one.methods.values())
    return False


def _names_aclose(method: sym.Function) -> bool:
    return any(
        (isinstance(e, s.Attribute) and e.attr == "aclose") or (isinstance(e, s.Constant) and e.value == "aclose")
        for e in method.expressions
    )
