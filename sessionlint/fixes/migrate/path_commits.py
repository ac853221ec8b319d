"""Ends the transactions of one function on the path of a stream through the unit of work that it is handed."""

from __future__ import annotations

import ast

from sessionlint.effects.observations import Committed
from sessionlint.facts import shape as s
from sessionlint.findings import Step
from sessionlint.fixes.migrate.labels import label
from sessionlint.fixes.migrate.unit_class import UNIT
from sessionlint.fixes.migrate.unit_parameter import UnitPlan
from sessionlint.fixes.migrate.waits import READER, Landing, landings, waits_of
from sessionlint.fixes.program import Program
from sessionlint.fixes.rewrite import insert
from sessionlint.fixes.sources import Refused
from sessionlint.fixes.streams.factories import keeps_objects
from sessionlint.project import symbols as sym


def end_through_unit(
    program: Program, plan: UnitPlan, function: sym.Function, factories: list[sym.Global]
) -> list[Step]:
    """Edits into the plan; places where a commit was added that was not there. Raises ``Refused``."""
    analysis = program.analysis
    here = function.key in plan.owners
    ended = [] if here else commits(program, function)
    expiring = next((f for f in factories if not keeps_objects(f)), None)
    waits = waits_of(program, function, reads=plan.reads and expiring is None)
    if waits and expiring is not None:
        raise Refused(
            f"a commit before this wait would expire objects: `{expiring.name}` has no `expire_on_commit=False`",
            Step(analysis.place(function, waits[0].loc), READER),
        )
    if (ended or waits) and not here and plan.give(function) != UNIT:
        where = Step(analysis.place(function, function.facts.loc), "here")
        raise Refused(f"`{UNIT}` cannot be passed to `{function.qualname}`", where)
    for seen in ended:
        commit_there(plan, function, seen)
    return [_commit_before(plan, function, landing) for landing in landings(program, function, waits)]


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


def commit_there(plan: UnitPlan, function: sym.Function, seen: Committed) -> None:
    """A commit becomes the unit's. Raises ``Refused``."""
    analysis = plan.program.analysis
    document = plan.program.document(function.module.path)
    call = document.spanning(seen.loc, ast.Call)
    plain = isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "commit"
    if not isinstance(call, ast.Call) or not plain or call.args or call.keywords:
        raise Refused("a commit on the path is not a plain call", Step(analysis.place(function, seen.loc), "here"))
    plan.commit_through_unit(document, call, commit_text(plan, function, seen.loc))


def _commit_before(plan: UnitPlan, function: sym.Function, landing: Landing) -> Step:
    document = plan.program.document(function.module.path)
    place = document.place(landing.stmt)
    at = s.Loc(place.line, place.column, place.end_line, place.end_column)
    line = document.line_of(document.start(landing.stmt))
    while document.line_text(line - 1).lstrip().startswith("#") and line - 1 not in document.string_lines:
        line -= 1  # comments right above belong to the statement
    space = document.indentation(landing.stmt)
    wrote = bool(landing.wait.writes)
    text = commit_text(plan, function, at) if wrote else plan.unit.release(label(plan.program.analysis, function, at))
    plan.edits.append(insert(document, document.line_start(line), f"{space}await {text}\n"))
    before = f"`{landing.wait.slow}`" if landing.wait.slow else "the reader is waited for"
    if not wrote:
        return Step(place, f"gives the connection back before {before}: what was only read is not held any longer")
    return Step(place, f"commits before {before}: what was written stays if the stream fails later")
