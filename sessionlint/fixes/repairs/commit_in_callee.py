"""Takes a commit out of a repository, service or helper that was handed its session: the caller commits.

Removed, or turned into ``flush()`` where a new row's key may be read afterwards, where an error of the database is
caught around it, and where the row is refreshed. Unsafe: what was permanent half way is permanent only when the caller
commits. Made only with proof: every chain of calls that leads to it must be visible and end where somebody commits;
where the boundary forgets to, its commit is added in the same repair. Refused, with the chain, where nobody in the
project calls it, where it is handed on as a value, runs elsewhere, where the owner of the session is not known, or
where a message, a task or another service would hear of the rows before they are committed.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Sequence

from sessionlint.effects.afterwards import policies as session_policies
from sessionlint.effects.observations import Committed, Created, DrivenProvider
from sessionlint.facts.shape import Loc
from sessionlint.findings import Finding, FixSafety, Step
from sessionlint.fixes import references
from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import Edit, Group, Refusal
from sessionlint.fixes.leftovers import taken_out
from sessionlint.fixes.program import Program
from sessionlint.fixes.told_before import told_after
from sessionlint.project import symbols as sym

CODES = ("SES201", "SES202")
ORDER = 70
_ADDS = frozenset({"add", "add_all", "merge"})


def propose(program: Program, findings: Sequence[Finding]) -> Iterator[Group | Refusal]:
    """One group per commit."""
    for finding in findings:
        document = program.document(finding.place.file)
        call = document.spanning(finding.place, ast.Call)
        function = program.function(finding)
        title = "leave the commit to the caller"
        if call is None or not isinstance(call.func, ast.Attribute) or call.func.attr != "commit":
            continue
        proof = _Proof(program)
        place = finding.place
        at = Loc(place.line, place.column, place.end_line, place.end_column)
        broken = proof.told(function, at, ()) or proof.broken(function, ())
        if broken is not None:
            yield Refusal((finding,), title, *broken)
            continue
        yield _taken_out(document, finding, call, title)


def _taken_out(document: Document, finding: Finding, call: ast.Call, title: str) -> Group | Refusal:
    stmt = document.statement(call)
    value = stmt.value if isinstance(stmt, ast.Expr) else None
    inner = value.value if isinstance(value, ast.Await) else value
    assert isinstance(call.func, ast.Attribute)
    if inner is not call or _needs_flush(document, stmt, call):
        start = document.end(call.func) - len("commit")
        edit = Edit(document.file, start, document.end(call.func), "flush")
        return Group(f"{title} and only flush", (finding,), FixSafety.UNSAFE, (edit,))
    return Group(title, (finding,), FixSafety.UNSAFE, tuple(taken_out(document, [stmt])))


def _needs_flush(document: Document, stmt: ast.stmt, call: ast.Call) -> bool:
    """Whether something relies on the statements having been sent: new keys, refreshed rows, errors caught here."""
    function = document.function_around(stmt)
    if function is None:
        return True
    assert isinstance(call.func, ast.Attribute)
    session = ast.unparse(call.func.value)
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if ast.unparse(node.func.value) == session:
                if node.func.attr in _ADDS or (node.func.attr == "refresh" and node.lineno > stmt.lineno):
                    return True
    return any(
        isinstance(around, ast.Try) and stmt in set(_statements(around.body)) and around.handlers
        for around in document.ancestors(stmt)
    )


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for stmt in body:
        yield from (n for n in ast.walk(stmt) if isinstance(n, ast.stmt))


class _Proof:
    """Whether every visible chain down to a function begins where somebody owns the session."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._analysis = program.analysis
        self._seen: set[str] = set()

    def broken(self, function: sym.Function, below: tuple[Step, ...]) -> tuple[str, tuple[Step, ...]] | None:
        """(reason, chain) of a chain that proves nothing, or None."""
        if function.key in self._seen:
            return None
        self._seen.add(function.key)
        analysis = self._analysis
        uses = references.of_functions(analysis, references.family(analysis, function))
        handed_on = [*uses.values, *uses.partials]
        if handed_on:
            step = handed_on[0].step(f"`{function.qualname}` is handed on here, and who calls it is not known")
            return "not every call of it can be seen", (step, *below)
        callers = defaultdict(list)
        for caller, loc, how in analysis.callers.get(function.key, ()):
            if not caller.module.is_test and caller is not function:
                callers[caller.key].append((caller, loc, how))
        if not callers:
            if analysis.entries.boundary(function) or function.key in analysis.entries.dependencies:
                return None if below else self._entry(function, below)
            step = Step(analysis.place(function, function.facts.loc), f"`{function.qualname}` is called by nobody")
            return "it is not known who commits", (step, *below)
        for calls in callers.values():
            for caller, loc, how in calls:
                step = Step(analysis.place(caller, loc), f"{caller.qualname} calls {function.qualname}()")
                found = self.told(caller, loc, (step, *below)) or self._caller(caller, how, (step, *below))
                if found is not None:
                    return found
        return None

    def told(self, function: sym.Function, at: Loc, below: tuple[Step, ...]) -> tuple[str, tuple[Step, ...]] | None:
        """Whether somebody hears of the rows behind a place, which would be in front of the commit from now on."""
        heard = told_after(self._program, function, at)
        if heard is None:
            return None
        where = Step(self._analysis.place(function, heard), f"`{function.qualname}` tells others here")
        return "somebody would hear of the rows before they are committed", (where, *below)

    def _caller(self, caller: sym.Function, how: str, chain: tuple[Step, ...]) -> tuple[str, tuple[Step, ...]] | None:
        if how in {"spawn", "stream"}:
            return "it runs elsewhere, where nobody waits for it to commit", chain
        for unresolved in self._analysis.unresolved:
            place = unresolved.place
            inside = caller.facts.loc.line <= place.line <= caller.facts.end_line
            if place.file == caller.module.path and inside:
                step = Step(place, f"{unresolved.call} is given the session and cannot be followed")
                return "what becomes of the session is not known", (step, *chain)
        for driven in self._program.observations(caller, DrivenProvider):
            where = Step(self._analysis.place(caller, driven.loc), f"{caller.qualname} loops over `{driven.text}()`")
            return "the provider is driven by hand, so its own commit may never run: repair that first", (where, *chain)
        if self._program.observations(caller, Created):
            return None  # the owner: whether it commits, the analysis of the result says
        if self._analysis.entries.boundary(caller) or caller.key in self._analysis.entries.dependencies:
            return self._entry(caller, chain)
        return self.broken(caller, chain)

    def _entry(self, function: sym.Function, chain: tuple[Step, ...]) -> tuple[str, tuple[Step, ...]] | None:
        """An entry point owns what a dependency provides; what its provider does afterwards must be known."""
        policies: set[str] = set()
        for name in function.parameters:
            if self._analysis.request_sessions(function, name):
                policies |= session_policies(self._analysis, function, name)
        commits = any(isinstance(o, Committed) for o in self._analysis.result(function).observations)
        if policies & {"commit", "nothing"} or commits:
            return None
        where = Step(self._analysis.place(function, function.facts.loc), f"{function.qualname} is called from outside")
        return "it is not known who commits the session that comes in from outside", (where, *chain)
