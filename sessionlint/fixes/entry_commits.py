"""Commits at an entry point before it returns, on the session it holds or asks the framework for."""

from __future__ import annotations

import ast

from sessionlint.effects.observations import Ended
from sessionlint.fixes import signatures
from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import Edit, NeededImport
from sessionlint.fixes.leaving import at_end, before_return
from sessionlint.fixes.program import Program
from sessionlint.fixes.sessions import Held, call, named_session, shared_session
from sessionlint.project import symbols as sym


class NoCommit(Exception):
    """The entry point cannot commit; the message says why."""


def entry_commits(
    program: Program, function: sym.Function, ends: list[Ended]
) -> tuple[tuple[Edit, ...], tuple[NeededImport, ...]]:
    """A commit in front of every way out that leaves writes pending. Raises ``NoCommit``."""
    document = program.document(function.module.path)
    edits: list[Edit] = []
    imports: tuple[NeededImport, ...] = ()
    held = _at_hand(program, function, ends[0])
    if held is None:
        held, edits, imports = _asking(program, function, ends[0])
    if held.is_async is None:
        raise NoCommit(f"it is not clear whether `{held.text}` is an asynchronous session")
    if held.is_async and not function.facts.is_async:
        raise NoCommit("the function is not `async`, so it cannot await a commit")
    node = document.function(function.facts)
    if ast.unparse(node.body[-1]) == call(held, "commit"):
        raise NoCommit(f"it commits `{held.text}` already, so the write is on another session")
    for end in ends:
        if end.leaving == "return":
            edits.extend(_before(document, end, call(held, "commit")))
        else:
            edits.extend(at_end(document, node.body, call(held, "commit")))
    return tuple(dict.fromkeys(edits)), imports


def _before(document: Document, end: Ended, line: str) -> list[Edit]:
    leave = document.spanning(end.loc, ast.Return)
    return before_return(document, leave, line) if leave is not None else []


def _at_hand(program: Program, function: sym.Function, end: Ended) -> Held | None:
    """The session as the function itself can write it."""
    if end.origin.kind == "global":
        return shared_session(program, function, end.origin)
    if not end.origin.path and end.origin.name in function.parameters:
        return named_session(program, function, end.origin.name)
    for name in function.parameters:
        held = named_session(program, function, name)
        if held is not None:
            return held
    return None


def _asking(program: Program, function: sym.Function, end: Ended) -> tuple[Held, list[Edit], tuple[NeededImport, ...]]:
    """A new parameter that the framework fills with the session behind a service: the same one, within a request."""
    if end.origin.kind == "global":
        raise NoCommit("the session is not named in this function")
    providers = program.analysis.request_sessions(function, end.origin.name)
    if len({p.key for p, _ in providers}) != 1:
        raise NoCommit("the session is hidden inside what the function was handed")
    provider, scope = providers[0]
    wanted = end.origin.path[-1].strip("_") if end.origin.path else ""
    asked = signatures.depends(program, function, provider, scope, wanted)
    if isinstance(asked, str):
        raise NoCommit(asked)
    return asked
