"""Places where a function waits for the world while somebody's transaction may be open.

A wait is a slow call (network, sleep, another program), a response that streams on after the function returned, or a
message to another process, which may act on it at once. It is held against every session that has a transaction open on
the path, and remembered for callers, whose transactions it prolongs just as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sessionlint.effects.conditions import Given, possible
from sessionlint.effects.observations import Waited
from sessionlint.effects.state import MAX_CHAIN, Link, State
from sessionlint.facts.shape import Loc
from sessionlint.project import values as v

if TYPE_CHECKING:
    from sessionlint.effects.interpreter import Frame

#: waits remembered per function; callers need one to be wrong
MAX_WAITS = 4


class Wait(NamedTuple):
    """``settled`` are the sessions that need no caller's word: ended before the wait, or open and said already."""

    kind: str
    path: str
    loc: Loc
    text: str
    settled: frozenset[v.Origin]
    chain: tuple[Link, ...] = ()
    guards: tuple[tuple[str, str], ...] = ()


class Waiting:
    """Collects the waits of one frame."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._waits: dict[tuple[str, str, Loc], Wait] = {}

    @property
    def waits(self) -> tuple[Wait, ...]:
        return tuple(self._waits.values())

    def here(self, kind: str, text: str, loc: Loc, state: State) -> None:
        """This function waits at ``loc``."""
        self._add(Wait(kind, self._frame.function.module.path, loc, text, frozenset()), state)

    def inside(self, waits: tuple[Wait, ...], given: Given, link: Link, state: State) -> None:
        """A callee waits: what it did not settle of our sessions stays open meanwhile."""
        for wait in waits:
            if possible(wait.guards, given):
                settled = frozenset().union(
                    *(self._frame.calls.resolve(o, given.binding) for o in wait.settled), frozenset()
                )
                self._add(wait._replace(settled=settled, chain=(link, *wait.chain)[:MAX_CHAIN]), state)

    def _add(self, wait: Wait, state: State) -> None:
        frame = self._frame
        loc = wait.chain[0].loc if wait.chain else wait.loc
        settled = {frame.key(o) for o in wait.settled}
        answered: set[v.Origin] = set(wait.settled)
        for key, transaction in list(state.sessions.items()):
            origin = transaction.origin or key
            if key in settled:
                continue
            if wait.kind == "send":
                if any(w.kind != "consumer" for w in transaction.pending):
                    link = Link(wait.path, wait.loc, wait.text)
                    state.sessions[key] = frame.sending.overtakes(link, transaction)
                    answered.add(origin)
            elif transaction.open and not transaction.unknown and not transaction.closed:
                own = key.kind == "local"
                since = transaction.since
                writes = tuple(w for w in transaction.pending if w.kind != "consumer")
                frame.note(
                    Waited(loc, wait.kind, origin, wait.text, wait.path, wait.loc, own, since, wait.chain, writes)
                )
            if (transaction.open and wait.kind != "send") or transaction.unknown or not transaction.entry:
                answered.add(origin)
        if frame.handler_depth and wait.kind == "slow":
            return  # a pause before the next attempt, a failure reported: no caller has to reckon with it
        key_of = (wait.kind, wait.path, wait.loc)
        known = self._waits.get(key_of)
        if known is not None:
            self._waits[key_of] = known._replace(settled=known.settled & answered)
        elif len(self._waits) < MAX_WAITS:
            outward = frozenset(o for o in answered if o.kind != "local")
            self._waits[key_of] = wait._replace(settled=outward, guards=frame.guards(state))
