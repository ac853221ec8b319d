"""The transaction timeline of one entry point: what ``sessionlint trace`` prints."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sessionlint.findings import Place
from sessionlint.project import shipped
from sessionlint.project import symbols as sym

if TYPE_CHECKING:
    from sessionlint.effects.analysis import Analysis

_MAX_TIMELINE_DEPTH = 12
_MAX_TIMELINE_LINES = 600
#: kinds of timeline events that concern a session or keep one waiting
_TOUCHING = frozenset(
    {"open", "read", "write", "flush", "commit", "rollback", "close", "await", "stream", "spawn", "unknown"}
)
#: what methods of the runtime's unit of work do, which has no source to show
_RUNTIME = {"commit": "commit", "release": "commit", "rollback": "rollback", "flush": "flush"}


@dataclass(frozen=True, slots=True)
class TimelineEvent:
    """One line of ``sessionlint trace``; ``depth`` is how many calls below the entry it happens."""

    depth: int
    place: Place
    kind: str
    message: str


class Timeline:
    """Timelines of one project."""

    def __init__(self, analysis: Analysis) -> None:
        self._analysis = analysis

    def of(self, entry: str) -> list[TimelineEvent]:
        """The transaction timeline of one function, with the sessions its dependencies open and end around it.

        ``entry`` is ``path:function``, a qualified name, an entry point's name, or a unique end of one. Raises
        ``LookupError`` with the candidates where it is none or several.
        """
        function = self._find(entry)
        opened, ended = self._request_scope(function)
        inner: list[TimelineEvent] = []
        self._expand(function, 0, inner, ())
        return [*opened, *inner, *ended]

    def _request_scope(self, function: sym.Function) -> tuple[list[TimelineEvent], list[TimelineEvent]]:
        """What the session dependencies of an entry point do before and after it."""
        opened, ended = [], []
        providers = [pair for name in function.parameters for pair in self._analysis.request_sessions(function, name)]
        for provider, scope in dict.fromkeys(providers):
            place = self._analysis.place(provider, provider.facts.loc)
            opened.append(TimelineEvent(0, place, "open", f"session opened by the dependency {provider.name}"))
            policy = {"commit": "commit, then close", "nothing": "close without commit"}.get(
                self._analysis.provider_policy(provider), "close"
            )
            when = "before the response body" if scope == "function" else "when the request ends"
            ended.append(TimelineEvent(0, place, "close", f"{policy} in {provider.name}, {when}"))
        return opened, ended

    def _find(self, entry: str) -> sym.Function:
        path, _, name = entry.rpartition(":")
        path = path.rstrip(":")
        candidates = [
            f
            for f in self._analysis.table.all_functions()
            if (f.qualname == name or f.name == name or f.qualname.endswith("." + name))
            and (not path or f.module.path.endswith(path))
        ]
        exact = [f for f in candidates if f.qualname == name]
        if len(exact) == 1:
            return exact[0]
        if not candidates:
            candidates = [
                self._analysis.table.functions[k]
                for k, n in self._analysis.entries.names.items()
                if n == entry or n.endswith(entry)
            ]
        if len(candidates) != 1:
            raise LookupError([f"{f.module.path}:{f.qualname}" for f in candidates])
        return candidates[0]

    def _expand(
        self,
        function: sym.Function,
        depth: int,
        out: list[TimelineEvent],
        above: tuple[str, ...],
        told: dict[str, str] | None = None,
    ) -> None:
        """Append the function's events; a function already expanded is told in one line the next time."""
        told = {} if told is None else told
        if function.key in above or depth > _MAX_TIMELINE_DEPTH or len(out) > _MAX_TIMELINE_LINES:
            return
        for event in self._analysis.result(function).events:
            inner = self._analysis.table.functions.get(event.callee) if event.callee else None
            kind = (
                _RUNTIME.get(event.callee.rpartition(".")[2], event.kind) if _is_shipped(event.callee) else event.kind
            )
            line = TimelineEvent(depth, self._analysis.place(function, event.loc), kind, event.text)
            if inner is None:
                last = out[-1] if out else None
                same = last is not None and (last.kind, last.message) == (line.kind, line.message)
                if not same or last is None or last.place.file != line.place.file:
                    out.append(line)
                continue
            if inner.key in told:
                if told[inner.key]:
                    out.append(replace(line, message=f"{line.message}, as above ({told[inner.key]})"))
                continue
            below: list[TimelineEvent] = []
            self._expand(inner, depth + 1, below, (*above, function.key), told)
            wanted = _TOUCHING if event.kind in {"call", "enter"} else _TOUCHING | {"yield"}
            kinds = dict.fromkeys(_brief(e) for e in below if e.kind in wanted)
            told[inner.key] = ", ".join(list(kinds)[:6])
            if kinds:
                out.append(line)
                out.extend(below)


def _brief(event: TimelineEvent) -> str:
    """An event in a word or two, for a function that was shown before."""
    return event.message if event.kind == "write" else event.kind


def _is_shipped(callee: str) -> bool:
    return callee.partition("::")[0] == shipped.PATH
