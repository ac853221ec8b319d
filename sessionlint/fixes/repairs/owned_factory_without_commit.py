"""Commits what the users of a context-manager factory have written, right after its yield.

Safe: the writes were meant to be kept, and an exception of the user leaves through the yield without the commit.
Refused where the factory yields more than once or does not say which session it opened.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from sessionlint.findings import Finding, FixSafety
from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import Group, Refusal
from sessionlint.fixes.program import Program
from sessionlint.fixes.rewrite import insert_after
from sessionlint.fixes.sessions import commit_call, inside, opened_around
from sessionlint.project import symbols as sym

CODES = ("SES321",)
ORDER = 20
TITLE = "commit after the yield"


def propose(program: Program, findings: Sequence[Finding]) -> Iterator[Group | Refusal]:
    """One group per factory."""
    for finding in findings:
        factory = program.function(finding)
        document = program.document(finding.place.file)
        yields = [n for n in inside(document.function(factory.facts)) if isinstance(n, (ast.Yield, ast.YieldFrom))]
        if len(yields) != 1:
            which = "a class that is entered" if not yields else "a factory that yields more than once"
            yield Refusal((finding,), TITLE, f"{which} has no single place where its users are done")
            continue
        yield _committed(program, document, factory, finding, yields[0])


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
