"""Deletes a commit that is the last thing in a block which commits anyway when it ends.

Safe: the block commits in its place. Refused where the session is used again inside the block: where its transactions
should end is a decision.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from sessionlint.effects.observations import EndedInside
from sessionlint.findings import Finding, FixSafety, Step
from sessionlint.fixes.edits import Group, Refusal
from sessionlint.fixes.program import Program
from sessionlint.fixes.rewrite import delete

CODES = ("SES203",)
ORDER = 30
TITLE = "delete the commit that the block makes anyway"


def propose(program: Program, findings: Sequence[Finding]) -> Iterator[Group | Refusal]:
    """One group per commit."""
    for finding in findings:
        document = program.document(finding.place.file)
        seen = [o for o in program.observed(finding, EndedInside) if o.loc.line == finding.place.line]
        used = next((o.then for o in seen if o.then is not None), None)
        call = document.spanning(finding.place, ast.Call)
        stmt = document.statement(call) if call is not None else None
        if used is not None:
            where = Step(program.analysis.place(program.function(finding), used), "the session is used again here")
            yield Refusal((finding,), TITLE, "the session is used again inside the block", (where,))
        elif stmt is None or not isinstance(stmt, ast.Expr) or any(o.chain for o in seen):
            yield Refusal((finding,), TITLE, "the commit is not a statement of its own")
        else:
            yield Group(TITLE, (finding,), FixSafety.SAFE, (delete(document, stmt),))
