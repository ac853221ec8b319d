"""Takes out of an endpoint what has moved into its stream, with the parameters that nothing else there needs."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sessionlint.findings import Place, Step
from sessionlint.fixes import references
from sessionlint.fixes.edits import Edit
from sessionlint.fixes.leftovers import taken_out
from sessionlint.fixes.sources import Refused
from sessionlint.fixes.streams.carriers import Carried
from sessionlint.fixes.streams.parameters import drop_parameters


class Left(NamedTuple):
    """The edits, and the (file, name) pairs that they stop using."""

    edits: tuple[Edit, ...]
    released: tuple[tuple[str, str], ...]


def leave_endpoint(carried: Carried, gone: Sequence[ast.AST]) -> Left:
    """``gone`` is what no longer stands in the endpoint. Raises ``Refused``."""
    document, program = carried.document, carried.program
    node = document.function(carried.function.facts)
    without = {n for one in gone for n in ast.walk(one)}
    moved = _moved(carried, node, without)
    without |= {n for stmt in moved for n in ast.walk(stmt)}
    others = {n.id for stmt in node.body for n in ast.walk(stmt) if isinstance(n, ast.Name) and n not in without}
    kept = others & (carried.sessions | carried.parameters | carried.carriers)
    if kept:
        _nothing_pending(carried, {*kept, *(carried.sessions if kept & carried.carriers else ())})
    droppable = {n for n in carried.sessions | carried.parameters if n not in others}
    calls = references.of_functions(program.analysis, [carried.function]).calls
    if droppable and calls:
        raise Refused("the endpoint is also called by hand", calls[0].step("here"))
    edits = (*taken_out(document, moved, comments=False), *drop_parameters(document, node, droppable))
    asked = {n.id for one in _declared(node, droppable) for n in ast.walk(one) if isinstance(n, ast.Name)}
    return Left(edits, program.released(document.file, sorted(asked)))


def _moved(carried: Carried, node: ast.AST, gone: set[ast.AST]) -> list[ast.Assign]:
    """Of the statements that are made anew in the stream, those that nothing left in the endpoint needs."""
    moved = list(carried.moved)
    while True:
        without = gone | {n for stmt in moved for n in ast.walk(stmt)}
        left = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and n not in without}
        stay = [one for one in moved if any(isinstance(t, ast.Name) and t.id in left for t in one.targets)]
        if not stay:
            return moved
        moved = [stmt for stmt in moved if stmt not in stay]


def _nothing_pending(carried: Carried, names: set[str]) -> None:
    """What the endpoint itself wrote and did not commit, the stream would not see. Raises ``Refused``."""
    for variant in carried.program.analysis.result(carried.function).summary.variants:
        for origin, transaction in variant.transactions:
            if origin.name in names and transaction.pending:
                write = transaction.pending[0]
                raise Refused(
                    "the endpoint leaves writes uncommitted that the stream may need",
                    Step(Place(write.path, *write.loc), f"{write.kind} here"),
                )


def _declared(node: ast.FunctionDef | ast.AsyncFunctionDef, names: Iterable[str]) -> list[ast.expr]:
    """The annotations and defaults of some parameters."""
    plain = [*node.args.posonlyargs, *node.args.args]
    defaults: list[ast.expr | None] = [None] * (len(plain) - len(node.args.defaults))
    pairs = [
        *zip(plain, [*defaults, *node.args.defaults], strict=True),
        *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True),
    ]
    return [e for arg, default in pairs if arg.arg in names for e in (arg.annotation, default) if e is not None]
