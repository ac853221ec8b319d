"""Makes a function or class that opens its own sessions work on the one it is handed.

A function takes ``db: AsyncSession``; a class that is made for one piece of work takes it in its constructor. Its
blocks and commits go, and every caller follows: it passes the session it has, a route or dependency asks the framework
for the project's own one, a script, task or test opens and commits a scope around the call, any other caller takes it
as a parameter in turn. Interfaces, overrides, partials and patched factories in tests follow. Unsafe: the work is one
transaction with what the caller does. Refused, with the place, where a call cannot be seen (a callback, a registry, an
exported function, code outside) or where the project has no dependency to ask for.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from sessionlint.effects.observations import Committed, Created
from sessionlint.facts.shape import Loc
from sessionlint.findings import Finding, FixSafety, Step
from sessionlint.fixes.edits import Edit, Group, Refusal, Unwrap
from sessionlint.fixes.hand_down import Plan
from sessionlint.fixes.owned_blocks import NotTakenOut, OwnBlocks, own_blocks
from sessionlint.fixes.program import Program
from sessionlint.fixes.sources import Refused, source_of
from sessionlint.fixes.told_before import told_after
from sessionlint.project import symbols as sym

CODES = ("SES101", "SES102")
ORDER = 80
TITLE = "work on the session that is handed in"


def propose(program: Program, findings: Sequence[Finding]) -> Iterator[Group | Refusal]:
    """One group per function, or per class that takes the session in its constructor."""
    told: set[str] = set()
    for finding in findings:
        function = program.function(finding)
        if function.key in told:
            continue
        told.add(function.key)
        mine = [f for f in findings if f.place.file == finding.place.file and f.function == finding.function]
        try:
            group, done = _handed_down(program, function, mine, findings)
            told |= done
            yield group
        except NotTakenOut as problem:
            where = Step(program.document(finding.place.file).place(problem.node), "here")
            yield Refusal(tuple(mine), TITLE, problem.reason, (where,))
        except Refused as problem:
            yield Refusal(tuple(mine), TITLE, problem.reason, problem.trace)
        except LookupError as problem:
            yield Refusal(tuple(mine), TITLE, str(problem))


def _handed_down(
    program: Program, function: sym.Function, mine: list[Finding], findings: Sequence[Finding]
) -> tuple[Group, set[str]]:
    own = own_blocks(program, function)
    at_hand = _at_hand(program, function)
    if at_hand:
        edits, blocks = own.rewritten(at_hand)
        return _group(program, mine, [own], edits, blocks, None), set()
    if own.writes:
        for block in own.blocks:
            _tells_nobody(program, own, block)
    source = source_of(program, function, own.openers[0], own.is_async, own.name, own.writes)
    plan = Plan(program, source)
    owner = function.owner
    if owner is None or function.is_static or "classmethod" in function.decorator_names or not plan.can_inject(owner):
        plan.blocks.extend(own.taken_out())
        spelling = plan.give(function)
        edits, _ = own.rewritten(spelling)
        return _group(program, mine, [own], edits, [], plan), set()
    return _injected(program, plan, owner, findings)


def _tells_nobody(program: Program, own: OwnBlocks, block: ast.With | ast.AsyncWith) -> None:
    """What follows the block follows its commit, and would not any more. Raises ``Refused``."""
    commits = [o.loc for o in program.observations(own.function, Committed) if o.loc.line >= block.lineno]
    place = own.document.place(block)
    at = min(commits) if commits else Loc(place.end_line, place.end_column, place.end_line, place.end_column)
    heard = told_after(program, own.function, at)
    if heard is not None:
        where = Step(program.analysis.place(own.function, heard), f"`{own.function.qualname}` tells others here")
        raise Refused("somebody would hear of the rows before they are committed", where)


def _injected(program: Program, plan: Plan, owner: sym.Class, findings: Sequence[Finding]) -> tuple[Group, set[str]]:
    """All methods of a class that open sessions of the same source, at once."""
    mine: list[Finding] = []
    methods: list[OwnBlocks] = []
    done: set[str] = set()
    for method in owner.methods.values():
        about = [f for f in findings if f.place.file == owner.module.path and f.function == method.qualname]
        if not about:
            continue
        own = own_blocks(program, method)
        other = source_of(program, method, own.openers[0], own.is_async, own.name, own.writes)
        if ast.unparse(other.opener) != ast.unparse(plan.source.opener):
            raise Refused(
                f"`{owner.name}` opens sessions of two factories",
                Step(own.document.place(other.opener), "the other one"),
            )
        plan.source.writes = plan.source.writes or own.writes
        methods.append(own)
        mine.extend(about)
        done.add(method.key)
    for own in methods:
        plan.blocks.extend(own.taken_out())
    spelling = plan.inject(owner, store=True)
    edits = []
    for own in methods:
        receiver = own.function.receiver or "self"
        more, _ = own.rewritten(f"{receiver}{spelling.removeprefix('self')}")
        edits.extend(more)
    return _group(program, mine, methods, edits, [], plan), done


def _at_hand(program: Program, function: sym.Function) -> str:
    """The session the function was handed already, as it writes it."""
    for seen in program.observations(function, Created):
        if seen.at_hand is not None and seen.at_hand.kind == "param":
            return str(seen.at_hand)
    held = program.analysis.engine.session_at_hand(function)
    return str(held) if held is not None else ""


def _group(
    program: Program,
    findings: list[Finding],
    owns: list[OwnBlocks],
    edits: list[Edit],
    blocks: list[Unwrap],
    plan: Plan | None,
) -> Group:
    names = {
        name.id for own in owns for opener in own.openers for name in ast.walk(opener) if isinstance(name, ast.Name)
    }
    names |= {"asynccontextmanager", "contextmanager"}
    released = program.released(owns[0].document.file, sorted(names))
    every = [*edits, *(plan.edits if plan else [])]
    moved = [*blocks, *(plan.blocks if plan else [])]
    imports = tuple(dict.fromkeys(plan.imports)) if plan else ()
    return Group(
        TITLE,
        tuple(findings),
        FixSafety.UNSAFE,
        tuple(dict.fromkeys(every)),
        imports,
        released,
        (),
        tuple(dict.fromkeys(moved)),
    )
