"""Around which statements of a function a block may be opened, up to where what it makes is used, under which name."""

from __future__ import annotations

import ast

from sessionlint.fixes.document import Document
from sessionlint.fixes.leaving import fresh_name


def scope_name(scope: ast.AST, wanted: tuple[str, ...], stmt: ast.stmt) -> str:
    """A name for a new scope: one that nothing uses, or that other scopes beside it use for the same."""
    targets = {
        item.optional_vars.id
        for n in ast.walk(scope)
        if isinstance(n, (ast.With, ast.AsyncWith)) and stmt not in set(ast.walk(n))
        for item in n.items
        if isinstance(item.optional_vars, ast.Name)
    }
    for name in wanted:
        stores = sum(isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Store) for n in ast.walk(scope))
        scopes = sum(
            isinstance(n, (ast.With, ast.AsyncWith))
            and any(isinstance(i.optional_vars, ast.Name) and i.optional_vars.id == name for i in n.items)
            for n in ast.walk(scope)
        )
        if name in targets and stores == scopes:
            return name
    return fresh_name(scope, wanted)


def headers(stmt: ast.With | ast.AsyncWith) -> set[ast.AST]:
    return {n for item in stmt.items for n in ast.walk(item.context_expr)}


def is_docstring(stmt: ast.stmt) -> bool:
    return isinstance(stmt, ast.Expr) and isinstance(stmt.value, ast.Constant) and isinstance(stmt.value.value, str)


def statement_of(document: Document, call: ast.expr) -> ast.stmt | None:
    """The statement a block can be opened around: where nothing else decides whether or how often the call runs."""
    inner: ast.AST = call
    for around in document.ancestors(call):
        if isinstance(around, (ast.Lambda, ast.comprehension, ast.GeneratorExp)):
            return None
        if isinstance(around, ast.stmt):
            if isinstance(around, (ast.While,)) and inner is around.test:
                return None
            if isinstance(around, ast.If) and _is_elif(document, around):
                return None
            return around if not isinstance(around, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) else None
        inner = around
    return None


def last_user(document: Document, stmt: ast.stmt, call: ast.Call) -> ast.stmt | None:
    """The last statement of a block that uses what a statement makes; None where it is kept or handed out."""
    parent = document.parent(call)
    used_up = isinstance(parent, ast.Attribute)  # ``Service().run()``: nothing keeps it
    if used_up and not isinstance(stmt, (ast.Assign, ast.AnnAssign)):
        return stmt
    if isinstance(stmt, (ast.Return, ast.Expr)) or hasattr(stmt, "body"):
        return stmt if isinstance(stmt, ast.Expr) and not isinstance(stmt.value, (ast.Yield, ast.YieldFrom)) else None
    targets = stmt.targets if isinstance(stmt, ast.Assign) else [stmt.target] if isinstance(stmt, ast.AnnAssign) else []
    if not targets or not all(isinstance(t, ast.Name) for t in targets):
        return None
    names = {t.id for t in targets if isinstance(t, ast.Name)}
    block = document.block(stmt)
    last = stmt
    for later in block[block.index(stmt) + 1 :]:
        read = {n.id for n in ast.walk(later) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        if not read & names:
            continue
        if any(isinstance(n, (ast.Return, ast.Yield, ast.YieldFrom, ast.While)) for n in ast.walk(later)):
            return None if not isinstance(later, ast.Return) or _bare(later, names) else later
        names |= {n.id for n in ast.walk(later) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        last = later
    return last


def _bare(leave: ast.Return, names: set[str]) -> bool:
    """Whether a return hands the object itself out."""
    return any(isinstance(n, ast.Name) and n.id in names for n in ([leave.value] if leave.value is not None else []))


def _is_elif(document: Document, stmt: ast.If) -> bool:
    return document.text[document.start(stmt) :].startswith("elif")
