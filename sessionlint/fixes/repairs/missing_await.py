"""Awaits a call of an asynchronous session whose coroutine was made and thrown away.

Safe: the call did nothing before. Refused outside of ``async def``, where nothing can be awaited.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from sessionlint.findings import Finding, FixSafety
from sessionlint.fixes.edits import Group, Refusal
from sessionlint.fixes.program import Program
from sessionlint.fixes.rewrite import insert

CODES = ("SES302",)
ORDER = 20
TITLE = "await the call"


def propose(program: Program, findings: Sequence[Finding]) -> Iterator[Group | Refusal]:
    """One group per call."""
    for finding in findings:
        document = program.document(finding.place.file)
        call = document.spanning(finding.place, ast.Call)
        if call is None or isinstance(document.parent(call), ast.Await):
            continue
        around = document.enclosing(call, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        if not isinstance(around, ast.AsyncFunctionDef):
            yield Refusal((finding,), TITLE, "the function around it is not `async`, so nothing can be awaited in it")
            continue
        yield Group(TITLE, (finding,), FixSafety.SAFE, (insert(document, document.start(call), "await "),))
