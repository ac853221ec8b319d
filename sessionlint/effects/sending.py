"""Messages that leave for other processes while the rows they speak of are uncommitted: a queue, a broker, a channel.

A message is remembered with the transaction it overtook. The commit that comes later - here, at the end of a block, or
in a caller - makes it a finding; a rollback forgets it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from sessionlint.effects.observations import SentEarly
from sessionlint.effects.state import Link, State, Transaction
from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym

if TYPE_CHECKING:
    from sessionlint.effects.interpreter import Frame

#: arguments that put the work off until the transaction is surely over
_DELAYS = frozenset({"countdown", "eta", "delay", "_defer_by", "_defer_until", "schedule", "run_at"})


class Publishers(NamedTuple):
    """Which outside calls hand a message to another process; ``words`` are methods by package."""

    words: Mapping[str, tuple[str, ...]]

    def sends(self, dotted: str) -> bool:
        """Whether a call of something outside, by its dotted path, sends a message."""
        plain = dotted.replace("()", "")
        last = plain.rpartition(".")[2]
        return any(plain.startswith(f"{name}.") and last in words for name, words in self.words.items())


class Sending:
    """The messages of one frame."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def sent(self, call: s.Call, state: State) -> None:
        """A message leaves: every session with uncommitted writes remembers it."""
        if any(k.name in _DELAYS for k in call.keywords) or _callee(call) in {"enqueue_in", "enqueue_at"}:
            return
        self._frame.waiting.here("send", f"{_callee(call)}()", call.loc, state)

    @staticmethod
    def overtakes(link: Link, transaction: Transaction) -> Transaction:
        """The same transaction, with a message that left before its writes are committed."""
        known = tuple(m for m in transaction.sent if m != link)
        return replace(transaction, sent=(*known, link))

    def committed(self, transaction: Transaction, loc: s.Loc) -> None:
        """A commit: what was sent before it was sent too early."""
        for link in transaction.sent:
            self._frame.note(SentEarly(link, loc, transaction.pending[-1] if transaction.pending else None))


def _callee(call: s.Call) -> str:
    return sym.dotted_text(call.func) or sym.last_name(call.func) or "call"
