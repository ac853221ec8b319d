"""Commits what the users of a context-manager factory have written, right after its yield (or in its ``__aexit__``).

Safe: the writes were meant to be kept, and an exception of the user leaves through the yield without the commit.
Refused where the factory yields more than once or does not say which session it opened.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from sessionlint.findings import Finding, FixSafety
from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import Edit, Group, Refusal
from sessionlint.fixes.program import Program
from sessionlint.fixes.rewrite import insert_after, shift
from sessionlint.fixes.sessions import Held, commit_call, inside, opened_around
from sessionlint.project import symbols as sym
from sessionlint.project import values as v

CODES = ("SES321",)
ORDER = 20
TITLE = "commit after the yield"


def propose(program: Program, findings: Sequence[Finding]) -> Iterator[Group | Refusal]:
    """One group per factory."""
    for finding in findings:
        factory = program.function(finding)
        document = program.document(finding.place.file)
        if factory.name in {"__aenter__", "__enter__"}:
            yield _at_exit(program, document, factory, finding)
            continue
        yields = [n for n in inside(document.function(factory.facts)) if isinstance(n, (ast.Yield, ast.YieldFrom))]
        if len(yields) != 1:
            reason = "a factory that yields more than once has no single place where its users are done"
            yield Refusal((finding,), TITLE, reason)
            continue
        yield _committed(program, document, factory, finding, yields[0])


def _at_exit(program: Program, document: Document, enter: sym.Function, finding: Finding) -> Group | Refusal:
    """A class that is entered: commit at the start of its exit, unless an exception leaves it."""
    title = "commit when the block is left without an exception"
    classes = program.analysis.infer.classes
    leave = enter.owner.methods.get(enter.name.replace("enter", "exit")) if enter.owner is not None else None
    attributes = [
        (attr, kind)
        for attr in (classes.assigned(enter.owner) if enter.owner is not None else ())
        if enter.owner is not None and isinstance(kind := classes.attribute_type(enter.owner, attr), v.Session)
    ]
    if leave is None or len(attributes) != 1 or attributes[0][1].is_async is None:
        return Refusal((finding,), title, "it is not clear which attribute holds the session until it is closed")
    node = document.function(leave.facts)
    arguments = [a.arg for a in [*node.args.posonlyargs, *node.args.args]][1:]
    if not arguments:
        return Refusal((finding,), title, f"`{leave.name}` does not name the exception it is given")
    (attr, kind) = attributes[0]
    held = Held(f"{leave.receiver}.{attr}", kind.is_async)
    unit, space = document.unit, document.indentation(node.body[0])
    first, last = document.line_of(document.start(node.body[0])), node.body[-1].end_lineno or node.body[-1].lineno
    head = f"{space}try:\n{space}{unit}if {arguments[0]} is None:\n{space}{unit}{unit}{commit_call(held)}\n"
    start = document.line_start(first)
    edits = [e for e in shift(document, first, last, unit) if e.start != start]
    edits.append(Edit(document.file, start, start, f"{head}{space}finally:\n{unit}"))
    return Group(title, (finding,), FixSafety.SAFE, tuple(edits))


def _committed(
    program: Program, document: Document, factory: sym.Function, finding: Finding, at: ast.Yield | ast.YieldFrom
) -> Group | Refusal:
    opened = opened_around(program, factory, at)
    if opened is None:
        return Refusal((finding,), TITLE, "it is not clear under which name the factory holds the session")
    if opened.is_async is None:
        return Refusal((finding,), TITLE, "it is not clear whether the session is an asynchronous one")
    stmt = document.statement(at)
    edit = insert_after(document, stmt, [commit_call(opened)])
    return Group(TITLE, (finding,), FixSafety.SAFE, (edit,))
