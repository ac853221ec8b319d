"""Who would hear of rows before they are committed, if a commit moved from a callee to its caller.

A message, a task or a call to another service that follows the commit would go out in front of it. Names decide only
where nothing else is known: a refusal costs less than a message about rows that are not there.
"""

from __future__ import annotations

from sessionlint.facts import shape as s
from sessionlint.fixes.program import Program
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Scope

_TELLS = frozenset(
    {
        "apply_async", "broadcast", "defer", "delay", "dispatch", "emit", "enqueue", "kiq", "notify", "publish", "push",
        "send", "submit", "trigger",
    }
)  # fmt: skip
_HEARD = frozenset({"await", "spawn", "stream"})
_MOST_DEEP = 6


def told_after(program: Program, function: sym.Function, at: s.Loc) -> s.Loc | None:
    """The first call behind a place of a function that tells somebody else; None if there is none."""
    found = [c.loc for c in function.calls if (c.loc.line, c.loc.column) > (at.end_line, at.end_column)]
    telling = [c.loc for c in function.calls if c.loc in found and _tells(program, function, c)]
    events = program.analysis.result(function).events
    telling += [e.loc for e in events if e.kind in _HEARD and e.loc.line > at.end_line]
    return min(telling) if telling else None


def _tells(program: Program, function: sym.Function, call: s.Call) -> bool:
    infer, scope = program.analysis.infer, Scope(function.module, function)
    if isinstance(call.func, s.Attribute):
        holder = v.options_of(infer.expr(call.func.value, scope))
        if any(isinstance(o, (v.Session, v.Rows, v.Statement, v.Sequence, v.Mapping)) for o in holder):
            return False
    if _named(sym.last_name(call.func) or ""):
        return True
    callee = infer.expr(call.func, scope)
    reached = [o.function for o in v.options_of(callee) if isinstance(o, v.FunctionRef)]
    return any(_goes_out(program, one, 0) for one in reached)


def _goes_out(program: Program, function: sym.Function, depth: int) -> bool:
    if depth > _MOST_DEEP:
        return False
    result = program.analysis.result(function)
    if any(e.kind in _HEARD for e in result.events):
        return True
    names = (sym.last_name(c.func) or "" for c in function.calls)
    if any(_named(name) for name in names):
        return True
    callees = (program.analysis.table.functions.get(e.callee) for e in result.edges)
    return any(_goes_out(program, one, depth + 1) for one in callees if one is not None and one is not function)


def _named(name: str) -> bool:
    return name in _TELLS or name.partition("_")[0] in _TELLS
