"""Commits before the response is sent, where a dependency commits only afterwards.

``Depends(get_db, scope="function")`` in every use at once, where the declared FastAPI certainly has it (0.121) and
neither a stream, a background task nor another generator dependency needs the session longer; else the endpoints that
leave writes to the dependency commit before they return. Unsafe: a failing commit becomes an error the client sees.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from sessionlint.effects.late_commits import relying
from sessionlint.effects.observations import Ended
from sessionlint.findings import Finding, FixSafety, Step
from sessionlint.fixes import references
from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import Edit, Group, NeededImport, Refusal
from sessionlint.fixes.entry_commits import NoCommit, entry_commits
from sessionlint.fixes.program import Program
from sessionlint.fixes.signatures import pass_keyword
from sessionlint.project import symbols as sym
from sessionlint.project.frameworks import fastapi

CODES = ("SES212",)
ORDER = 85
_NEEDS_IT_LONGER = frozenset(
    {
        "StreamingResponse",
        "EventSourceResponse",
        "SafeStreamingResponse",
        "EventStreamResponse",
        "BackgroundTasks",
        "BackgroundTask",
        "WebSocket",
        "add_task",
    }
)


def propose(program: Program, findings: Sequence[Finding]) -> Iterator[Group | Refusal]:
    """One group per provider."""
    for finding in findings:
        provider = program.function(finding)
        edits = _scoped(program, provider)
        if edits:
            title = f'end `{provider.name}` before the response, with `scope="function"` in every use'
            yield Group(title, (finding,), FixSafety.UNSAFE, edits)
        else:
            yield _committing(program, provider, finding)


def _scoped(program: Program, provider: sym.Function) -> tuple[Edit, ...]:
    """``scope="function"`` for all uses; nothing where it may not be given to all of them."""
    known = fastapi.lifecycle(program.analysis.settings.versions.get("fastapi"))
    if not known.scopes or known.early or known.other or "not declared" in known.text:
        return ()
    uses = references.of_functions(program.analysis, [provider])
    if uses.values or not uses.depends:
        return ()
    edits = []
    for use in uses.depends:
        document = program.document(use.module.path)
        call = document.spanning(use.call.loc, ast.Call) if use.call is not None else None
        if call is None or any(k.arg == "scope" for k in call.keywords):
            return ()
        around = _user(document, call)
        if around is None or _needs_it_longer(around):
            return ()
        edits.append(pass_keyword(document, call, "scope", '"function"'))
    return tuple(edits)


def _user(document: Document, call: ast.Call) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """The function whose signature asks for the dependency; None for an alias that many may use."""
    return document.function_around(call)


def _needs_it_longer(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """A stream, a background task, or a generator dependency (which may not depend on a shorter-lived one)."""
    for node in ast.walk(function):
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            return True
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        if name in _NEEDS_IT_LONGER:
            return True
    return False


def _committing(program: Program, provider: sym.Function, finding: Finding) -> Group | Refusal:
    """The endpoints that leave their writes to the provider commit before they return."""
    title = "commit in the endpoints before they return"
    edits: list[Edit] = []
    imports: list[NeededImport] = []
    endpoints = {f.key: f for f, _ in relying(program.analysis).get(provider.key, ())}
    for function in endpoints.values():
        ends = program.observations(function, Ended)
        try:
            more, needed = entry_commits(program, function, ends)
        except NoCommit as problem:
            where = Step(program.analysis.place(function, function.facts.loc), f"`{function.qualname}` is one of them")
            return Refusal((finding,), title, f"`{function.qualname}`: {problem}", (where,))
        edits.extend(more)
        imports.extend(needed)
    if not edits:
        return Refusal((finding,), title, "the endpoints that rely on it cannot be seen")
    return Group(title, (finding,), FixSafety.UNSAFE, tuple(dict.fromkeys(edits)), tuple(imports))
