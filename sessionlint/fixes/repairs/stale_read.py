"""Reads a row again for real: ``populate_existing`` on the read whose object the session already has.

Safe: the object is only made fresh. Refused where the query is built elsewhere, so nothing can be added to it here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from sessionlint.findings import Finding, FixSafety, Place, Step
from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import Edit, Group, Refusal
from sessionlint.fixes.program import Program
from sessionlint.fixes.signatures import pass_keyword

CODES = ("SES411", "SES508")
ORDER = 40
TITLE = "read the row with `populate_existing`"
_READS = frozenset({"execute", "scalar", "scalars", "scalar_one", "stream", "stream_scalars"})


def propose(program: Program, findings: Sequence[Finding]) -> Iterator[Group | Refusal]:
    """One group per read."""
    for finding in findings:
        document = program.document(finding.place.file)
        for place in (finding.place, *(s.place for s in reversed(finding.trace))):
            call = _read(document, place) if place.file == document.file else None
            if call is not None:
                break
        else:
            call = None
        edit = _fresh(document, call) if call is not None else None
        if edit is None:
            where = (Step(document.place(call), "the row is read here"),) if call is not None else ()
            yield Refusal((finding,), TITLE, "the query is not written at the place that reads", where)
        else:
            yield Group(TITLE, (finding,), FixSafety.SAFE, (edit,))


def _read(document: Document, place: Place) -> ast.Call | None:
    """The reading call of a session at a place, or around it in its statement."""
    node = document.spanning(place, ast.expr)
    while isinstance(node, ast.expr):
        inner = node.value if isinstance(node, ast.Await) else node
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
            if inner.func.attr in _READS or inner.func.attr in {"get", "get_one"}:
                return inner
        above = document.parent(node)
        node = above if isinstance(above, ast.expr) else None
    return None


def _fresh(document: Document, call: ast.Call) -> Edit | None:
    assert isinstance(call.func, ast.Attribute)
    if any(k.arg == "populate_existing" for k in call.keywords):
        return None
    if call.func.attr in {"get", "get_one"}:
        return pass_keyword(document, call, "populate_existing", "True") if len(call.args) >= 2 else None
    query = call.args[0] if call.args else None
    if not isinstance(query, ast.Call) or "select(" not in ast.unparse(query):
        return None
    end = document.end(query)
    return Edit(document.file, end, end, ".execution_options(populate_existing=True)")
