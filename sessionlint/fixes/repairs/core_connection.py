"""Opens a Core connection with ``engine.begin()``, which commits, where ``engine.connect()`` loses what is written.

Unsafe: what was lost is kept from now on. Refused where the connection is not opened by a ``with``, and where a
transaction was begun on it by hand.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from sessionlint.findings import Finding, FixSafety
from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import Edit, Group, Refusal
from sessionlint.fixes.program import Program

CODES = ("SES311",)
ORDER = 30
TITLE = "open the connection with `begin()`, which commits"


def propose(program: Program, findings: Sequence[Finding]) -> Iterator[Group | Refusal]:
    """One group per connection."""
    told: dict[tuple[str, int], list[Finding]] = {}
    for finding in findings:
        document = program.document(finding.place.file)
        opened = _opened(document, finding)
        if opened is None:
            yield Refusal((finding,), TITLE, "the connection is not opened by a `with` around the line")
            continue
        told.setdefault((finding.place.file, document.end(opened.func)), []).append(finding)
    for (file, end), some in told.items():
        edit = Edit(file, end - len("connect"), end, "begin")
        yield Group(TITLE, tuple(some), FixSafety.UNSAFE, (edit,))


def _opened(document: Document, finding: Finding) -> ast.Call | None:
    """The ``engine.connect()`` of the innermost ``with`` around a finding (or at it)."""
    node = document.spanning(finding.place, ast.expr) or document.spanning(finding.place, ast.stmt)
    for around in document.ancestors(node) if node is not None else ():
        if isinstance(around, (ast.With, ast.AsyncWith)):
            for item in around.items:
                call = item.context_expr
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "connect":
                    return call
        if isinstance(around, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            return None
    return None
