"""Builds what a provider returns on the session that it was handed, not on one it makes itself.

Unsafe: what the object writes is part of the caller's transaction from now on. Refused where the other session is made
elsewhere, so that it may be meant, and where the provider does more with its own session than build on it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from sessionlint.findings import Finding, FixSafety, Step
from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import Edit, Group, Refusal, Unwrap
from sessionlint.fixes.leftovers import taken_out
from sessionlint.fixes.program import Program
from sessionlint.fixes.rewrite import is_one_liner, replace
from sessionlint.fixes.sources import Refused
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Scope

CODES = ("SES116",)
ORDER = 45
TITLE = "build it on the session that is handed in"


def propose(program: Program, findings: Sequence[Finding]) -> Iterator[Group | Refusal]:
    """One group per provider: all its returns rest on one session."""
    told: dict[str, tuple[sym.Function, list[Finding]]] = {}
    for finding in findings:
        function = program.function(finding)
        told.setdefault(function.key, (function, []))[1].append(finding)
    for function, mine in told.values():
        try:
            yield _rebuilt(program, function, mine)
        except Refused as refused:
            yield Refusal(tuple(mine), TITLE, refused.reason, refused.trace)


def _rebuilt(program: Program, function: sym.Function, findings: list[Finding]) -> Group:
    document = program.document(function.module.path)
    node = document.function(function.facts)
    given = program.analysis.engine.session_parameters(function)
    names = {o.name for o in given if not o.path}
    if len(names) != 1 or len(given) != 1:
        raise Refused("it is handed more than one session", Step(document.place(node.body[0]), "here"))
    name = names.pop()
    flavours = {
        o.is_async for o in v.options_of(program.analysis.infer.parameter(function, name)) if isinstance(o, v.Session)
    }
    edits: list[Edit] = []
    blocks: list[Unwrap] = []
    gone: list[ast.stmt] = []
    called: set[str] = set()
    for call in _openings(program, function, document, flavours):
        called.update(n.id for n in ast.walk(call.func) if isinstance(n, ast.Name))
        stmt = document.statement(call)
        item = _item_of(stmt, call)
        if item is not None:
            assert isinstance(stmt, (ast.With, ast.AsyncWith))
            if len(stmt.items) != 1 or is_one_liner(document, stmt) or not isinstance(item.optional_vars, ast.Name):
                raise Refused("its `with` opens more than the session", Step(document.place(stmt), "here"))
            edits.extend(_renamed(document, node, item.optional_vars.id, name))
            blocks.append(Unwrap(document.file, document.start(stmt)))
        elif isinstance(stmt, (ast.Assign, ast.AnnAssign)) and stmt.value is call:
            target = stmt.targets[0] if isinstance(stmt, ast.Assign) else stmt.target
            if not isinstance(target, ast.Name) or (isinstance(stmt, ast.Assign) and len(stmt.targets) > 1):
                raise Refused("its own session is kept", Step(document.place(stmt), "here"))
            edits.extend(_renamed(document, node, target.id, name))
            gone.append(stmt)
        else:
            edits.append(replace(document, call, name))
    if not called:
        raise Refused(
            "the session it builds on is made elsewhere, so which of the two is meant is not in the code",
            Step(findings[0].place, "it is returned here"),
        )
    edits.extend(taken_out(document, gone))
    released = program.released(document.file, sorted(called))
    return Group(TITLE, tuple(findings), FixSafety.UNSAFE, tuple(dict.fromkeys(edits)), (), released, (), tuple(blocks))


def _openings(
    program: Program, function: sym.Function, document: Document, flavours: set[bool | None]
) -> Iterator[ast.Call]:
    """The calls by which the provider makes a session of its own. Raises ``Refused`` for one of another kind."""
    scope = Scope(function.module, function)
    for expr in function.calls:
        value = program.analysis.infer.expr(expr, scope)
        maker = program.analysis.infer.expr(expr.func, scope)
        if any(isinstance(o, v.Session) for o in v.options_of(value)) and any(
            isinstance(o, v.Factory) for o in v.options_of(maker)
        ):
            call = document.spanning(expr.loc, ast.Call)
            if call is None:
                continue
            if {o.is_async for o in v.options_of(value) if isinstance(o, v.Session)} != flavours:
                raise Refused(
                    "one of its sessions is asynchronous and the other is not", Step(document.place(call), "here")
                )
            yield call


def _item_of(stmt: ast.stmt, call: ast.Call) -> ast.withitem | None:
    items = stmt.items if isinstance(stmt, (ast.With, ast.AsyncWith)) else []
    return next((item for item in items if item.context_expr is call), None)


def _renamed(document: Document, node: ast.FunctionDef | ast.AsyncFunctionDef, old: str, new: str) -> Iterator[Edit]:
    """Every use of the provider's own session becomes the one it was handed; it may only be handed on."""
    for use in ast.walk(node):
        if not isinstance(use, ast.Name) or use.id != old or not isinstance(use.ctx, ast.Load):
            continue
        around = document.parent(use)
        if isinstance(around, ast.Attribute):
            raise Refused("it does more with its own session than build on it", Step(document.place(use), "here"))
        if old != new:
            yield replace(document, use, new)
