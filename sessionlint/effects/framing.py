"""Transactions framed by a ``with``: what happens to one that is ended inside, or begun where one is open already.

Watches one frame; says what was seen, passes no verdict.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sessionlint.effects import observations as obs
from sessionlint.effects.state import Link, State
from sessionlint.facts import shape as s
from sessionlint.project import values as v

if TYPE_CHECKING:
    from sessionlint.effects.interpreter import Frame


class Framing:
    """The ``begin()`` and ``begin_nested()`` blocks that are open while one frame runs."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._blocks: list[tuple[v.Origin, str, s.Loc]] = []
        self._ended: dict[tuple[s.Loc, v.Origin], obs.EndedInside] = {}
        self._begun: dict[s.Loc, obs.BegunTwice] = {}

    def enter(self, origin: v.Origin, block: str, loc: s.Loc) -> None:
        """A block begins; ``block`` is begin or begin_nested."""
        self._blocks.append((self._frame.key(origin), block, loc))

    def leave(self, count: int, states: list[State]) -> None:
        """The last ``count`` blocks end: the sessions begin anew."""
        for _ in range(count):
            key, _, _ = self._blocks.pop()
            for state in states:
                state.spent.pop(key, None)

    def ended(self, origin: v.Origin, how: str, text: str, state: State, loc: s.Loc, chain: tuple[Link, ...]) -> None:
        """``how`` (commit or rollback) ends the transaction of a session, maybe inside one of its blocks."""
        key = self._frame.key(origin)
        inner = next(((block, at) for k, block, at in reversed(self._blocks) if k == key), None)
        if inner is None:
            return
        block, opened = inner
        self._ended.setdefault((loc, key), obs.EndedInside(loc, origin, how, block, opened, text, None, chain))
        state.spent[key] = loc

    def used(self, origin: v.Origin, state: State, loc: s.Loc) -> None:
        """A session is used: inside a block that has lost its transaction this raises."""
        key = self._frame.key(origin)
        end = state.spent.get(key)
        seen = self._ended.get((end, key)) if end is not None else None
        if end is not None and seen is not None and seen.then is None:
            self._ended[end, key] = replace(seen, then=loc)

    def begun(self, origin: v.Origin, state: State, loc: s.Loc) -> None:
        """``begin()`` on a session: raises where a transaction is open already."""
        transaction = self._frame.transaction(state, origin)
        started = transaction.open or any(w.kind != "consumer" for w in transaction.pending)
        if started and not transaction.unknown and not transaction.closed:
            self._begun.setdefault(loc, obs.BegunTwice(loc, origin, transaction.since))

    def report(self) -> None:
        """Hand over what was seen."""
        for ended in self._ended.values():
            self._frame.note(ended)
        for begun in self._begun.values():
            self._frame.note(begun)
