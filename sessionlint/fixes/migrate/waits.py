"""Where a stream waits with a transaction open, and in front of which statement it is to be ended.

Behind the last use of the session, in front of the first wait: outside a loop that only waits, and once where several
branches wait alike.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from sessionlint.effects.observations import Suspended, Waited
from sessionlint.effects.state import Write, WriteKey
from sessionlint.facts import shape as s
from sessionlint.facts.shape import Loc
from sessionlint.findings import Step
from sessionlint.fixes.document import Document
from sessionlint.fixes.program import Program
from sessionlint.fixes.rewrite import stands_alone
from sessionlint.fixes.sources import Refused
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Scope

_JUMPS = (ast.Return, ast.Continue, ast.Break)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_PARTS = frozenset({"yield_per", "partitions"})
_CURSORS = frozenset({"stream", "stream_scalars"}) | _PARTS
_USES = frozenset({"read", "write", "flush"})
_CALLS = frozenset({"call", "iterate", "enter"})
READER = "the reader waits here with writes uncommitted"


class Wait(NamedTuple):
    """A function waits at ``loc`` for its reader or a slow call, with ``writes`` pending; without: it has only read."""

    loc: Loc
    writes: tuple[Write, ...]
    slow: str = ""


class Landing(NamedTuple):
    """A transaction is to be ended in front of ``stmt``, because of ``wait``."""

    stmt: ast.stmt
    wait: Wait


class _Found(NamedTuple):
    """A wait with its statement, the statement that may be hoisted to, and the block and place of what comes before."""

    wait: Wait
    stmt: ast.stmt
    own: ast.stmt
    block: list[ast.stmt] | None
    behind: int
    top: ast.stmt


def waits_of(program: Program, function: sym.Function, *, reads: bool = False) -> list[Wait]:
    """The waits of a function that hands out items, in order; with ``reads`` also those where it has only read."""
    if not program.analysis.hands_out_items(function):
        return []
    reads = reads and not _keeps_a_cursor(program, function)
    found: dict[Loc, Wait] = {}
    for seen in program.analysis.result(function).observations:
        if isinstance(seen, Suspended):
            slow = ""
        elif isinstance(seen, Waited) and seen.kind == "slow":
            slow = seen.text
        else:
            continue
        if seen.writes or reads:
            known = found.get(seen.loc)
            writes = dict.fromkeys([*(known.writes if known is not None else ()), *seen.writes])
            found[seen.loc] = Wait(seen.loc, tuple(writes), known.slow if known is not None else slow)
    return [found[loc] for loc in sorted(found)]


def landings(program: Program, function: sym.Function, waits: list[Wait]) -> list[Landing]:
    """Where the transactions of some waits are to be ended. Raises ``Refused`` where no statement can stand."""
    document = program.document(function.module.path)
    uses = _uses(program, document, function)
    groups: dict[tuple[int, int], list[_Found]] = {}
    chosen: list[Landing] = []
    for wait in waits:
        found = _found(program, document, function, wait, uses)
        if found is not None and found.block is None:
            chosen.append(Landing(found.own, wait))
        elif found is not None:
            groups.setdefault((id(found.block), found.behind), []).append(found)
    for members in groups.values():
        first, top = _before_all(document, members)
        first = _out_of_loops(document, first, top, uses)
        covered = [m for m in members if not _used_between(document, first, m.stmt, uses)]
        chosen.extend(Landing(m.own, m.wait) for m in members if m not in covered)
        if covered:
            writing = [m.wait for m in covered if m.wait.writes]
            chosen.append(Landing(first, min(writing or [m.wait for m in covered])))
    at: dict[int, Landing] = {}
    for one in sorted(chosen, key=lambda one: (not one.wait.writes, one.wait.loc)):
        at.setdefault(document.start(one.stmt), one)
    return [_placed(program, document, function, at[start]) for start in sorted(at)]


def settled(program: Program, function: sym.Function) -> set[WriteKey]:
    """Writes of a function that always reach one of its commits for waits."""
    document = program.document(function.module.path)
    found: set[WriteKey] = set()
    waits = waits_of(program, function)
    for landing in landings(program, function, waits):
        block = document.block(landing.stmt)
        for write in (w for wait in waits for w in wait.writes):
            loc = _place(function, write)
            made = next((one for one in _chain(document, loc) if one in block), None) if loc is not None else None
            between = block[block.index(made) : block.index(landing.stmt)] if made is not None else []
            if between and not any(isinstance(n, _JUMPS) for stmt in between for n in ast.walk(stmt)):
                found.add(write.key)
    return found


def head_of(document: Document, stmt: ast.stmt) -> ast.stmt:
    """The statement in front of which another can stand: for an ``elif``, its ``if``."""
    while isinstance(stmt, ast.If) and document.text[document.start(stmt) :].startswith("elif"):
        parent = document.parent(stmt)
        assert isinstance(parent, ast.If), "an elif belongs to an if"
        stmt = parent
    return stmt


# ---- what comes before a wait ----------------------------------------------------------------------------------------


def _keeps_a_cursor(program: Program, function: sym.Function) -> bool:
    """Whether rows come from the server as they are asked for, so that the transaction must stay open."""
    infer, scope = program.analysis.infer, Scope(function.module, function)
    for call in function.calls:
        if any(k.name in {"yield_per", "stream_results"} for k in call.keywords):
            return True
        if isinstance(call.func, s.Attribute) and call.func.attr in _CURSORS:
            value = infer.expr(call.func.value, scope)
            if call.func.attr in _PARTS or any(isinstance(o, v.Session) for o in v.options_of(value)):
                return True
    return False


def _uses(program: Program, document: Document, function: sym.Function) -> list[ast.stmt]:
    """The statements in which a function, or what it calls, uses a session.

    A generator that it hands on from ends its transactions in front of its own yields.
    """
    analysis = program.analysis
    places = []
    for event in analysis.result(function).events:
        callee = analysis.table.functions.get(event.callee) if event.kind in _CALLS else None
        if callee is not None and event.kind == "iterate" and analysis.hands_out_items(callee):
            continue
        if event.kind in _USES or (callee is not None and analysis.result(callee).summary.touches):
            places.append(event.loc)
    return [chain[0] for chain in (_chain(document, loc) for loc in dict.fromkeys(places)) if chain]


def _found(
    program: Program, document: Document, function: sym.Function, wait: Wait, uses: list[ast.stmt]
) -> _Found | None:
    """A wait with what comes before it; None where it has only read and cannot let go."""
    node = document.spanning(wait.loc, (ast.Yield, ast.AsyncFor, ast.Call, ast.Await))
    if node is None:
        where = Step(program.analysis.place(function, wait.loc), READER)
        raise Refused("the transaction cannot be ended in front of this wait", where)
    stmt = document.statement(node)
    chain = list(_chain_of(document, stmt))
    if not wait.writes and any(isinstance(one, _LOOPS) and one in uses for one in chain):
        return None  # the rows of the loop may still be on their way
    places = [_place(function, write) for write in wait.writes]
    if None in places:
        return _Found(wait, stmt, _out_of_loops(document, stmt, chain[-1], uses), None, 0, stmt)
    marks = [_chain(document, loc) for loc in places if loc is not None] or [
        list(_chain_of(document, use)) for use in uses if document.start(use) < document.start(stmt)
    ]
    for top in chain:
        block = document.block(top)
        behind = {block.index(one) for mark in marks for one in mark if one in block}
        if behind and max(behind) < block.index(top):
            return _Found(wait, stmt, _out_of_loops(document, stmt, top, uses), block, max(behind), top)
        if behind:
            break
    return _Found(wait, stmt, stmt, None, 0, stmt) if marks else None


def _place(function: sym.Function, write: Write) -> Loc | None:
    """Where a function itself makes a write or calls what makes it."""
    link = write.chain[0] if write.chain else write
    return link.loc if link.path == function.module.path else None


def _chain(document: Document, loc: Loc) -> list[ast.stmt]:
    node = document.spanning(loc, (ast.expr, ast.stmt))
    return list(_chain_of(document, document.statement(node))) if node is not None else []


def _chain_of(document: Document, stmt: ast.stmt) -> Iterator[ast.stmt]:
    """A statement and those around it, up to the function."""
    yield stmt
    for around in document.ancestors(stmt):
        if isinstance(around, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            return
        if isinstance(around, ast.stmt):
            yield around


# ---- in front of what ------------------------------------------------------------------------------------------------


def _before_all(document: Document, members: list[_Found]) -> tuple[ast.stmt, ast.stmt]:
    """The statement in front of which control passes before any of some waits, and the one around it at the top."""
    chains = []
    for member in members:
        chain = list(_chain_of(document, member.stmt))
        chains.append(chain[: chain.index(member.top) + 1])
    for one in chains[0]:
        block = document.block(one)
        there = [stmt for chain in chains for stmt in chain if stmt in block]
        if all(any(stmt in block for stmt in chain) for chain in chains):
            first = min(there, key=document.start)
            return first, next(chain[-1] for chain in chains if first in chain)
    raise AssertionError("the members share a block")


def _out_of_loops(document: Document, stmt: ast.stmt, top: ast.stmt, uses: list[ast.stmt]) -> ast.stmt:
    """The outermost loop between a wait and ``top`` that does not use the session; else the wait's own statement."""
    found = stmt
    for one in _chain_of(document, stmt):
        if isinstance(one, _LOOPS):
            inside = set(ast.walk(one))
            if any(use in inside for use in uses):
                break
            found = one
        if one is top:
            break
    return found


def _used_between(document: Document, first: ast.stmt, stmt: ast.stmt, uses: list[ast.stmt]) -> bool:
    """Whether the session is used again behind a landing and before a wait."""
    return any(document.start(first) <= document.start(use) < document.start(stmt) for use in uses)


def _placed(program: Program, document: Document, function: sym.Function, landing: Landing) -> Landing:
    """The landing, once it is certain that a statement can stand there."""
    stmt = head_of(document, landing.stmt)
    where = Step(program.analysis.place(function, landing.wait.loc), READER)
    if not stands_alone(document, stmt):
        raise Refused("the transaction cannot be ended in front of this wait", where)
    if document.enclosing(stmt, ast.ExceptHandler) is not None:
        raise Refused("a wait in an except clause comes with half-done work", where)
    for write in landing.wait.writes:
        loc = _place(function, write)
        at = document.offset(loc.line, loc.column) if loc is not None else -1
        if document.start(stmt) <= at < _head_end(document, stmt):
            raise Refused("the same statement writes and waits", where)
    return Landing(stmt, landing.wait)


def _head_end(document: Document, stmt: ast.stmt) -> int:
    """Where the part of a statement ends that runs before its block."""
    body = getattr(stmt, "body", None)
    return document.start(body[0]) if body else document.end(stmt)
