"""A block of statements that uses a session becomes the block of a unit of work. Collects edits in a plan."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from sessionlint.facts import shape as s
from sessionlint.findings import Step
from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import Unwrap, Wrap
from sessionlint.fixes.migrate.path_commits import commit_text
from sessionlint.fixes.migrate.unit_class import UNIT
from sessionlint.fixes.migrate.unit_parameter import UnitPlan
from sessionlint.fixes.providers import local_symbol
from sessionlint.fixes.rewrite import delete, replace
from sessionlint.fixes.sources import Refused
from sessionlint.fixes.streams.carriers import session_names
from sessionlint.fixes.streams.factories import is_factory, is_late
from sessionlint.project import symbols as sym


def converted(plan: UnitPlan, function: sym.Function, block: ast.AsyncWith, name: str) -> sym.Global:
    """``async with maker() as db:`` becomes the block of a unit; the factory. Raises ``Refused``."""
    document = plan.program.document(function.module.path)
    item = block.items[0]
    call, target = item.context_expr, item.optional_vars
    symbol = plain_factory(plan, function, block)
    if symbol is None:
        raise Refused("its session does not come from a plain call of a factory", _step(document, block, "opened here"))
    assert isinstance(call, ast.Call) and isinstance(target, ast.Name)
    is_late(symbol)
    plan.regions.setdefault(function.key, []).append((document.start(block), document.end(block)))
    names = {target.id}
    _not_used_elsewhere(document, document.function(function.facts), block, names)
    opened = plan.unit.opening(plan.program, document, document.code(call.func), name, plan.imports)
    first = block.body[0]
    if len(block.body) == 1 and isinstance(first, ast.Try) and first.handlers:
        body = inner(plan, document, first, names)
        start, end = document.start(body[0]), document.start(body[-1])
        plan.blocks.append(Wrap(document.file, start, end, f"async with {opened} as {UNIT}:", ""))
        plan.blocks.append(Unwrap(document.file, document.start(block)))
    else:
        body = block.body
        plan.edits.append(replace(document, call, opened))
        plan.edits.append(replace(document, target, UNIT))
    through_unit(plan, function, body, names)
    return symbol


def plain_factory(plan: UnitPlan, function: sym.Function, block: ast.AsyncWith) -> sym.Global | None:
    """The factory of ``async with maker() as db:``; None for a block of any other kind."""
    item = block.items[0]
    call = item.context_expr
    if len(block.items) != 1 or not isinstance(call, ast.Call) or call.args or call.keywords:
        return None
    symbol = local_symbol(plan.program, function, call.func)
    if not isinstance(symbol, sym.Global) or not isinstance(item.optional_vars, ast.Name):
        return None
    return symbol if is_factory(plan.program, symbol) else None


def inner(plan: UnitPlan, document: Document, stmt: ast.Try, names: set[str]) -> list[ast.stmt]:
    """The body of a ``try``: its handlers stay outside the unit, which has rolled back when they run."""
    for part in [*stmt.handlers, *stmt.orelse, *stmt.finalbody]:
        for name in session_names(part, names):
            rolled = document.statement(name)
            if ast.unparse(rolled) == f"await {name.id}.rollback()" and len(document.block(rolled)) > 1:
                plan.edits.append(delete(document, rolled))
            else:
                raise Refused(
                    "an except or finally clause uses the session, which is closed by then",
                    _step(document, name, "it is used here"),
                )
    return stmt.body


def through_unit(
    plan: UnitPlan, function: sym.Function, region: Sequence[ast.stmt], names: set[str], *, lent: bool = False
) -> None:
    """Uses of the session in the region become uses of the unit; only commits do where the session is ``lent``."""
    document = plan.program.document(function.module.path)
    done: set[ast.AST] = set()
    for stmt in region:
        for node in ast.walk(stmt):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            value = node.func.value
            if not isinstance(value, ast.Name) or value.id not in names or node.args or node.keywords:
                continue
            if node.func.attr == "commit":
                place = document.place(node)
                loc = s.Loc(place.line, place.column, place.end_line, place.end_column)
                plan.edits.append(replace(document, node, commit_text(plan, function, loc)))
                done.add(value)
            elif lent:
                continue
            elif node.func.attr in {"rollback", "flush"} and plan.unit.cls is None:
                plan.edits.append(replace(document, value, UNIT))
                done.add(value)
            elif node.func.attr == "close":
                raise Refused("the stream closes the session by hand", _step(document, node, "here"))
        for name in session_names(stmt, names) if not lent else ():
            if not isinstance(name.ctx, ast.Load) or document.code(name) != name.id:
                raise Refused(f"`{name.id}` is set anew", _step(document, name, "here"))
            if name not in done:
                plan.edits.append(replace(document, name, f"{UNIT}.session"))


def _not_used_elsewhere(document: Document, node: ast.AST, block: ast.AsyncWith, names: set[str]) -> None:
    blocks = [block, *(n for n in ast.walk(node) if isinstance(n, (ast.With, ast.AsyncWith)) and _binds(n, names))]
    within = {n for one in blocks for n in ast.walk(one)}
    for name in session_names(node, names):
        if name not in within:
            raise Refused(f"`{name.id}` is used outside its block", _step(document, name, "here"))


def _binds(block: ast.With | ast.AsyncWith, names: set[str]) -> bool:
    targets = (item.optional_vars for item in block.items)
    return any(isinstance(target, ast.Name) and target.id in names for target in targets)


def _step(document: Document, node: ast.AST, text: str) -> Step:
    return Step(document.place(node), text)
