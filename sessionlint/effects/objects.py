"""Mapped objects on one path: the names that hold them, what they were given, written, expired or detached.

Plain data with the rules of joining; who changes it is ``tracking``'s business. What is uncertain is dropped, so that
whatever is left is true on the path.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from sessionlint.facts.shape import Loc
from sessionlint.project.symbols import Class
from sessionlint.project.values import Origin

#: what an expression stands for, comparable between places: ``("param", "visitor_id")``, ``("literal", "7")``,
#: ``("made", path, line, column)`` for what a call gave; ``("opaque",)`` compares equal to nothing
Term = tuple[str | int, ...]
OPAQUE: Term = ("opaque",)

#: mapped objects remembered per path
MAX_HELD = 24


class Pending(NamedTuple):
    """An object waiting in a session for the next flush.

    ``kind`` is insert, update or delete; ``given`` the attributes known to be set, by name; ``partly`` if more may be
    set than is known. ``identity`` tells which object it is.
    """

    kind: str
    model: Class | None
    path: str
    loc: Loc
    identity: Term
    given: tuple[tuple[str, Term], ...] = ()
    partly: bool = False
    chain: tuple[tuple[str, Loc, str], ...] = ()

    def value(self, attribute: str) -> Term | None:
        """What an attribute was given; None where it was given nothing."""
        return next((term for name, term in self.given if name == attribute), None)

    @property
    def local(self) -> Loc:
        """The place in the function that looks at it."""
        return self.chain[0][1] if self.chain else self.loc


@dataclass(frozen=True, slots=True)
class Held:
    """A mapped object a local name holds.

    ``made`` is new, loaded or given (a parameter). ``session`` is None until it is known to belong to one.
    ``written``: its row exists or was flushed. ``partly``: attributes may be set that are not in ``given``.
    ``changed``: set since the last flush. ``updated``: place of the last change that was flushed. ``expired``: place of
    the rollback that expired it. ``detached``: place where its session was closed or it was expunged.
    ``merged``: place of a ``merge()`` whose result was thrown away. ``locked``: its row is locked or read afresh.
    """

    model: Class
    made: str
    loc: Loc
    session: Origin | None = None
    is_async: bool = False
    written: bool = False
    given: tuple[tuple[str, Term], ...] = ()
    partly: bool = False
    changed: Loc | None = None
    updated: Loc | None = None
    expired: Loc | None = None
    detached: Loc | None = None
    merged: Loc | None = None
    locked: bool = False
    eager: bool = False
    #: columns its look-up compares with a value
    by: tuple[str, ...] = ()
    #: made where a look-up of the same model found nothing: the columns it compares, its place, whether it locked
    missed: tuple[tuple[str, ...], Loc, bool] | None = None
    #: where the same row was read before, so that this read gave the old values
    stale: Loc | None = None

    def with_given(self, attribute: str, term: Term) -> Held:
        kept = tuple(pair for pair in self.given if pair[0] != attribute)
        return replace(self, given=(*kept, (attribute, term)))


class Book:
    """What one path knows of mapped objects; copied at forks."""

    __slots__ = ("held", "names", "terms")

    def __init__(
        self,
        names: dict[str, Loc] | None = None,
        held: dict[Loc, Held] | None = None,
        terms: dict[str, Term] | None = None,
    ) -> None:
        #: place text (``visitor``, ``self.visitor``) to the object's identity: where it was made
        self.names = names if names is not None else {}
        self.held = held if held is not None else {}
        #: what local names that hold plain values stand for
        self.terms = terms if terms is not None else {}

    def copy(self) -> Book:
        return Book(dict(self.names), dict(self.held), dict(self.terms))

    def join(self, other: Book) -> Book:
        """What both paths agree on."""
        held = {}
        for loc, mine in self.held.items():
            theirs = other.held.get(loc)
            if theirs == mine:
                held[loc] = mine
        names = {n: loc for n, loc in self.names.items() if other.names.get(n) == loc and loc in held}
        terms = {n: t for n, t in self.terms.items() if other.terms.get(n) == t}
        return Book(names, held, terms)

    def get(self, name: str) -> Held | None:
        loc = self.names.get(name)
        return self.held.get(loc) if loc is not None else None

    def put(self, loc: Loc, held: Held) -> None:
        if len(self.held) < MAX_HELD or loc in self.held:
            self.held[loc] = held

    def forget(self, name: str) -> None:
        """A name is bound anew: it, and what hangs from it, no longer stand for what they did."""
        for known in [n for n in self.names if n == name or n.startswith(f"{name}.")]:
            del self.names[known]
        self.terms.pop(name, None)

    def drop(self, loc: Loc | None) -> None:
        """Something unknown may have happened to an object."""
        if loc is not None:
            self.held.pop(loc, None)
