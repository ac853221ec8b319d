"""Takes a function's own session out of it: its block goes, its name becomes the one the session is handed in by.

Commits of the block are left to the caller (``flush()`` where keys or errors are needed at that place); rollbacks of
handlers that raise again, and ``close()``, go with them.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from sessionlint.effects.observations import Created
from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import Edit, Unwrap
from sessionlint.fixes.program import Program
from sessionlint.fixes.rewrite import delete, insert_after, is_one_liner, replace
from sessionlint.fixes.sessions import named_session
from sessionlint.project import symbols as sym


class NotTakenOut(Exception):
    """The block has no form that could be taken out; ``node`` shows where."""

    def __init__(self, reason: str, node: ast.AST) -> None:
        super().__init__(reason)
        self.reason = reason
        self.node = node


@dataclass
class OwnBlocks:
    """The blocks in which a function opens sessions of its own."""

    document: Document
    function: sym.Function
    blocks: list[ast.With | ast.AsyncWith] = field(default_factory=list)
    #: the callees that open the sessions, as written: ``maker``, ``database.maker``, ``get_db``
    openers: list[ast.expr] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    is_async: bool = True
    writes: bool = False
    #: ``with session.begin():`` inside a block, which goes with it
    begun: list[ast.With | ast.AsyncWith] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.names[0]

    def rewritten(self, spelling: str) -> tuple[list[Edit], list[Unwrap]]:
        """The edits that make every block use the session called ``spelling``."""
        edits: list[Edit] = []
        for block, name in zip(self.blocks, self.names, strict=True):
            edits.extend(self._inside(block, name, spelling))
        return edits, self.taken_out()

    def taken_out(self) -> list[Unwrap]:
        """The blocks that go."""
        return [Unwrap(self.document.file, self.document.start(block)) for block in (*self.blocks, *self.begun)]

    def _inside(self, block: ast.With | ast.AsyncWith, name: str, spelling: str) -> list[Edit]:
        document = self.document
        edits: list[Edit] = []
        gone: set[ast.AST] = set()
        for stmt in (n for n in ast.walk(block) if isinstance(n, ast.Expr)):
            method = _method_of(stmt, name)
            if method == "commit":
                if self._flushes(block, stmt, name):
                    call = stmt.value.value if isinstance(stmt.value, ast.Await) else stmt.value
                    assert isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
                    edits.append(
                        Edit(document.file, document.end(call.func) - len("commit"), document.end(call.func), "flush")
                    )
                    continue
                edits.append(delete(document, stmt))
            elif method == "rollback":
                if not _raises_again(document, stmt):
                    raise NotTakenOut("it rolls its session back and carries on, which is the owner's business", stmt)
                edits.append(delete(document, stmt))
            elif method == "close":
                edits.append(delete(document, stmt))
            else:
                continue
            gone.update(ast.walk(stmt))
        committing = [block] if self._begun(block) else []
        committing += [inner for inner in self.begun if inner in set(ast.walk(block))]
        for one in committing:
            if _adds(one, name) and not isinstance(one.body[-1], (ast.Return, ast.Raise)):
                line = f"{'await ' if self.is_async else ''}{spelling}.flush()"
                edits.append(insert_after(document, one.body[-1], [line], document.indentation(one.body[-1])))
        headers = {n for inner in self.begun for n in ast.walk(inner.items[0])}
        if spelling != name:
            for node in ast.walk(block):
                if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load):
                    if node not in gone and node not in headers:
                        edits.append(replace(document, node, spelling))
        return edits

    def _begun(self, block: ast.With | ast.AsyncWith) -> bool:
        context = block.items[0].context_expr
        return (
            isinstance(context, ast.Call) and isinstance(context.func, ast.Attribute) and context.func.attr == "begin"
        )

    def _flushes(self, block: ast.With | ast.AsyncWith, stmt: ast.Expr, name: str) -> bool:
        """Whether something relies on the rows having been sent when the block goes on."""
        caught = any(
            isinstance(around, ast.Try) and around.handlers and stmt not in _handlers(around)
            for around in self.document.ancestors(stmt)
            if around in set(ast.walk(block))
        )
        refreshed = any(
            isinstance(n, ast.Call) and _called_on(n, name) == "refresh" and n.lineno > stmt.lineno
            for n in ast.walk(block)
        )
        return _adds(block, name) or caught or refreshed


def _handlers(attempt: ast.Try) -> set[ast.AST]:
    return {n for handler in attempt.handlers for n in ast.walk(handler)}


def _called_on(call: ast.Call, name: str) -> str:
    if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name) and call.func.value.id == name:
        return call.func.attr
    return ""


def _adds(block: ast.AST, name: str) -> bool:
    return any(isinstance(n, ast.Call) and _called_on(n, name) in {"add", "add_all", "merge"} for n in ast.walk(block))


def _method_of(stmt: ast.Expr, name: str) -> str:
    call = stmt.value.value if isinstance(stmt.value, ast.Await) else stmt.value
    return _called_on(call, name) if isinstance(call, ast.Call) else ""


def _raises_again(document: Document, stmt: ast.stmt) -> bool:
    parent = document.parent(stmt)
    return isinstance(parent, ast.ExceptHandler) and isinstance(parent.body[-1], ast.Raise)


def own_blocks(program: Program, function: sym.Function) -> OwnBlocks:
    """The blocks of a function's own sessions. Raises ``NotTakenOut``."""
    document = program.document(function.module.path)
    node = document.function(function.facts)
    found = OwnBlocks(document, function)
    flavours: set[bool | None] = set()
    for seen in program.observations(function, Created):
        if seen.how == "unit":
            raise NotTakenOut("it opens a unit of work", node)
        call = document.spanning(seen.loc, ast.Call)
        block = document.with_around(call) if call is not None else None
        if block in found.blocks:
            continue
        if call is None or block is None or not any(call in ast.walk(i.context_expr) for i in block.items):
            raise NotTakenOut("it opens its session without a `with` block", call or node)
        target = block.items[0].optional_vars
        if len(block.items) != 1 or not isinstance(target, ast.Name) or is_one_liner(document, block):
            raise NotTakenOut("its `with` opens more than the session", block)
        held = named_session(program, function, target.id)
        if held is None:
            raise NotTakenOut(f"`{target.id}` is more than a session", block)
        flavours.add(held.is_async)
        found.blocks.append(block)
        found.names.append(target.id)
        found.openers.append(_opener(block.items[0].context_expr))
        found.begun.extend(_inner_transactions(document, block, target.id))
        found.writes = (
            found.writes
            or found._begun(block)
            or bool(found.begun)
            or any(isinstance(n, ast.Expr) and _method_of(n, target.id) == "commit" for n in ast.walk(block))
        )
    if not found.blocks:
        raise NotTakenOut("it is not clear where it opens its session", node)
    if len(flavours) != 1 or None in flavours:
        raise NotTakenOut("it is not clear whether its session is an asynchronous one", node)
    found.is_async = bool(flavours.pop())
    return found


def _inner_transactions(
    document: Document, block: ast.With | ast.AsyncWith, name: str
) -> list[ast.With | ast.AsyncWith]:
    """The ``with session.begin():`` blocks inside: a session that is handed in has begun already."""
    found = []
    for node in ast.walk(block):
        if isinstance(node, (ast.With, ast.AsyncWith)) and node is not block:
            calls = [i.context_expr for i in node.items if isinstance(i.context_expr, ast.Call)]
            if not any(_called_on(call, name) == "begin" for call in calls):
                continue
            if len(node.items) != 1 or node.items[0].optional_vars is not None or is_one_liner(document, node):
                raise NotTakenOut("its transaction is begun together with something else", node)
            found.append(node)
    return found


def _opener(context: ast.expr) -> ast.expr:
    """``maker`` of ``maker()`` and ``maker.begin()``; ``get_db`` of ``asynccontextmanager(get_db)()``."""
    func = context.func if isinstance(context, ast.Call) else context
    if isinstance(func, ast.Call) and func.args:
        return func.args[0]
    if isinstance(func, ast.Attribute) and func.attr == "begin":
        return func.value
    return func
