"""Adds the commit that a scope or an entry point forgets: ``maker.begin()``, or ``commit()`` where control leaves.

A scope that never commits and is left by ``return`` is opened with ``maker.begin()``; else ``await db.commit()`` goes
to its end, or in front of the returns that forget it. An entry point whose session comes from a dependency that only
closes commits before it returns; where it holds the session only inside a service, it asks for the session too, which
FastAPI makes once per request. Unsafe: what was lost is kept from now on. Refused where the session has no name there.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from sessionlint.effects.asked_commits import unasked
from sessionlint.effects.observations import Ended, ScopeEnd
from sessionlint.findings import Finding, FixSafety, Step
from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import Edit, Group, Refusal
from sessionlint.fixes.entry_commits import NoCommit, entry_commits
from sessionlint.fixes.leaving import at_end, before_return
from sessionlint.fixes.program import Program
from sessionlint.fixes.sessions import commit_call, inside, named_session
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Scope

CODES = ("SES301", "SES304", "SES309")
ORDER = 60
TITLE = "commit where the work is done"


def propose(program: Program, findings: Sequence[Finding]) -> Iterator[Group | Refusal]:
    """One group per session and function: all the ways out that forget the commit."""
    told: set[tuple[str, str]] = set()
    for finding in findings:
        function = program.function(finding)
        scopes = [o for o in program.observations(function, ScopeEnd) if not o.hands_out_object]
        ends = program.observations(function, Ended)
        every: list[ScopeEnd | Ended] = [*scopes, *ends]
        about = [o for o in every if _concerns(o, finding)] or every
        if not about:
            continue
        chosen = about[0]
        key = (function.key, str(chosen.opened) if isinstance(chosen, ScopeEnd) else "handed in")
        if key in told:
            continue
        told.add(key)
        mine = tuple(f for f in findings if f.place.file == finding.place.file and f.function == finding.function)
        mine = mine if len({o.origin for o in about}) == 1 and len(mine) > 1 else (finding,)
        promised = next((u for u in unasked(function, program.analysis.result(function)) if u.end == chosen), None)
        if promised is not None:
            yield Refusal(mine, TITLE, f"`{promised.switch}` decides whether this function commits")
        elif isinstance(chosen, ScopeEnd):
            same = [o for o in scopes if o.opened == chosen.opened]
            yield _owned(program, function, mine, same)
        else:
            yield _handed(program, function, mine, ends)


def _concerns(seen: ScopeEnd | Ended, finding: Finding) -> bool:
    """Whether an observation is what a finding speaks of: its place, or the write in its trace."""
    if seen.loc.line == finding.place.line:
        return True
    places = {(s.place.file, s.place.line) for s in finding.trace}
    return any((w.path, w.loc.line) in places for w in seen.writes) and any(
        w.loc.line == finding.place.line or (w.chain and w.chain[0].loc.line == finding.place.line) for w in seen.writes
    )


# ---- scopes --------------------------------------------------------------------------------------------------------


def _owned(
    program: Program, function: sym.Function, findings: tuple[Finding, ...], ends: list[ScopeEnd]
) -> Group | Refusal:
    document = program.document(function.module.path)
    context = document.spanning(ends[0].opened, ast.Call)
    block = document.with_around(context) if context is not None else None
    if context is None or block is None or not any(context in ast.walk(i.context_expr) for i in block.items):
        return _by_hand(program, function, findings, ends)
    target = next(i.optional_vars for i in block.items if context in ast.walk(i.context_expr))
    if not isinstance(target, ast.Name):
        return Refusal(findings, TITLE, "the block does not give its session a name")
    held = named_session(program, function, target.id)
    if held is None or held.is_async is None:
        return Refusal(findings, TITLE, f"`{target.id}` hides the session that is committed")
    leaves_inside = any(isinstance(n, ast.Return) for n in inside(block))
    if leaves_inside and _may_begin(program, function, context, block, target.id):
        name = document.code(context.func)
        edit = Edit(document.file, document.end(context.func), document.end(context.func), ".begin")
        return Group(f"open the session with `{name}.begin()`, which commits", findings, FixSafety.UNSAFE, (edit,))
    edits = _at_ends(document, block, ends, commit_call(held))
    return Group(TITLE, findings, FixSafety.UNSAFE, tuple(edits))


def _may_begin(
    program: Program, function: sym.Function, context: ast.Call, block: ast.With | ast.AsyncWith, name: str
) -> bool:
    """Whether ``maker.begin()`` fits: a session maker called plainly, and nothing inside ends the transaction."""
    if context.args or context.keywords or not isinstance(context.func, (ast.Name, ast.Attribute)):
        return False
    if not any(item.context_expr is context for item in block.items):
        return False
    value = _value_of(program, function, context.func)
    if not isinstance(value, v.Factory) or value.scoped:
        return False
    for node in inside(block):
        if isinstance(node, ast.Attribute) and node.attr in {"commit", "rollback", "begin", "close"}:
            if ast.unparse(node.value) == name:
                return False
    return True


def _value_of(program: Program, function: sym.Function, node: ast.expr) -> v.Value:
    infer = program.analysis.infer
    scope = Scope(function.module, function)
    if isinstance(node, ast.Name):
        return infer.name(node.id, scope)
    if isinstance(node, ast.Attribute):
        return infer.attribute(_value_of(program, function, node.value), node.attr, function.module)
    return v.UNKNOWN


def _at_ends(document: Document, block: ast.With | ast.AsyncWith, ends: list[ScopeEnd], line: str) -> list[Edit]:
    edits: list[Edit] = []
    for end in ends:
        leave = document.spanning(end.loc, ast.Return) if end.leaving == "return" else None
        if leave is not None and block in document.ancestors(leave):
            edits.extend(before_return(document, leave, line))
        else:
            edits.extend(at_end(document, block.body, line))
    return list(dict.fromkeys(edits))


def _by_hand(
    program: Program, function: sym.Function, findings: tuple[Finding, ...], ends: list[ScopeEnd]
) -> Group | Refusal:
    """A session without a block: commit where the function leaves, or in front of the ``close()`` that ends it."""
    document = program.document(function.module.path)
    context = document.spanning(ends[0].opened, ast.Call)
    assign = document.enclosing(context, ast.Assign) if context is not None else None
    name = ast.unparse(assign.targets[0]) if assign is not None else ""
    held = named_session(program, function, name) if name.isidentifier() else None
    if held is None or held.is_async is None or assign is None:
        return Refusal(findings, TITLE, "the session has no name here")
    attempt = next((s for s in document.block(assign)[document.block(assign).index(assign) + 1 :][:1]), None)
    if isinstance(attempt, ast.Try) and attempt.finalbody:
        returns = [end for end in ends if end.leaving == "return"]
        edits = [e for end in returns for e in _before(document, end, commit_call(held))]
        edits += at_end(document, attempt.body, commit_call(held)) if len(returns) < len(ends) or not returns else []
        return Group(TITLE, findings, FixSafety.UNSAFE, tuple(dict.fromkeys(edits)))
    for node in inside(document.function(function.facts)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == f"{name}.close":
            from sessionlint.fixes.rewrite import insert_before

            edit = insert_before(document, document.statement(node), [commit_call(held)])
            return Group(TITLE, findings, FixSafety.UNSAFE, (edit,))
    return Refusal(findings, TITLE, "the scope of the session has no clear end")


def _before(document: Document, end: ScopeEnd | Ended, line: str) -> list[Edit]:
    leave = document.spanning(end.loc, ast.Return)
    return before_return(document, leave, line) if leave is not None else []


def _handed(
    program: Program, function: sym.Function, findings: tuple[Finding, ...], ends: list[Ended]
) -> Group | Refusal:
    try:
        edits, imports = entry_commits(program, function, ends)
    except NoCommit as problem:
        where = Step(program.analysis.place(function, function.facts.loc), function.qualname)
        return Refusal(findings, TITLE, str(problem), (where,))
    return Group("commit before the response is returned", findings, FixSafety.UNSAFE, edits, imports)
