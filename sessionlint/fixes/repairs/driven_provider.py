"""Turns a loop that drives a session provider by hand into an owning context manager.

``async for db in get_db():`` becomes ``async with asynccontextmanager(get_db)() as db:``, so that what the provider
does after its yield happens where the block ends, on every way out of it. Safe for a wrapping dependency and for a
loop that always runs to its end; unsafe where the loop was left with ``return`` or ``break``, because then the
provider's commit or rollback really runs now, and in a function that should be handed its session, which is repaired
along with it. Refused for a loop with ``else`` and where ``break`` or ``continue``
stands in the middle of a loop that is followed by more work, and where the session is used behind the loop.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from sessionlint.effects.observations import DrivenProvider
from sessionlint.findings import Finding, FixSafety, Step
from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import Edit, Group, Refusal
from sessionlint.fixes.imports import spelled
from sessionlint.fixes.program import Program
from sessionlint.fixes.rewrite import delete, replace
from sessionlint.project import symbols as sym

CODES = ("SES105", "SES117")
ORDER = 10
_TITLE = "enter the provider with `{maker}` instead of looping over it"


def propose(program: Program, findings: Sequence[Finding]) -> Iterator[Group | Refusal]:
    """One group per loop; several findings may speak of one."""
    loops: dict[tuple[str, int], tuple[ast.For | ast.AsyncFor, list[Finding]]] = {}
    for finding in findings:
        loop = _loop(program.document(finding.place.file), finding)
        if loop is not None:
            loops.setdefault((finding.place.file, loop.lineno), (loop, []))[1].append(finding)
    for loop, some in loops.values():
        yield _rewritten(program, loop, some)


def _loop(document: Document, finding: Finding) -> ast.For | ast.AsyncFor | None:
    """The loop a finding is about: the one whose iterable or header it points at, else the innermost around it."""
    for node in document.nodes:
        if isinstance(node, (ast.For, ast.AsyncFor)):
            if document.line_of(document.start(node)) <= finding.place.line <= (node.iter.end_lineno or 0):
                return node
    return document.spanning(finding.place, ast.AsyncFor) or document.spanning(finding.place, ast.For)


def _rewritten(program: Program, loop: ast.For | ast.AsyncFor, findings: list[Finding]) -> Group | Refusal:
    document = program.document(findings[0].place.file)
    is_async = isinstance(loop, ast.AsyncFor)
    name = "asynccontextmanager" if is_async else "contextmanager"
    title = _TITLE.format(maker=name)

    def refused(reason: str, at: ast.AST | None = None) -> Refusal:
        where = Step(document.place(at), "here") if at is not None else None
        return Refusal(tuple(findings), title, reason, (where,) if where else ())

    if loop.orelse:
        return refused("the loop has an `else`, which a `with` cannot have", loop.orelse[0])
    if not isinstance(loop.iter, ast.Call):
        return refused("what the loop runs over is made elsewhere", loop.iter)
    later = _used_behind(document, loop)
    if later is not None:
        return refused("the session is used behind the loop, where a block would have closed it", later)
    edits: list[Edit] = []
    for leaving in _leaving(loop):
        if _in_tail(document, leaving, loop):
            edits.append(delete(document, leaving))
        elif _ends_function(document, loop):
            edits.append(replace(document, leaving, "return"))
        else:
            word = "break" if isinstance(leaving, ast.Break) else "continue"
            return refused(f"`{word}` stands in the middle of the loop, and a `with` cannot be left that way", leaving)
    try:
        maker, needed = spelled(document, "contextlib", name)
    except LookupError as error:
        return refused(str(error))
    called = document.text[document.end(loop.iter.func) : document.end(loop.iter)]
    header = f"with {maker}({document.code(loop.iter.func)}){called} as {document.code(loop.target)}"
    start = document.start(loop)
    edits.append(Edit(document.file, start, document.end(loop.iter), ("async " if is_async else "") + header))
    seen = _observed(program, findings, loop)
    safety = FixSafety.SAFE
    if any(o.leaves for o in seen) or not _may_open(program, program.function(findings[0])):
        safety = FixSafety.UNSAFE
    return Group(title, tuple(findings), safety, tuple(edits), (needed,) if needed else ())


def _may_open(program: Program, function: sym.Function) -> bool:
    """Whether the function may own a session, so that nothing else has to change with it."""
    analysis = program.analysis
    outer = function
    while outer.parent is not None:
        outer = outer.parent
    return bool(
        analysis.entries.boundary(outer)
        or analysis.in_boundary(outer)
        or analysis.is_script(outer)
        or outer.key in analysis.providers
        or outer.module.path in analysis.factory_files
    )


def _observed(program: Program, findings: list[Finding], loop: ast.For | ast.AsyncFor) -> list[DrivenProvider]:
    seen = program.observed(findings[0], DrivenProvider)
    return [o for o in seen if loop.lineno <= o.loc.line <= (loop.end_lineno or loop.lineno)]


def _leaving(loop: ast.For | ast.AsyncFor) -> Iterator[ast.Break | ast.Continue]:
    """``break`` and ``continue`` of this loop, not of loops inside it."""
    waiting: list[ast.AST] = list(loop.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.Break, ast.Continue)):
            yield node
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.While)):
            waiting.extend(node.orelse)
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            waiting.extend(child for child in ast.iter_child_nodes(node) if isinstance(child, (ast.stmt, _Clause)))


_Clause = (ast.ExceptHandler, ast.match_case)


def _in_tail(document: Document, stmt: ast.stmt, loop: ast.For | ast.AsyncFor) -> bool:
    """Whether nothing of the loop's body runs after a statement anyway."""
    current: ast.AST = stmt
    while current is not loop:
        if isinstance(current, ast.stmt) and document.block(current)[-1] is not current:
            return False
        above = document.parent(current)
        if above is None or (isinstance(above, ast.Try) and _runs_on(above, current)):
            return False
        current = above
    return True


def _used_behind(document: Document, loop: ast.For | ast.AsyncFor) -> ast.AST | None:
    """Where the session that a loop takes is read behind it, under its own name or one it was given in the loop."""
    names = {n.id for n in ast.walk(loop.target) if isinstance(n, ast.Name)}
    kept: set[str] = set()
    for stmt in ast.walk(loop):
        if isinstance(stmt, ast.Assign) and isinstance(stmt.value, ast.Name) and stmt.value.id in names:
            for target in stmt.targets:
                if not isinstance(target, ast.Name):
                    return target  # on an object, for as long as that lives
                kept.add(target.id)
    scope = document.function_around(loop) or document.tree
    for use in ast.walk(scope):
        if isinstance(use, ast.Name) and isinstance(use.ctx, ast.Load) and use.id in names | kept:
            if use.lineno > (loop.end_lineno or loop.lineno):
                return use if use.id in kept or not _bound_anew(scope, use, loop) else None
    return None


def _bound_anew(scope: ast.AST, use: ast.Name, loop: ast.For | ast.AsyncFor) -> bool:
    """Whether something between a loop and a later use gives the name another value."""
    return any(
        isinstance(n, ast.Name)
        and n.id == use.id
        and isinstance(n.ctx, ast.Store)
        and (loop.end_lineno or loop.lineno) < n.lineno <= use.lineno
        for n in ast.walk(scope)
    )


def _ends_function(document: Document, loop: ast.For | ast.AsyncFor) -> bool:
    """Whether the loop is the last statement of its function, so that leaving the one leaves the other."""
    around = document.parent(loop)
    return isinstance(around, (ast.FunctionDef, ast.AsyncFunctionDef)) and around.body[-1] is loop


def _runs_on(around: ast.Try, inner: ast.AST) -> bool:
    """Whether leaving a block of a ``try`` by its end runs a block that ``break`` would skip."""
    return inner in around.body and bool(around.orelse)
