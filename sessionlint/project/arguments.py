"""Which argument of a call goes to which parameter, and where a parameter goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v

if TYPE_CHECKING:
    from sessionlint.project.infer import Inference


def argument_for(function: sym.Function, call: s.Call, name: str) -> s.Expr | None:
    """The argument expression a call gives to parameter ``name``, or None where it leaves it out."""
    positional = [p.name for p in function.facts.parameters if p.kind in {"positional", "either"}]
    if function.receiver is not None and positional:
        positional = positional[1:]
    return argument_named(call, name, positional)


def argument_named(call: s.Call, name: str, positional: Sequence[str]) -> s.Expr | None:
    """The argument for ``name`` where ``positional`` are the names that may be given by position."""
    for keyword in call.keywords:
        if keyword.name == name:
            return keyword.value
    if name in positional:
        index = positional.index(name)
        if index < len(call.args) and not any(isinstance(a, s.Starred) for a in call.args[: index + 1]):
            return call.args[index]
    return None


def is_handed_on(infer: Inference, function: sym.Function, name: str, surely: bool) -> bool:
    """Whether a parameter goes into a call that may build on it: a function that answers for itself, or an unknown.

    ``surely``: what the function gives certainly builds on something else, so an unknown call does not excuse it.
    """
    from sessionlint.project.infer import Scope

    for call in function.calls:
        given = (*call.args, *(k.value for k in call.keywords))
        if any(isinstance(argument, s.Name) and argument.id == name for argument in given):
            target = infer.expr(call.func, Scope(function.module, function))
            if isinstance(target, v.FunctionRef) or (isinstance(target, v.Unknown) and not surely):
                return True
    return False
