"""Functions that take a session and can do nothing with it: no call, no effect, the session never read."""

from __future__ import annotations

from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Inference

_PLAIN_DECORATORS = frozenset({"staticmethod", "classmethod"})


def unsaved(infer: Inference, function: sym.Function, session: str) -> str | None:
    """What such a function leaves undone: the row parameter it hands back as it came, or ``""`` for doing nothing.

    None where the session is used, or where somebody else's contract may want the parameter: stubs, overrides,
    decorated functions.
    """
    if function.is_abstract or function.facts.is_generator or function.decorator_names - _PLAIN_DECORATORS:
        return None
    if function.name.startswith("__") or _shares_its_name(infer, function):
        return None
    statements = function.statements
    tested, read, returned = set[str](), set[str](), []
    for stmt in statements:
        if not isinstance(stmt, (s.If, s.Return, s.Import, s.Assign, s.Expression)):
            return None
        if isinstance(stmt, s.Assign) and not all(isinstance(target, s.Name) for target in stmt.targets):
            return None
        if isinstance(stmt, s.Return) and stmt.value is not None:
            returned.append(stmt.value)
        for top in sym.statement_expressions(stmt):
            parts = list(sym.walk(top))
            if any(isinstance(part, (s.Call, s.Await, s.Yield, s.YieldFrom)) for part in parts):
                return None
            (tested if isinstance(stmt, s.If) else read).update(p.id for p in parts if isinstance(p, s.Name))
    if session in read:
        return None
    if not returned:
        return "" if session in tested else None
    rows = {r.id for r in returned if isinstance(r, s.Name) and isinstance(_given(infer, function, r.id), v.Entity)}
    return rows.pop() if session not in tested and len(rows) == 1 and len(returned) == 1 else None


def _given(infer: Inference, function: sym.Function, name: str) -> v.Value:
    return infer.parameter(function, name) if name in function.parameters else v.UNKNOWN


def _shares_its_name(infer: Inference, function: sym.Function) -> bool:
    """Whether another class of the family has the method too: one of several ways to answer the same question."""
    cls = function.owner
    if cls is None:
        return function.parent is not None
    above = [c.methods[function.name] for c in infer.classes.mro(cls)[1:] if function.name in c.methods]
    if any(not m.is_abstract for m in above):
        return True
    families = [cls, *(m.owner for m in above if m.owner is not None)]
    family = {below.key: below for one in families for below in infer.classes.subclasses(one)}
    return any(function.name in below.methods for key, below in family.items() if key != cls.key)
