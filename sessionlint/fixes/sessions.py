"""Questions about sessions that several fixers ask: under which name a block holds one, how it is committed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from sessionlint.facts import shape as s
from sessionlint.fixes.program import Program
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Scope


class Held(NamedTuple):
    """A session as a function spells it (``db``, ``self._db``)."""

    text: str
    is_async: bool | None


def commit_call(held: Held) -> str:
    return call(held, "commit")


def call(held: Held, method: str) -> str:
    """``await db.commit()``, or without ``await`` for a synchronous session."""
    return f"{'await ' if held.is_async else ''}{held.text}.{method}()"


def named_session(program: Program, function: sym.Function, name: str) -> Held | None:
    """The session a local name or parameter of a function is."""
    value = program.analysis.infer.name(name, Scope(function.module, function))
    sessions = [o for o in v.options_of(value) if isinstance(o, v.Session)]
    if not sessions:
        return None
    flavours = {o.is_async for o in sessions}
    return Held(name, flavours.pop() if len(flavours) == 1 else None)


def shared_session(program: Program, function: sym.Function, origin: v.Origin) -> Held | None:
    """A shared session (``db.session``) as the function spells it somewhere."""
    scope = Scope(function.module, function)
    for expr in function.expressions:
        if isinstance(expr, (s.Name, s.Attribute)) and sym.dotted_text(expr):
            value = program.analysis.infer.expr(expr, scope)
            if isinstance(value, v.Session) and value.origin == origin:
                return Held(sym.dotted_text(expr), value.is_async)
            if isinstance(value, v.Factory) and value.scoped and origin == v.Origin("global", value.name or "registry"):
                return Held(sym.dotted_text(expr), value.is_async)
    return None


def spelled_session(program: Program, function: sym.Function, node: ast.expr) -> Held | None:
    """The session that a dotted name is at a place of a function: ``db``, ``self._db``."""
    parts = ast.unparse(node).split(".")
    if not all(part.isidentifier() for part in parts):
        return None
    infer = program.analysis.infer
    value = infer.name(parts[0], Scope(function.module, function))
    for part in parts[1:]:
        value = infer.attribute(value, part, function.module)
    flavours = {o.is_async for o in v.options_of(value) if isinstance(o, v.Session)}
    if not flavours:
        return None
    return Held(".".join(parts), flavours.pop() if len(flavours) == 1 else None)


def opened_around(program: Program, function: sym.Function, node: ast.AST) -> Held | None:
    """The session of the innermost ``with`` around a node, else the only one the function binds to a name."""
    document = program.document(function.module.path)
    for around in document.ancestors(node):
        if isinstance(around, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            break
        if isinstance(around, (ast.With, ast.AsyncWith)):
            for item in around.items:
                if isinstance(item.optional_vars, ast.Name):
                    held = named_session(program, function, item.optional_vars.id)
                    if held is not None:
                        return held
    held_by = [h for name in function.bindings if (h := named_session(program, function, name)) is not None]
    return held_by[0] if len(held_by) == 1 else None


def inside(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.With | ast.AsyncWith) -> Iterator[ast.AST]:
    """The nodes of a body in no certain order, nested definitions left out."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            waiting.extend(ast.iter_child_nodes(node))
