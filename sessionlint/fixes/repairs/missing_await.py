"""Awaits a call whose coroutine was made and thrown away, or used as if it were the result.

Safe: the call did nothing before. Refused outside of ``async def``, where nothing can be awaited, and for ``begin()``,
which is meant to be entered.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from sessionlint.findings import Finding, FixSafety
from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import Edit, Group, Refusal
from sessionlint.fixes.program import Program

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
        around = next((n for n in document.ancestors(call) if isinstance(n, _FUNCTIONS)), None)
        if not isinstance(around, ast.AsyncFunctionDef):
            yield Refusal((finding,), TITLE, "the function around it is not `async`, so nothing can be awaited in it")
        elif isinstance(call.func, ast.Attribute) and call.func.attr in {"begin", "begin_nested"}:
            yield Refusal((finding,), TITLE, "a transaction is meant to be entered: where it ends is a decision")
        else:
            yield Group(TITLE, (finding,), FixSafety.SAFE, _awaited(document, call))


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def _awaited(document: Document, call: ast.Call) -> tuple[Edit, ...]:
    """``await call``, in parentheses where the result is used further in the same expression."""
    start, end = document.start(call), document.end(call)
    parent = document.parent(call)
    tight = (
        (isinstance(parent, (ast.Attribute, ast.Subscript)) and parent.value is call)
        or (isinstance(parent, ast.Call) and parent.func is call)
        or isinstance(parent, ast.BinOp)
    )
    if not tight:
        return (Edit(document.file, start, start, "await "),)
    return (Edit(document.file, start, start, "(await "), Edit(document.file, end, end, ")"))
