"""Answers that say no: a response made with a status of 400 or more, here or by a function that is given the status."""

from __future__ import annotations

import re

from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.arguments import argument_for
from sessionlint.project.infer import Inference, Scope

_STATUS = frozenset({"status_code", "status"})
#: ``status.HTTP_404_NOT_FOUND``
_NAMED = re.compile(r"^HTTP_([45])\d\d(_|$)")


def is_error_answer(infer: Inference, expr: s.Expr, function: sym.Function) -> bool:
    """Whether a returned expression is such an answer; Flask's ``return body, 404`` is one."""
    inner = expr.value if isinstance(expr, s.Await) else expr
    if isinstance(inner, s.Collection) and len(inner.items) in {2, 3}:
        return _refuses(inner.items[1])
    if not isinstance(inner, s.Call):
        return False
    if any(k.name in _STATUS and _refuses(k.value) for k in inner.keywords):
        return True
    if not any(_refuses(a) for a in (*inner.args, *(k.value for k in inner.keywords))):
        return False
    target = infer.expr(inner.func, Scope(function.module, function))
    if not isinstance(target, v.FunctionRef):
        return False
    for name in _status_parameters(target.function):
        given = argument_for(target.function, inner, name)
        if given is not None and _refuses(given):
            return True
    return False


def _status_parameters(function: sym.Function) -> set[str]:
    """Parameters that become the status of what the function makes."""
    return {
        k.value.id
        for call in function.calls
        for k in call.keywords
        if k.name in _STATUS and isinstance(k.value, s.Name) and k.value.id in function.parameters
    }


def _refuses(expr: s.Expr) -> bool:
    if isinstance(expr, s.Constant):
        return type(expr.value) is int and 400 <= expr.value < 600
    return bool(_NAMED.match(sym.last_name(expr) or ""))
