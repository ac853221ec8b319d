"""Flushes new rows before a line that needs them to exist: a child row that would go first, a key that is still None.

Safe: nothing becomes visible to others earlier, and an error of the database is the one that the commit would raise.
Refused where the function has no session of its own name, or is not ``async`` although the session is.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from sessionlint.findings import Finding, FixSafety
from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import Group, Refusal
from sessionlint.fixes.program import Program
from sessionlint.fixes.rewrite import insert_before
from sessionlint.fixes.sessions import Held, call, inside, named_session, spelled_session
from sessionlint.project import symbols as sym

CODES = ("SES306", "SES312")
ORDER = 40
TITLE = "flush before the row is needed"


def propose(program: Program, findings: Sequence[Finding]) -> Iterator[Group | Refusal]:
    """One group per line."""
    told: set[tuple[str, int]] = set()
    for finding in findings:
        document = program.document(finding.place.file)
        function = program.function(finding)
        key = (finding.place.file, finding.place.line)
        if key in told:
            continue
        told.add(key)
        mine = tuple(f for f in findings if (f.place.file, f.place.line) == key)
        held = _session(program, document, function, finding)
        if held is None or held.is_async is None:
            yield Refusal(mine, TITLE, "it is not clear which session the row is added to")
        elif held.is_async and not function.facts.is_async:
            yield Refusal(mine, TITLE, "the function is not `async`, so it cannot await a flush")
        else:
            stmt = _statement(document, finding)
            yield Group(TITLE, mine, FixSafety.SAFE, (insert_before(document, stmt, [call(held, "flush")]),))


def _statement(document: Document, finding: Finding) -> ast.stmt:
    """The statement of a finding; of a compound one, itself."""
    node = document.spanning(finding.place, ast.expr) or document.spanning(finding.place, ast.stmt)
    assert node is not None, "a finding stands on a node"
    return document.statement(node)


def _session(program: Program, document: Document, function: sym.Function, finding: Finding) -> Held | None:
    """The session that the last ``add`` before the line is called on; else the one the function has."""
    adds = [
        n
        for n in inside(document.function(function.facts))
        if isinstance(n, ast.Call)
        and isinstance(n.func, ast.Attribute)
        and n.func.attr in {"add", "add_all", "merge"}
        and n.lineno <= finding.place.line
    ]
    for add in sorted(adds, key=lambda n: -n.lineno):
        assert isinstance(add.func, ast.Attribute)
        held = spelled_session(program, function, add.func.value)
        if held is not None:
            return held
    names = [*function.parameters, *(n for n in function.bindings if n.isidentifier())]
    known = [h for n in names if n != function.receiver and (h := named_session(program, function, n)) is not None]
    if len(known) == 1:
        return known[0]
    at_hand = program.analysis.engine.session_at_hand(function)
    return spelled_session(program, function, ast.parse(str(at_hand), mode="eval").body) if at_hand else None
