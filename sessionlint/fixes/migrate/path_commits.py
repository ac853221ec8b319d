"""Ends the transactions of one function on the path of a stream through the unit of work that it is handed."""

from __future__ import annotations

import ast

from sessionlint.effects import Analysis
from sessionlint.effects.observations import Committed, Suspended
from sessionlint.facts import shape as s
from sessionlint.findings import Step
from sessionlint.fixes.document import Document
from sessionlint.fixes.migrate.labels import label
from sessionlint.fixes.migrate.unit_class import UNIT
from sessionlint.fixes.migrate.unit_parameter import UnitPlan
from sessionlint.fixes.program import Program
from sessionlint.fixes.rewrite import insert_before, stands_alone
from sessionlint.fixes.sources import Refused
from sessionlint.fixes.streams.factories import keeps_objects
from sessionlint.project import symbols as sym


def end_through_unit(program: Program, plan: UnitPlan, function: sym.Function, factory: sym.Global) -> list[Step]:
    """Edits into the plan; places where a commit was added that was not there. Raises ``Refused``."""
    analysis = program.analysis
    here = function.key in plan.owners
    ended = [] if here else commits(program, function)
    waits = uncommitted_yields(analysis, function)
    if waits and not keeps_objects(factory):
        raise Refused(
            f"a commit before this yield would expire what is loaded: `{factory.name}` has no `expire_on_commit=False`",
            Step(analysis.place(function, waits[0].loc), "the reader waits here with writes uncommitted"),
        )
    if (ended or waits) and not here and plan.give(function) != UNIT:
        where = Step(analysis.place(function, function.facts.loc), "here")
        raise Refused(f"`{UNIT}` cannot be passed to `{function.qualname}`", where)
    document = program.document(function.module.path)
    for seen in ended:
        commit_there(plan, function, seen)
    return [_commit_before(analysis, plan, document, function, wait) for wait in waits]


def commit_text(plan: UnitPlan, function: sym.Function, at: s.Loc) -> str:
    """``uow.commit("label")`` for a place of a function."""
    return plan.unit.commit(label(plan.program.analysis, function, at))


def commits(program: Program, function: sym.Function) -> list[Committed]:
    """Commits of a session that the function was handed, those through the unit left out."""
    document = program.document(function.module.path)
    found = []
    for seen in program.observations(function, Committed):
        call = document.spanning(seen.loc, ast.Call)
        through_unit = call is not None and ast.unparse(call.func) == f"{UNIT}.commit"
        if seen.origin.kind == "param" and not through_unit:
            found.append(seen)
    return found


def uncommitted_yields(analysis: Analysis, function: sym.Function) -> list[Suspended]:
    """Yields of items at which writes are pending, in order."""
    if not analysis.hands_out_items(function):
        return []
    observed = analysis.result(function).observations
    found = {o.loc: o for o in observed if isinstance(o, Suspended) and o.writes}
    return [found[loc] for loc in sorted(found)]


def commit_there(plan: UnitPlan, function: sym.Function, seen: Committed) -> None:
    """A commit becomes the unit's. Raises ``Refused``."""
    analysis = plan.program.analysis
    document = plan.program.document(function.module.path)
    call = document.spanning(seen.loc, ast.Call)
    plain = isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "commit"
    if not isinstance(call, ast.Call) or not plain or call.args or call.keywords:
        raise Refused("a commit on the path is not a plain call", Step(analysis.place(function, seen.loc), "here"))
    plan.commit_through_unit(document, call, commit_text(plan, function, seen.loc))


def _commit_before(
    analysis: Analysis, plan: UnitPlan, document: Document, function: sym.Function, wait: Suspended
) -> Step:
    node = document.spanning(wait.loc, (ast.Yield, ast.AsyncFor))
    stmt = document.statement(node) if node is not None else None
    where = Step(analysis.place(function, wait.loc), "the reader waits here with writes uncommitted")
    if not isinstance(stmt, ast.Expr) or not isinstance(stmt.value, ast.Yield) or not stands_alone(document, stmt):
        raise Refused("no commit can be put in front of this yield", where)
    if document.enclosing(stmt, ast.ExceptHandler) is not None:
        raise Refused("a yield in an except clause waits with half-done work", where)
    plan.edits.append(insert_before(document, stmt, [f"await {commit_text(plan, function, wait.loc)}"]))
    text = "commits before the reader is waited for: what was written stays if the stream fails later"
    return Step(where.place, text)
