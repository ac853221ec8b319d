"""Opens the session inside the stream that uses the request's, in short blocks without a ``yield``.

Services and repositories that the stream uses are built anew on it, and the endpoint lets go of what it needs no more.
A stream that leaves the session alone but starts while its transaction is open gets a commit in front of the response.
Unsafe: the stream has transactions of its own. Refused, with the place, where it cannot be seen what makes the session
or what is built on it, where tests replace the dependency, and where the session would wait for the reader all the
same: its commits have to move too, which `sessionlint migrate unit-of-work` does.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from sessionlint.effects.observations import Waited
from sessionlint.findings import Finding, FixSafety, Step
from sessionlint.fixes.edits import Edit, Group, NeededImport, Refusal
from sessionlint.fixes.expiry import keeps_objects
from sessionlint.fixes.program import Program
from sessionlint.fixes.rewrite import insert_before
from sessionlint.fixes.sessions import Held, commit_call, named_session
from sessionlint.fixes.signatures import depends
from sessionlint.fixes.sources import Refused
from sessionlint.fixes.streams.stream_entries import StreamEntry, stream_entries
from sessionlint.fixes.streams.stream_session import StreamSession
from sessionlint.project import symbols as sym

CODES = ("SES501",)
ORDER = 75
TITLE = "open the session inside the stream"
_COMMIT = "commit before the stream starts"


def propose(program: Program, findings: Sequence[Finding]) -> Iterator[Group | Refusal]:
    """One group per finding."""
    entries = list(stream_entries(program))
    for finding in findings:
        entry = _entry_of(entries, finding)
        title = TITLE if entry is not None else _COMMIT
        try:
            yield _moved(program, entry, finding) if entry is not None else _committed(program, finding)
        except Refused as refused:
            yield Refusal((finding,), title, refused.reason, refused.trace)
        except LookupError as error:
            yield Refusal((finding,), title, str(error))


def _entry_of(entries: list[StreamEntry], finding: Finding) -> StreamEntry | None:
    """The entry whose stream a finding is about; None where the stream leaves the session alone."""
    places = {(s.place.file, s.place.line, s.place.column) for s in finding.trace}
    for entry in entries:
        inside = any(g.module.path == finding.place.file and g.qualname == finding.function for g in entry.generators)
        if inside and (entry.place.file, entry.place.line, entry.place.column) in places:
            return entry
    return None


def _moved(program: Program, entry: StreamEntry, finding: Finding) -> Group:
    stream = StreamSession(program, entry)
    stream.build()
    imports = dict.fromkeys([*stream.imports, *stream.carried.imports])
    edits = tuple(dict.fromkeys(stream.edits))
    return Group(TITLE, (finding,), FixSafety.UNSAFE, edits, tuple(imports), stream.released, (), tuple(stream.blocks))


# ---- a transaction that only stays open ----------------------------------------------------------------------------


def _committed(program: Program, finding: Finding) -> Group:
    function = program.function(finding)
    document = program.document(finding.place.file)
    where = Step(finding.place, "the stream starts here")
    node = document.spanning(finding.place, ast.Call)
    stmt = document.statement(node) if node is not None else None
    if stmt is None or document.function_around(stmt) is not document.function(function.facts):
        raise Refused("no commit can be put in front of the response", where)
    if not keeps_objects(program):
        raise Refused("the commit would expire what is loaded: a factory has no `expire_on_commit=False`", where)
    held, edits, imports = _session(program, function, where)
    if held.is_async is None or (held.is_async and not function.facts.is_async):
        raise Refused("the endpoint cannot commit the session", where)
    edits = [*edits, insert_before(document, stmt, [commit_call(held)])]
    return Group(_COMMIT, (finding,), FixSafety.UNSAFE, tuple(edits), imports)


def _session(
    program: Program, function: sym.Function, where: Step
) -> tuple[Held, list[Edit], tuple[NeededImport, ...]]:
    """The session whose transaction is open, as the endpoint has it or asks the framework for it."""
    analysis = program.analysis
    opened = [p for name in function.parameters for _, p, _ in analysis.left_open(function, name)]
    for seen in program.observations(function, Waited):
        if seen.kind == "stream" and seen.origin.kind == "param":
            opened.extend(p for p, _ in analysis.request_sessions(function, seen.origin.name))
    providers = {p.key: p for p in opened}
    if len(providers) != 1:
        raise Refused("it is not certain whose transaction is open", where)
    provider = next(iter(providers.values()))
    for name in function.parameters:
        held = named_session(program, function, name)
        behind = {p.key for p, scope in analysis.request_sessions(function, name) if scope != "function"}
        if held is not None and behind == {provider.key}:
            return held, [], ()
    asked = depends(program, function, provider)
    if isinstance(asked, str):
        raise Refused(asked, where)
    return asked
