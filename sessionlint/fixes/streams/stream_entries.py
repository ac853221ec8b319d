"""The streaming entry points of a project: which function answers with which generator, and what the stream reaches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sessionlint.effects import Analysis
from sessionlint.effects.endpoint_streams import endpoint_streams
from sessionlint.effects.observations import Streamed
from sessionlint.findings import Place
from sessionlint.fixes.program import Program
from sessionlint.project import symbols as sym

_FOLLOWED = frozenset({"call", "iterate", "enter"})


class StreamEntry(NamedTuple):
    """``function`` hands one of ``generators`` to a streaming response at ``place``: one, or all that implement it."""

    function: sym.Function
    generators: tuple[sym.Function, ...]
    streamed: Streamed
    place: Place

    @property
    def generator(self) -> sym.Function:
        return self.generators[0]


def stream_entries(program: Program) -> Iterator[StreamEntry]:
    """Every streaming entry once, in the order of the sources."""
    analysis = program.analysis
    found: dict[Place, StreamEntry] = {}
    for function, seen in analysis.observations(Streamed):
        place = analysis.place(function, seen.loc)
        known = found.get(place)
        generators = known.generators if known is not None else ()
        if seen.generator not in generators:
            generators = (*generators, seen.generator)
        streamed = seen if known is None or seen.origins else known.streamed
        found[place] = StreamEntry(function, generators, streamed, place)
    yield from sorted(found.values(), key=lambda e: e.place)


def yielding_endpoints(program: Program) -> Iterator[StreamEntry]:
    """Endpoints that yield themselves and use a session of the request."""
    analysis = program.analysis
    for function, seen in endpoint_streams(analysis):
        if any(o.kind == "param" and analysis.request_sessions(function, o.name) for o in seen.origins):
            yield StreamEntry(function, (function,), seen, analysis.place(function, seen.loc))


def reached(analysis: Analysis, generator: sym.Function) -> dict[str, sym.Function]:
    """The functions that run while a generator runs, itself included."""
    found = {generator.key: generator}
    waiting = [generator]
    while waiting:
        for edge in analysis.result(waiting.pop()).edges:
            callee = analysis.table.functions.get(edge.callee)
            if callee is not None and edge.how in _FOLLOWED and callee.key not in found:
                found[callee.key] = callee
                waiting.append(callee)
    return found
