"""Which argument of a call goes to which parameter."""

from __future__ import annotations

from collections.abc import Sequence

from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym


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
