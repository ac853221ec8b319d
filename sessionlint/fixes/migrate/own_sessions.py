"""Blocks on the path of a stream that open a session of their own and should open a unit of work."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from typing import NamedTuple

from sessionlint.findings import Step
from sessionlint.fixes.migrate.unit_class import is_unit
from sessionlint.fixes.program import Program
from sessionlint.fixes.sessions import inside, named_session
from sessionlint.fixes.sources import Refused
from sessionlint.project import symbols as sym
from sessionlint.project.infer import Scope


class OwnBlock(NamedTuple):
    """``async with maker() as db:`` in a function of the path."""

    function: sym.Function
    block: ast.AsyncWith


def own_blocks(
    program: Program, generators: Collection[sym.Function], path: Collection[sym.Function]
) -> list[OwnBlock]:
    """Blocks of the streams themselves, and of generators below them, in which a reader is waited for.

    What a function below opens, commits and closes before it returns is a short transaction already. Raises
    ``Refused`` for blocks within each other.
    """
    found: list[OwnBlock] = []
    for function in path:
        if not program.analysis.hands_out_items(function):
            continue
        blocks = [b for b in _blocks(program, function) if _waits(b) or function in generators]
        for block in blocks:
            if any(other is not block and other in set(ast.walk(block)) for other in blocks):
                place = program.document(function.module.path).place(block)
                raise Refused("a session is opened while another one is open", Step(place, "here"))
        found.extend(OwnBlock(function, block) for block in blocks)
    return [one for one in found if not is_short(one.block)] if not all(is_short(b) for _, b in found) else []


def has_unit(program: Program, path: Collection[sym.Function]) -> bool:
    """Whether a function of the path opens a unit of work."""
    for function in path:
        scope = Scope(function.module, function)
        for node in inside(program.document(function.module.path).function(function.facts)):
            for item in node.items if isinstance(node, ast.AsyncWith) else ():
                target = item.optional_vars
                if isinstance(target, ast.Name) and is_unit(program, program.analysis.infer.name(target.id, scope)):
                    return True
    return False


def is_short(block: ast.AsyncWith) -> bool:
    """A ``maker.begin()`` block that nobody waits in is a unit of work already."""
    call = block.items[0].context_expr
    begins = isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "begin"
    return begins and not _waits(block)


def _waits(block: ast.AsyncWith) -> bool:
    return any(isinstance(n, (ast.Yield, ast.YieldFrom)) for n in ast.walk(block))


def _blocks(program: Program, function: sym.Function) -> Iterator[ast.AsyncWith]:
    for node in inside(program.document(function.module.path).function(function.facts)):
        if isinstance(node, ast.AsyncWith):
            for item in node.items:
                if isinstance(item.optional_vars, ast.Name) and not isinstance(item.context_expr, ast.Attribute):
                    if named_session(program, function, item.optional_vars.id) is not None:
                        yield node
