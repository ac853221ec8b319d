"""Where a function's own sessions come from, in terms that others can use too."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from sessionlint.findings import Step
from sessionlint.fixes.program import Program
from sessionlint.fixes.providers import local_symbol
from sessionlint.project import symbols as sym


class Refused(Exception):
    """The session cannot be handed down; ``trace`` shows the place or chain."""

    def __init__(self, reason: str, *trace: Step) -> None:
        super().__init__(reason)
        self.reason = reason
        self.trace = trace


@dataclass
class Source:
    """Where sessions come from: the opener as the function writes it, and what it is."""

    function: sym.Function
    opener: ast.expr
    symbol: sym.Symbol
    is_async: bool
    name: str
    writes: bool

    @property
    def is_provider(self) -> bool:
        return isinstance(self.symbol, sym.Function)


def source_of(
    program: Program, function: sym.Function, opener: ast.expr, is_async: bool, name: str, writes: bool
) -> Source:
    """What opens a function's sessions. Raises ``Refused`` where that has no name outside the function."""
    symbol = local_symbol(program, function, opener)
    if symbol is None:
        document = program.document(function.module.path)
        raise Refused(
            f"`{ast.unparse(opener)}` is not a factory or provider that others could use too",
            Step(document.place(opener), "the session is opened here"),
        )
    return Source(function, opener, symbol, is_async, name, writes)
