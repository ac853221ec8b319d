"""What is known at one program point: local names, conditions, and the transaction of every session.

Frozen per session, copied per path. Joining is union of what may be pending; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from sessionlint.effects.objects import Book, Pending
from sessionlint.facts.shape import Loc
from sessionlint.project.symbols import Class
from sessionlint.project.values import Origin, Value

#: links kept of a chain of calls; more than anybody reads
MAX_CHAIN = 12
#: paths kept apart in one function before they are joined
MAX_PATHS = 12
#: fact of a path that is on its way out because of an exception: what it leaves uncommitted is meant to be lost
FAILED = "!failed"
#: writes remembered per session
MAX_WRITES = 12


WriteKey = tuple[str, str, Loc]


class Link(NamedTuple):
    """One step of a trace: a place in a file and what happens there."""

    path: str
    loc: Loc
    text: str


class Write(NamedTuple):
    """A change that a session holds and that no commit has made permanent yet.

    ``kind`` is insert, update, delete or execute; ``path`` and ``loc`` are where it is made, ``chain`` the calls that
    lead there from the function that looks at it. ``exposed`` marks one that was already visible at an inner yield,
    ``sent`` a statement that was executed at once (its result tells whether it changed a row).
    """

    kind: str
    model: Class | None
    path: str
    loc: Loc
    origin: Origin
    chain: tuple[Link, ...] = ()
    exposed: bool = False
    sent: bool = False

    @property
    def key(self) -> WriteKey:
        return (self.kind, self.path, self.loc)

    def through(self, link: Link, origin: Origin) -> Write:
        """The same write as seen by a caller."""
        chain = (link, *self.chain)[:MAX_CHAIN]
        return self._replace(chain=chain, origin=origin)


@dataclass(frozen=True, slots=True)
class Transaction:
    """One session's transaction on one path.

    ``open``: a transaction is certainly open because of what this function (or a callee) did. ``entry``: what the
    caller left pending may still be pending. ``committed``: a commit happened on this path. ``unknown``: something
    unresolved had the session, so nothing can be said about what is missing.
    """

    pending: tuple[Write, ...] = ()
    open: bool = False
    used: bool = False
    entry: bool = True
    committed: bool = False
    rolled_back: bool = False
    closed: bool = False
    unknown: bool = False
    flushed: bool = False
    origin: Origin | None = None
    #: messages that left for other processes before the commit that makes their rows visible
    sent: tuple[Link, ...] = ()
    #: what opened the transaction, for messages; never decides anything
    since: Link | None = field(default=None, compare=False)
    #: objects waiting for the next flush; those that were waiting at the first flush; whether there may have been one
    batch: tuple[Pending, ...] = ()
    first: tuple[Pending, ...] = ()
    synced: bool = False
    #: objects inserted, flushed or not, and not committed
    inserted: tuple[Pending, ...] = ()
    #: what just happened, for ``tracking``; never kept
    event: str = field(default="", compare=False)

    @property
    def outcome(self) -> tuple[bool, bool, bool]:
        """Whether writes are pending, whether it was committed, whether that is unknown."""
        return bool(self.pending), self.committed, self.unknown

    def write(self, write: Write, flushes: bool) -> Transaction:
        kept = tuple(w for w in self.pending if w.key != write.key)
        return replace(
            self,
            pending=(*kept, write)[-MAX_WRITES:],
            open=self.open or flushes,
            used=True,
            flushed=self.flushed or flushes,
            origin=self.origin or write.origin,
            since=self.since or Link(write.path, write.loc, write.kind),
            event="read" if flushes else self.event,
        )

    def read(self, by: Link | None = None) -> Transaction:
        return replace(self, open=True, used=True, since=self.since or by, event="read")

    def flush(self) -> Transaction:
        return replace(
            self,
            used=True,
            flushed=bool(self.pending) or self.flushed,
            open=self.open or bool(self.pending),
            event="flush",
        )

    def commit(self) -> Transaction:
        return replace(
            self, pending=(), open=False, used=True, entry=False, committed=True, rolled_back=False, flushed=False,
            since=None, sent=(), event="commit",
        )  # fmt: skip

    def rollback(self) -> Transaction:
        return replace(
            self, pending=(), open=False, used=True, entry=False, rolled_back=True, flushed=False, since=None,
            sent=(), event="rollback",
        )  # fmt: skip

    def close(self) -> Transaction:
        return replace(
            self, pending=(), open=False, entry=False, closed=True, flushed=False, since=None, sent=(), event="close"
        )

    def give_away(self) -> Transaction:
        """Something unresolved has the session: it may do anything."""
        return replace(self, pending=(), open=False, unknown=True, used=True, event="unknown")

    def join(self, other: Transaction) -> Transaction:
        if self == other:
            return self
        merged = {w.key: w for w in (*self.pending, *other.pending)}
        return Transaction(
            tuple(merged.values())[-MAX_WRITES:],
            self.open and other.open,
            self.used or other.used,
            self.entry or other.entry,
            self.committed and other.committed,
            self.rolled_back and other.rolled_back,
            self.closed and other.closed,
            self.unknown or other.unknown,
            self.flushed or other.flushed,
            self.origin or other.origin,
            tuple(dict.fromkeys((*self.sent, *other.sent)))[:3],
            self.since or other.since,
            tuple(p for p in self.batch if p in other.batch),
            tuple(p for p in self.first if p in other.first),
            self.synced or other.synced,
            tuple(p for p in self.inserted if p in other.inserted),
        )


EMPTY = Transaction()


class Refusal(NamedTuple):
    """A database call that fails and leaves its session in need of a rollback.

    ``statement`` is flush, commit or statement where this function makes the call; ``call`` where a callee does and
    does not roll back, ``lent`` if it also leaves its writes to the caller, and then ``by`` leads there. ``key`` is the
    session.
    """

    statement: str
    key: Origin
    by: Link | None = None


class Broken(NamedTuple):
    """A handler swallowed an exception while these writes of its try block were half done."""

    handler: Loc
    caught: str
    writes: tuple[Write, ...]
    #: the database call that failed (flush, commit, statement, or a callee); empty for anything else
    statement: str = ""


class State:
    """One path: values of names, truth of conditions, transactions of sessions. Copied at forks."""

    __slots__ = ("book", "broken", "env", "facts", "results", "sessions", "spent", "tied", "turn")

    def __init__(
        self,
        env: dict[str, Value],
        facts: dict[str, str],
        sessions: dict[Origin, Transaction],
        results: dict[tuple[int, str], str] | None = None,
        broken: dict[Origin, Broken] | None = None,
        tied: dict[str, frozenset[WriteKey]] | None = None,
        spent: dict[Origin, Loc] | None = None,
        turn: dict[Loc, Origin] | None = None,
        book: Book | None = None,
    ) -> None:
        self.env = env
        self.facts = facts
        self.sessions = sessions
        #: truth of what calls returned and of its parts, by the identity of the call expression and the part
        self.results = results if results is not None else {}
        #: sessions left half done by a handler that did not raise
        self.broken = broken if broken is not None else {}
        #: names that are empty where a statement changed no row, with the writes they speak of
        self.tied = tied if tied is not None else {}
        #: sessions whose `begin()` block has lost its transaction, with the call that ended it
        self.spent = spent if spent is not None else {}
        #: commits made since the innermost loop's turn began
        self.turn = turn if turn is not None else {}
        #: mapped objects, by the names that hold them
        self.book = book if book is not None else Book()

    def copy(self) -> State:
        return State(
            dict(self.env),
            dict(self.facts),
            dict(self.sessions),
            dict(self.results),
            dict(self.broken),
            dict(self.tied),
            dict(self.spent),
            dict(self.turn),
            self.book.copy(),
        )

    def drop(self, keys: frozenset[WriteKey]) -> None:
        """Forget pending writes that turned out to have changed nothing."""
        for origin, transaction in self.sessions.items():
            kept = tuple(w for w in transaction.pending if w.key not in keys)
            if len(kept) != len(transaction.pending):
                self.sessions[origin] = replace(transaction, pending=kept)

    @property
    def deliberate(self) -> bool:
        """Whether this path means to lose what it wrote: it fails, or it is a dry run."""
        return FAILED in self.facts or any(x == "true" and "dry" in k.lower() for k, x in self.facts.items())

    def join(self, other: State) -> State:
        """Both paths as one: values that differ are forgotten unless one is unknown, conditions kept where equal."""
        from sessionlint.project.values import union

        env = dict(self.env)
        for name, value in other.env.items():
            mine = env.get(name)
            if mine is None:
                env[name] = value
            elif mine != value:
                env[name] = union((mine, value))
        facts = {k: x for k, x in self.facts.items() if other.facts.get(k) == x}
        sessions = dict(self.sessions)
        for origin, transaction in other.sessions.items():
            sessions[origin] = sessions[origin].join(transaction) if origin in sessions else transaction
        tied = {k: x for k, x in self.tied.items() if other.tied.get(k, x) == x}
        return State(
            env,
            facts,
            sessions,
            None,
            {**self.broken, **other.broken},
            tied,
            {**self.spent, **other.spent},
            {**self.turn, **other.turn},
            self.book.join(other.book),
        )


def settle(states: list[State], limit: int = MAX_PATHS) -> list[State]:
    """Fold equal paths together; above ``limit``, join those that differ least first.

    Which writes are pending is the least of it, then what is known of attributes, then of local flags. Whether
    anything is pending at all, and whether it was committed, is kept apart to the last.
    """
    if len(states) <= 1:
        return states
    folded = _equal_ones_joined(states)
    for key in (_without_details, _with_flags, _outcomes):
        if len(folded) > limit:
            folded = _joined(folded, key)
    while len(folded) > limit:
        last = folded.pop()
        folded[-1] = folded[-1].join(last)
    return folded


def _equal_ones_joined(states: list[State]) -> list[State]:
    """One path for all whose sessions and facts are equal. Compared, not hashed: most parts are shared objects."""
    found: list[State] = []
    for state in states:
        for index, known in enumerate(found):
            if known.facts == state.facts and known.sessions == state.sessions:
                found[index] = known.join(state)
                break
        else:
            found.append(state)
    return found


def _joined(states: list[State], key: Callable[[State], Hashable]) -> list[State]:
    """One path for all that agree in ``key``, in the order of the first."""
    found: dict[Hashable, State] = {}
    for state in states:
        same = key(state)
        known = found.get(same)
        found[same] = known.join(state) if known is not None else state
    return list(found.values())


def _sorted(sessions: dict[Origin, Transaction]) -> tuple[tuple[Origin, Transaction], ...]:
    return tuple(sorted(sessions.items(), key=lambda item: item[0]))


def _without_details(state: State) -> Hashable:
    return _outcomes(state), tuple(sorted(state.facts.items()))


def _with_flags(state: State) -> Hashable:
    return _outcomes(state), tuple(sorted((k, x) for k, x in state.facts.items() if k.rstrip("?").isidentifier()))


def _outcomes(state: State) -> Hashable:
    return tuple((origin, transaction.outcome) for origin, transaction in _sorted(state.sessions))
