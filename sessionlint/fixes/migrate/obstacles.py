"""What on the path of a stream rules out that a unit of work ends its transactions."""

from __future__ import annotations

from collections.abc import Collection

from sessionlint.facts import shape as s
from sessionlint.findings import Place, Step
from sessionlint.fixes.program import Program
from sessionlint.fixes.sources import Refused
from sessionlint.project import symbols as sym
from sessionlint.project.infer import Scope


def path_is_clear(program: Program, path: Collection[sym.Function], own: sym.Class | None) -> None:
    """Raises ``Refused`` for calls that cannot be followed, units of work but ``own``, and blocks that commit."""
    for function in path:
        _followed(program, function)
        _no_other_unit(program, function, own)
        for call in function.calls:
            if isinstance(call.func, s.Attribute) and call.func.attr == "begin":
                where = Step(program.analysis.place(function, call.loc), "here")
                raise Refused("a block that commits by itself stands on the path of the stream", where)


def nothing_remembered(program: Program, functions: Collection[sym.Function]) -> None:
    """Raises ``Refused`` where something remembers what is built on a session: the next stream would get it closed."""
    places = {(f.module.path, f.qualname) for f in functions}
    for finding in program.findings:
        if finding.code == "SES115" and (finding.place.file, finding.function) in places:
            reason = "what is built on the session is remembered for the next stream; repair that first (SES115)"
            raise Refused(reason, Step(finding.place, finding.message))


def _followed(program: Program, function: sym.Function) -> None:
    """What is not handed the session can neither end its transactions nor leave writes in them."""
    for unseen in program.analysis.unresolved:
        within = function.facts.loc.line <= unseen.place.line <= function.facts.end_line
        if unseen.place.file == function.module.path and within and _is_handed_one(program, function, unseen.place):
            reason = f"`{unseen.call}` cannot be followed, so it is not seen what it does with the session"
            raise Refused(reason, Step(unseen.place, unseen.reason))


def _is_handed_one(program: Program, function: sym.Function, place: Place) -> bool:
    infer, scope = program.analysis.infer, Scope(function.module, function)
    for call in function.calls:
        if (call.loc.line, call.loc.column) == (place.line, place.column):
            given = [*call.args, *(k.value for k in call.keywords)]
            return any(infer.holds(infer.expr(one, scope)) for one in given)
    return True


def _no_other_unit(program: Program, function: sym.Function, own: sym.Class | None) -> None:
    owner, analysis = function.owner, program.analysis
    if owner is None or owner is own or owner.module.path not in program.sources:
        return
    if analysis.engine.is_unit_class(owner) or analysis.is_transaction_manager(owner):
        where = Step(analysis.place(function, function.facts.loc), "here")
        raise Refused(f"the stream uses a unit of work of the project's own, `{owner.name}`", where)
