"""What the interpreter saw and rules may ask about: typed facts about sessions at places, no verdicts."""

from __future__ import annotations

from dataclasses import dataclass

from sessionlint.effects.object_observations import ObjectObservation
from sessionlint.effects.state import Link, Write
from sessionlint.facts.shape import Loc
from sessionlint.project.symbols import Class, Function
from sessionlint.project.values import Origin, Value


@dataclass(frozen=True, slots=True)
class Created:
    """A session comes to life. ``how`` is factory, class, begin, provider, unit; ``text`` is the callee as written.

    ``at_hand`` is a session the function already holds (None if there is none). ``fallback``: it only stands in for an
    optional one that was not given. ``given``: the callee took arguments, which may choose another database.
    """

    loc: Loc
    origin: Origin
    how: str
    text: str
    at_hand: Origin | None
    fallback: bool = False
    given: bool = False
    provider: Function | None = None


@dataclass(frozen=True, slots=True)
class ScopeEnd:
    """Control leaves the scope that owns a session while writes are pending.

    ``leaving`` is return or end; ``earlier`` is True if this path committed before; ``elsewhere`` if another path
    through the scope commits; ``factory`` is the context-manager function that owns the session, if it is not the
    function itself. ``opened`` is where the scope begins.
    """

    loc: Loc
    origin: Origin
    writes: tuple[Write, ...]
    leaving: str
    earlier: bool
    elsewhere: bool
    opened: Loc
    factory: Function | None = None
    factory_class: Class | None = None
    hands_out_object: bool = False


@dataclass(frozen=True, slots=True)
class Committed:
    """``commit()`` on a session. ``after_scope``: its owning block had ended. ``asked``: a parameter told it to."""

    loc: Loc
    origin: Origin
    receiver: str
    after_scope: bool
    opened: Loc | None = None
    asked: bool = False


@dataclass(frozen=True, slots=True)
class RolledBack:
    """``rollback()`` on a session. ``reraises``: every path after it in its handler raises; ``wrote``: something was
    pending that this function knows of."""

    loc: Loc
    origin: Origin
    receiver: str
    in_handler: bool
    reraises: bool
    wrote: bool


@dataclass(frozen=True, slots=True)
class Suspended:
    """A generator yields. ``writes`` are pending and not shown by an inner yield; ``open`` if a transaction is."""

    loc: Loc
    origin: Origin
    writes: tuple[Write, ...]
    open: bool
    owned: bool
    since: Loc | None = None


@dataclass(frozen=True, slots=True)
class Exposed:
    """A caller's pending writes are held against a place (see :class:`summary.Exposure`).

    ``opener`` is the key of the function that opens the other session, ``at`` where it does.
    """

    loc: Loc
    kind: str
    origin: Origin
    writes: tuple[Write, ...]
    text: str
    opener: str
    at: Loc
    models: tuple[Class, ...]
    chain: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class Spawned:
    """A session (or what holds one) is handed to something that runs elsewhere: task, background, thread, queue."""

    loc: Loc
    kind: str
    origins: tuple[Origin, ...]
    work: str
    awaited: bool
    chain: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Shared:
    """Several concurrent tasks use one session."""

    loc: Loc
    origin: Origin
    users: tuple[str, ...]
    how: str


@dataclass(frozen=True, slots=True)
class Streamed:
    """A generator is handed to a streaming response. ``origins`` are the sessions it will use."""

    loc: Loc
    generator: Function
    origins: tuple[Origin, ...]
    binding: tuple[tuple[str, Value], ...]


@dataclass(frozen=True, slots=True)
class DrivenProvider:
    """A session provider run by hand.

    ``how`` is loop, next, anext, ``__next__`` or ``__anext__``; ``text`` the provider as written; ``forwards`` if the
    loop only yields the session on.
    """

    loc: Loc
    how: str
    provider: Function
    text: str
    forwards: bool
    leaves: bool


@dataclass(frozen=True, slots=True)
class Escaped:
    """A session, or an object built on one, leaves the scope that will close it. ``what`` is session or object."""

    loc: Loc
    what: str
    origin: Origin
    text: str
    opened: Loc


@dataclass(frozen=True, slots=True)
class Stored:
    """An object that holds a session is stored: on ``self``, a global, a class, a registry, application state."""

    loc: Loc
    target: str
    holder: str
    attr: str
    origins: tuple[Origin, ...]
    value: Value
    scoped: bool


@dataclass(frozen=True, slots=True)
class Returned:
    """A function that takes a session returns an object; ``without`` names session parameters known to be None."""

    loc: Loc
    value: Value
    origins: frozenset[Origin]
    without: frozenset[str]


@dataclass(frozen=True, slots=True)
class Ended:
    """A function that something outside calls ends while a session it was handed, or shares, has pending writes.

    ``committed``: it commits that session somewhere; ``earlier``: on this path, before the writes.
    """

    loc: Loc
    origin: Origin
    writes: tuple[Write, ...]
    leaving: str
    committed: bool
    earlier: bool = False


@dataclass(frozen=True, slots=True)
class Swallowed:
    """A handler ends without raising while writes of the try block are half done.

    ``then`` is commits (the owner commits on the way out) or used (the session is used again), with the place.
    ``statement`` is what the database refused: flush, commit, statement, or the callee (``save()``) that made the call.
    """

    loc: Loc
    origin: Origin
    writes: tuple[Write, ...]
    caught: str
    then: str
    where: Loc
    statement: str = ""


@dataclass(frozen=True, slots=True)
class CommitUnheeded:
    """A commit inside a try whose handler carries on as if it had worked."""

    loc: Loc
    handler: Loc
    origin: Origin
    text: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A call leaves out an optional session or unit of work although one is at hand."""

    loc: Loc
    callee: Function
    parameter: str
    at_hand: str


@dataclass(frozen=True, slots=True)
class UnusedUnit:
    """A unit of work is opened and nothing in its block uses it."""

    loc: Loc
    text: str


@dataclass(frozen=True, slots=True)
class EndedInside:
    """``commit()`` or ``rollback()`` (``how``) inside a ``with`` block that frames the session's transaction.

    ``block`` is begin or begin_nested, ``opened`` where it begins; ``then`` is where the session is used again inside
    the block, None where nothing follows. ``chain`` leads to the call where a callee does it.
    """

    loc: Loc
    origin: Origin
    how: str
    block: str
    opened: Loc
    receiver: str
    then: Loc | None
    chain: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class BegunTwice:
    """``begin()`` on a session whose transaction is open already; ``since`` is what opened it."""

    loc: Loc
    origin: Origin
    since: Link | None


@dataclass(frozen=True, slots=True)
class CommittedInLoop:
    """A commit that a ``for`` loop repeats on a session opened outside of it.

    ``why`` says what makes it reasonable: batch (the loop runs over batches, or the commit is counted), wait (each
    turn waits for something slow or hands out a value), contained (a failed turn is caught and the loop goes on).
    """

    loc: Loc
    origin: Origin
    loop: Loc
    why: str


@dataclass(frozen=True, slots=True)
class OpenedByHand:
    """A session opened without a block, in a local name, that does not leave the function.

    ``closed`` says where it is closed: final (a ``finally``, or a handler of everything), handler, plain. ``cleaned``:
    a handler rolls it back. ``holding``: some way out leaves a transaction open.
    """

    loc: Loc
    origin: Origin
    text: str
    closed: frozenset[str]
    cleaned: bool
    is_async: bool | None
    holding: bool


@dataclass(frozen=True, slots=True)
class Waited:
    """A transaction is open while the function waits for the world.

    ``kind`` is slow (a call that takes its time) or stream (a response that goes on after the function returned);
    ``path`` and ``at`` are where the wait itself stands, ``chain`` the calls that lead there; ``since`` is what opened
    the transaction, ``writes`` what is pending in it.
    """

    loc: Loc
    kind: str
    origin: Origin
    text: str
    path: str
    at: Loc
    owned: bool
    since: Link | None
    chain: tuple[Link, ...] = ()
    writes: tuple[Write, ...] = ()


@dataclass(frozen=True, slots=True)
class LockReleased:
    """An in-process lock is let go while what was written under it is not committed. ``text`` is the lock."""

    loc: Loc
    origin: Origin
    writes: tuple[Write, ...]
    text: str


@dataclass(frozen=True, slots=True)
class IdleCommit:
    """``commit()`` on a session without changes, while ``other`` has ``writes`` that nobody commits."""

    loc: Loc
    origin: Origin
    text: str
    other: Origin
    writes: tuple[Write, ...]


@dataclass(frozen=True, slots=True)
class SecondCheckout:
    """Another session is opened while one has its connection checked out.

    ``opener`` is the key of the function that opens it, ``at`` where; ``text`` the callee as written there.
    """

    loc: Loc
    origin: Origin
    opener: str
    at: Loc
    text: str
    chain: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class SentEarly:
    """A message left for another process at ``sent``, and only ``committed`` made the rows it speaks of visible."""

    sent: Link
    committed: Loc
    write: Write | None


Observation = (
    ObjectObservation
    | LockReleased
    | IdleCommit
    | SecondCheckout
    | Created
    | ScopeEnd
    | Committed
    | RolledBack
    | Suspended
    | Exposed
    | Spawned
    | Shared
    | Streamed
    | DrivenProvider
    | Escaped
    | Stored
    | Returned
    | Ended
    | Swallowed
    | CommitUnheeded
    | LeftOut
    | UnusedUnit
    | EndedInside
    | BegunTwice
    | CommittedInLoop
    | OpenedByHand
    | Waited
    | SentEarly
)
