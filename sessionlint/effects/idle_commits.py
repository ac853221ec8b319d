"""Commits that have nothing to commit, while another session of the same function has.

Watches one frame. Only a session the function opened itself can be known to be empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionlint.effects import observations as obs
from sessionlint.effects.state import State, Transaction, Write, WriteKey
from sessionlint.facts import shape as s
from sessionlint.project import values as v

if TYPE_CHECKING:
    from sessionlint.effects.interpreter import Frame


class IdleCommits:
    """The commits of one frame that found their session empty."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._seen: dict[s.Loc, tuple[v.Origin, str, v.Origin, tuple[Write, ...]]] = {}
        #: places that commit something on some path: nothing is wrong with those
        self._busy: set[s.Loc] = set()

    def committed(self, origin: v.Origin, before: Transaction, text: str, state: State, loc: s.Loc) -> None:
        """``commit()`` on a session that was in the state ``before``."""
        frame = self._frame
        if origin.kind != "local" or origin not in frame.owned or before.pending or before.unknown or before.committed:
            self._busy.add(loc)
            return
        for key, transaction in state.sessions.items():
            writes = tuple(w for w in transaction.pending if w.kind != "consumer" and not w.exposed)
            if key == frame.key(origin) or not writes or transaction.unknown or transaction.closed:
                continue
            if key.kind == "param" and key.name in frame.function.parameters and not frame.is_session_key(key):
                continue  # rows that came in: whose they are is not known
            self._seen.setdefault(loc, (origin, text, transaction.origin or key, writes))
            return

    def report(self, ends: list[State]) -> None:
        """The function is over: which of the other session's writes have nobody committed yet?"""
        for loc, (origin, text, other, writes) in self._seen.items():
            if loc in self._busy:
                continue
            wanted = {w.key for w in writes}
            if all(self._still_pending(other, wanted, state) for state in ends) and ends:
                self._frame.note(obs.IdleCommit(loc, origin, text, other, writes))

    def _still_pending(self, other: v.Origin, wanted: set[WriteKey], state: State) -> bool:
        if other.kind == "local":
            # its block may have ended, which rolls back; what counts is that it was never committed
            return other not in self._frame.committed
        pending = {w.key for w in self._frame.transaction(state, other).pending}
        return bool(pending & wanted)
