"""Functions that commit when a parameter tells them to (``commit: bool = True``), and their ways out that never ask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sessionlint.effects.observations import Ended
from sessionlint.effects.state import Transaction, WriteKey
from sessionlint.effects.summary import MAX_VARIANTS, Result, Variant
from sessionlint.facts import shape as s
from sessionlint.project.symbols import Function
from sessionlint.project.values import Origin


class Unasked(NamedTuple):
    """A way out with writes pending on which the parameter ``switch`` was never looked at."""

    end: Ended
    switch: str


def unasked(function: Function, result: Result) -> Iterator[Unasked]:
    """Ways out of the function that leave their write alone, whatever the parameter says that decides on the others."""
    variants = result.summary.variants
    if len(variants) >= MAX_VARIANTS:
        return  # ways were joined, and with them what they had asked
    ends = [seen for seen in result.observations if isinstance(seen, Ended) and seen.committed]
    for switch in _switches(function) if ends else ():
        asked = [v for v in variants if switch in dict(v.guards)]
        others = [v for v in variants if switch not in dict(v.guards)]
        for end in ends:
            if not _decides(asked, end.origin):
                continue
            left = {key for v in others for key in _left(v, end.origin)}
            told = {key for v in asked for key in _left(v, end.origin)}
            if {w.key for w in end.writes} <= left - told:
                yield Unasked(end, switch)


def _switches(function: Function) -> list[str]:
    """Parameters that are true or false."""
    return [
        p.name
        for p in function.facts.parameters
        if (isinstance(p.annotation, s.Name) and p.annotation.id == "bool")
        or (isinstance(p.default, s.Constant) and isinstance(p.default.value, bool))
    ]


def _decides(asked: list[Variant], origin: Origin) -> bool:
    """Whether the ways that asked differ in just this: one commits, the other leaves the write to its caller."""
    known = [t for v in asked for t in _of(v, origin)]
    return any(t.committed and not t.pending for t in known) and any(t.pending and not t.committed for t in known)


def _left(variant: Variant, origin: Origin) -> set[WriteKey]:
    return {w.key for t in _of(variant, origin) if not (t.committed or t.unknown or t.rolled_back) for w in t.pending}


def _of(variant: Variant, origin: Origin) -> list[Transaction]:
    return [t for o, t in variant.transactions if o == origin]
