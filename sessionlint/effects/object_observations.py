"""What was seen of mapped objects: typed facts for the rules about flush order, keys, staleness and lost changes."""

from __future__ import annotations

from dataclasses import dataclass

from sessionlint.effects.objects import Held, Pending
from sessionlint.facts.shape import Loc
from sessionlint.project.symbols import Class
from sessionlint.project.values import Origin


@dataclass(frozen=True, slots=True)
class FlushedTogether:
    """These objects go to the database in one flush, or will."""

    loc: Loc
    origin: Origin
    batch: tuple[Pending, ...]


@dataclass(frozen=True, slots=True)
class FlushedAcross:
    """``child`` is flushed through one session while ``parent`` waits, uncommitted, in another."""

    loc: Loc
    child: Pending
    parent: Pending
    other: Origin


@dataclass(frozen=True, slots=True)
class UnwrittenRead:
    """An attribute of a new object that nothing has set is read before the object was flushed.

    ``how`` says what becomes of the value: given (to ``attribute`` of a new ``model``), set (on one), argument, return.
    """

    loc: Loc
    holder: Held
    read: str
    how: str
    model: Class | None
    attribute: str


@dataclass(frozen=True, slots=True)
class EntityRead:
    """An attribute of a mapped object is read on a path where that may need the database."""

    loc: Loc
    attribute: str
    holder: Held


@dataclass(frozen=True, slots=True)
class EntityPassed:
    """A mapped object that was changed and flushed leaves the function whole: returned, or serialised."""

    loc: Loc
    holder: Held


@dataclass(frozen=True, slots=True)
class EntitySet:
    """An attribute of a mapped object is set. ``grown`` if the new value is computed from the old one in Python;
    ``guarded`` inside a lock; ``elsewhere`` if another session is at work on this path."""

    loc: Loc
    attribute: str
    holder: Held
    grown: bool
    guarded: bool
    elsewhere: bool


@dataclass(frozen=True, slots=True)
class MutatedInPlace:
    """The value of an attribute is changed in place and neither set anew nor flagged as modified."""

    loc: Loc
    attribute: str
    holder: Held
    text: str


@dataclass(frozen=True, slots=True)
class CoreStatement:
    """Text or a Core table statement is executed while objects wait for a flush. ``words`` are the names it uses."""

    loc: Loc
    text: str
    words: frozenset[str]
    tables: tuple[Class, ...]
    batch: tuple[Pending, ...]


@dataclass(frozen=True, slots=True)
class CreatedIfMissing:
    """A new object is added on the path where a look-up of the same model found nothing. ``by`` are the columns the
    look-up compares; ``caught`` if a handler or lock of the function copes with a concurrent insert."""

    loc: Loc
    model: Class
    by: tuple[str, ...]
    looked: Loc
    caught: bool


@dataclass(frozen=True, slots=True)
class AddedElsewhere:
    """An object of one live session is added to another."""

    loc: Loc
    holder: Held
    other: Origin


ObjectObservation = (
    FlushedTogether
    | FlushedAcross
    | UnwrittenRead
    | EntityRead
    | EntityPassed
    | EntitySet
    | MutatedInPlace
    | CoreStatement
    | CreatedIfMissing
    | AddedElsewhere
)
