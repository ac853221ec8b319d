"""Facts that nobody asks again are dropped, so that paths that differ in nothing else are one path.

Without this, every test of a loop item would double the paths of the rest of the function, and the limit on paths
would blur the one condition that matters.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from sessionlint.effects.state import FAILED, State
from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym


class _Lines(NamedTuple):
    """Lines of a function, both ends included."""

    first: int
    last: int

    def hold(self, other: _Lines) -> bool:
        return self.first <= other.first and other.last <= self.last


class Forgetting:
    """Knows for one function where a name is asked for the last time; names in ``kept`` are asked by callers."""

    def __init__(self, function: sym.Function, kept: tuple[str, ...]) -> None:
        self._function = function
        self._kept = frozenset(kept)
        self._loops: list[_Lines] = []

    def enter_loop(self, stmt: s.For | s.While) -> None:
        """A loop begins: what it mentions is asked again in every round."""
        self._loops.append(_lines(stmt))

    def leave_loop(self) -> None:
        self._loops.pop()

    def drop_dead(self, states: list[State], after: s.Stmt) -> None:
        """Forget, on all paths, facts about names that are not mentioned after a statement."""
        line = _lines(after).last
        for state in states:
            for key in [k for k in state.facts if self._is_dead(k, line)]:
                del state.facts[key]

    def _is_dead(self, key: str, line: int) -> bool:
        root = key.partition(".")[0].partition("[")[0].removesuffix("?")
        if root in self._kept or root == "return" or key == FAILED or "dry" in root.lower():
            return False
        mentioned = self._mentions.get(root)
        if mentioned is None:
            return True
        if mentioned.last > line:
            return False
        bound_by = self._items.get(root)
        # the next round of a loop asks again, unless the name is bound anew in every round
        return all(
            mentioned.last < loop.first or (bound_by is not None and loop.hold(bound_by)) for loop in self._loops
        )

    @cached_property
    def _mentions(self) -> dict[str, _Lines]:
        """First and last line of every name."""
        found: dict[str, _Lines] = {}
        for expr in self._function.expressions:
            if isinstance(expr, s.Name):
                known = found.get(expr.id, _Lines(expr.loc.line, expr.loc.end_line))
                first, last = min(known.first, expr.loc.line), max(known.last, expr.loc.end_line)
                found[expr.id] = _Lines(first, last)
        return found

    @cached_property
    def _items(self) -> dict[str, _Lines]:
        """The loop that binds a name, for names that are mentioned nowhere else."""
        found: dict[str, _Lines] = {}
        for stmt in self._function.statements:
            if isinstance(stmt, s.For):
                loop = _lines(stmt)
                for expr in sym.walk(stmt.target):
                    if isinstance(expr, s.Name) and loop.hold(self._mentions.get(expr.id, loop)):
                        found[expr.id] = loop
        return found


def _lines(stmt: s.Stmt) -> _Lines:
    """The lines of a statement with its blocks."""
    return _Lines(stmt.loc.line, max(inner.loc.end_line for inner in sym.statements((stmt,))))
