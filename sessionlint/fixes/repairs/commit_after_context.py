"""Moves a commit that stands behind the block which closed its session to the end of that block.

Unsafe: what was lost is kept from now on. Refused where the block is left with ``return``, so that its end is not the
only way out, and where the commit does not stand in the same block as the ``with``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from sessionlint.findings import Finding, FixSafety
from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import Group, Refusal
from sessionlint.fixes.program import Program
from sessionlint.fixes.rewrite import delete, insert_after, is_one_liner, with_comment

CODES = ("SES303",)
ORDER = 20
TITLE = "move the commit into the block that owns the session"


def propose(program: Program, findings: Sequence[Finding]) -> Iterator[Group | Refusal]:
    """One group per commit."""
    for finding in findings:
        yield _moved(program.document(finding.place.file), finding)


def _moved(document: Document, finding: Finding) -> Group | Refusal:
    call = document.spanning(finding.place, ast.Call)
    stmt = document.statement(call) if call is not None else None
    if call is None or not isinstance(stmt, ast.Expr) or not isinstance(call.func, ast.Attribute):
        return Refusal((finding,), TITLE, "the commit is part of a larger expression")
    name = ast.unparse(call.func.value)
    block = document.block(stmt)
    owners = [s for s in block[: block.index(stmt)] if isinstance(s, (ast.With, ast.AsyncWith)) and _binds(s, name)]
    if not owners:
        return Refusal((finding,), TITLE, "the block that owned the session does not stand beside the commit")
    owner = owners[-1]
    if is_one_liner(document, owner) or isinstance(owner.body[-1], (ast.Return, ast.Raise, ast.Continue, ast.Break)):
        return Refusal((finding,), TITLE, "the end of the block that owns the session is never reached")
    last = owner.body[-1]
    edits = (
        insert_after(document, last, [with_comment(document, stmt)], document.indentation(last)),
        delete(document, stmt, comments=False),
    )
    return Group(TITLE, (finding,), FixSafety.UNSAFE, edits)


def _binds(stmt: ast.With | ast.AsyncWith, name: str) -> bool:
    return any(item.optional_vars is not None and ast.unparse(item.optional_vars) == name for item in stmt.items)
