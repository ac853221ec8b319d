"""What one function does to the sessions it is handed, in terms of its own parameters.

Made once per function by the interpreter and instantiated at every call site.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING, NamedTuple

from sessionlint.effects.observations import Observation
from sessionlint.effects.state import EMPTY, Link, Transaction
from sessionlint.facts.shape import Loc
from sessionlint.project.symbols import Class, Function
from sessionlint.project.values import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sessionlint.effects.waiting import Wait

#: exits with different effects kept apart per function
MAX_VARIANTS = 6
#: places inside a function that a caller's pending writes are held against
MAX_EXPOSURES = 12


class Variant(NamedTuple):
    """One way to leave the function. ``result`` is true, false, none, value or any: the truth of what it returns.

    ``guards`` are the facts about optional parameters under which it is taken, ``parts`` what is known of items and
    attributes of the returned object (``[1]``, ``.created``).
    """

    result: str
    transactions: tuple[tuple[Origin, Transaction], ...]
    guards: tuple[tuple[str, str], ...] = ()
    parts: tuple[tuple[str, str], ...] = ()

    def join(self, other: Variant) -> Variant:
        """Both ways as one, taken wherever either is: only the guards they share are left."""
        mine, theirs = dict(self.transactions), dict(other.transactions)
        merged = {o: mine.get(o, EMPTY).join(theirs.get(o, EMPTY)) for o in {**mine, **theirs}}
        return Variant(
            self.result if self.result == other.result else "any",
            tuple(sorted(merged.items(), key=lambda item: item[0])),
            tuple(g for g in self.guards if g in other.guards),
            tuple(p for p in self.parts if p in other.parts),
        )

    @property
    def outcome(self) -> tuple[tuple[Origin, object], ...]:
        """What became of each session, without the writes in detail."""
        return tuple((origin, transaction.outcome) for origin, transaction in self.transactions)


def fold(variants: Iterable[Variant]) -> tuple[Variant, ...]:
    """At most `MAX_VARIANTS` ways to leave: those that differ least are joined first.

    So the guard that decides between committing and not outlives those that decide about details.
    """
    made = list(dict.fromkeys(variants))
    alike: tuple[Callable[[Variant], object], ...] = (
        lambda v: (v.result, v.parts, v.transactions),
        lambda v: (v.result, v.parts, v.outcome),
        lambda v: (v.result, v.outcome),
        lambda v: v.outcome,
    )
    for key in alike:
        if len(made) <= MAX_VARIANTS:
            break
        groups: dict[object, list[Variant]] = {}
        for variant in made:
            groups.setdefault(key(variant), []).append(variant)
        made = [reduce(Variant.join, group) for group in groups.values()]
    if len(made) > MAX_VARIANTS:
        made[MAX_VARIANTS - 1 :] = [reduce(Variant.join, made[MAX_VARIANTS - 1 :])]
    return tuple(made)


class Exposure(NamedTuple):
    """A place where control goes to somebody who may look at the database while a caller's writes are pending.

    ``kind``: spawn (a task or job that opens its own session), session (another session is opened here), stream (a
    stream starts). ``opener`` is the key of the function whose place it is. ``committed`` are the origins committed
    or rolled back before, on the way to it.
    """

    kind: str
    path: str
    loc: Loc
    text: str
    committed: frozenset[Origin]
    opener: str = ""
    models: tuple[Class, ...] = ()
    chain: tuple[Link, ...] = ()
    guards: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> tuple[str, str, Loc]:
        return (self.kind, self.path, self.loc)


class Store(NamedTuple):
    """A parameter that the function keeps on its own object, outside the constructor (``registry.register(x)``)."""

    parameter: str
    holder: str
    target: str


class Edge(NamedTuple):
    """A resolved call: ``how`` is call, iterate, enter, spawn or stream."""

    callee: str
    loc: Loc
    how: str


class Event(NamedTuple):
    """One line of a transaction timeline; ``callee`` is expanded below it."""

    loc: Loc
    kind: str
    text: str
    callee: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """The effects of one function."""

    variants: tuple[Variant, ...] = ()
    yields: tuple[Variant, ...] = ()
    raises: tuple[tuple[str, tuple[tuple[Origin, Transaction], ...]], ...] = ()
    exposures: tuple[Exposure, ...] = ()
    touches: frozenset[Origin] = frozenset()
    opens: bool = False
    inserts: tuple[Class, ...] = ()
    foreign: bool = False
    stores: tuple[Store, ...] = ()
    waits: tuple[Wait, ...] = ()
    #: sessions that a failing flush, commit or statement leaves without a rollback when it leaves the function
    refused: frozenset[Origin] = frozenset()


#: of functions without effects, and of those still being worked out in a recursion
NOTHING = Summary((Variant("any", ()),))


@dataclass(slots=True)
class Result:
    """All that one function's interpretation gave."""

    function: Function
    summary: Summary = NOTHING
    observations: list[Observation] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    #: what a generator does to each session once it is resumed: commit, rollback, nothing, maybe, unknown
    after_yield: dict[Origin, str] | None = None
