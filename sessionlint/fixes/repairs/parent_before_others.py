"""Commits a parent row before control goes to somebody who relies on it: a task, another session, a client.

The commit stands in the function that owns the session: in front of the line that starts the other work, or in front
of the ``yield`` that the client waits behind; an entry point that ends without one commits before it returns. Unsafe:
what was one transaction is two. Refused where the function was only handed its session, where a session that expires
its objects is used on, and where the other session is itself a fault that is repaired first.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from sessionlint.effects.observations import Created, Ended, Exposed, Suspended
from sessionlint.findings import Finding, FixSafety, Step
from sessionlint.fixes.around import statement_of
from sessionlint.fixes.edits import Group, Refusal
from sessionlint.fixes.entry_commits import NoCommit, entry_commits
from sessionlint.fixes.expiry import keeps_objects
from sessionlint.fixes.program import Program
from sessionlint.fixes.rewrite import insert_before
from sessionlint.fixes.sessions import Held, commit_call, named_session
from sessionlint.fixes.sources import Refused
from sessionlint.project import symbols as sym
from sessionlint.project import values as v

CODES = ("SES320",)
ORDER = 88
TITLE = "commit the parent row first"
_OWN_SESSIONS = frozenset({"SES101", "SES102"})


def propose(program: Program, findings: Sequence[Finding]) -> Iterator[Group | Refusal]:
    """One group per place; nothing where the other session is about to be repaired."""
    for finding in findings:
        function = program.function(finding)
        try:
            group = _committed(program, function, finding)
        except Refused as refused:
            yield Refusal((finding,), TITLE, refused.reason, refused.trace)
        except NoCommit as problem:
            where = Step(program.analysis.place(function, function.facts.loc), function.qualname)
            yield Refusal((finding,), TITLE, str(problem), (where,))
        else:
            if group is not None:
                yield group


def _committed(program: Program, function: sym.Function, finding: Finding) -> Group | None:
    exposed = [o for o in program.observations(function, Exposed) if o.loc.line == finding.place.line]
    if exposed:
        if _repaired_first(program, exposed[0]):
            return None
        return _in_front(program, function, finding, exposed[0].origin)
    waits = [o for o in program.observations(function, Suspended) if o.loc.line == finding.place.line and o.writes]
    if waits:
        return _in_front(program, function, finding, waits[0].origin)
    ends = program.observations(function, Ended)
    if not ends:
        return None
    edits, imports = entry_commits(program, function, ends)
    return Group("commit before the response is returned", (finding,), FixSafety.UNSAFE, edits, imports)


def _repaired_first(program: Program, seen: Exposed) -> bool:
    """Whether what opens the other session is reported for doing so: on one session there is nothing to wait for."""
    opener = program.analysis.table.functions.get(seen.opener)
    if seen.kind != "session" or opener is None:
        return False
    return any(
        f.code in _OWN_SESSIONS and f.function == opener.qualname and f.place.file == opener.module.path
        for f in program.findings
    )


def _in_front(program: Program, function: sym.Function, finding: Finding, origin: v.Origin) -> Group:
    document = program.document(function.module.path)
    here = Step(finding.place, "here")
    held = _owned(program, function, origin)
    if held is None:
        raise Refused("the commit is for whoever owns the session, and this function was handed it", here)
    if held.is_async is None:
        raise Refused(f"it is not clear whether `{held.text}` is an asynchronous session", here)
    node = document.spanning(finding.place, ast.expr)
    stmt = statement_of(document, node) if node is not None else None
    if stmt is None or document.function_around(stmt) is not document.function(function.facts):
        raise Refused("no commit can be put in front of this place", here)
    if held.is_async and not keeps_objects(program):
        raise Refused("the commit would expire what is loaded: a factory has no `expire_on_commit=False`", here)
    edit = insert_before(document, stmt, [commit_call(held)])
    return Group(TITLE, (finding,), FixSafety.UNSAFE, (edit,))


def _owned(program: Program, function: sym.Function, origin: v.Origin) -> Held | None:
    """The session as the function that owns it writes it: an entry point's, or one that it opened."""
    entries = program.analysis.entries
    if origin.kind == "param":
        is_entry = entries.boundary(function) or entries.kind(function)
        if not is_entry and (function.parent is None or not entries.kind(function.parent)):
            return None
        if not origin.path:
            return named_session(program, function, origin.name)
    elif not program.observations(function, Created):
        return None
    held = [h for name in (*function.parameters, *function.bindings) if (h := named_session(program, function, name))]
    return held[0] if len({h.text for h in held}) == 1 else None
