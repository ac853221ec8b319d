"""Sessions opened by hand, without a ``with``: who closes them, and on which ways out.

Watches one frame. A session that leaves the function in any way (returned, stored, handed to something that keeps it)
is somebody else's to close, and no longer watched.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sessionlint.effects import observations as obs
from sessionlint.effects.scopes import shares_connection
from sessionlint.effects.state import State
from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import local_origin

if TYPE_CHECKING:
    from sessionlint.effects.interpreter import Frame

_CLOSERS = frozenset({"close", "aclose", "remove", "close_all", "invalidate"})


@dataclass(slots=True)
class Watched:
    """One session in a local name. ``ways`` are final, handler and plain: where it is closed."""

    name: str
    loc: s.Loc
    text: str
    is_async: bool | None
    ways: set[str] = field(default_factory=set)
    cleaned: bool = False


class Closing:
    """The sessions one function opens by hand."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._watched: dict[v.Origin, Watched] = {}
        self._gone: set[v.Origin] = set()
        #: how deep in ``finally`` blocks, and whether each running handler catches everything
        self.final_depth = 0
        self.handlers: list[bool] = []

    def named(self, name: str, expr: s.Expr, found: v.Value) -> None:
        """``name = expr``: where the expression is the very call that opens a session, watch it."""
        inner = expr.value if isinstance(expr, s.Await) else expr
        if not isinstance(found, v.Session) or not isinstance(inner, s.Call) or found.origin != local_origin(inner):
            return
        if any(shares_connection(a) for a in (*inner.args, *(k.value for k in inner.keywords))):
            return  # it works on another session's connection and holds none of its own
        if found.autocommit or name in self._frame.function.facts.globals | self._frame.function.facts.nonlocals:
            return
        owned = self._frame.owned.get(found.origin)
        if owned is not None and (owned.driven or owned.scoped or owned.policy == "unknown"):
            return
        text = sym.dotted_text(inner.func) or sym.last_name(inner.func) or "call"
        self._watched.setdefault(found.origin, Watched(name, inner.loc, text, found.is_async))

    def closed(self, origin: v.Origin) -> None:
        """``close()`` on it, here or in a callee."""
        watched = self._watched.get(origin)
        if watched is None:
            return
        if self.final_depth or (self.handlers and self.handlers[-1]):
            watched.ways.add("final")
        else:
            watched.ways.add("handler" if self.handlers else "plain")

    def cleaned(self, origin: v.Origin) -> None:
        """A handler rolls it back."""
        watched = self._watched.get(origin)
        if watched is not None and self.handlers:
            watched.cleaned = True

    def leaves(self, origins: Iterable[v.Origin]) -> None:
        """Somebody else has it now."""
        self._gone.update(origins)

    def report(self, ends: list[State]) -> None:
        """Hand over what became of each session; ``ends`` are the normal ways out."""
        for origin, watched in self._watched.items():
            owned = self._frame.owned.get(origin)
            if origin in self._gone or (owned is not None and (owned.escaped or owned.scoped)):
                continue
            transactions = [end.sessions[origin] for end in ends if origin in end.sessions]
            if any(t.unknown for t in transactions):
                continue
            if not watched.ways and self._mentioned(watched.name):
                continue
            self._frame.note(
                obs.OpenedByHand(
                    watched.loc, origin, watched.text, frozenset(watched.ways), watched.cleaned,
                    watched.is_async, any(t.open or t.pending for t in transactions),
                )
            )  # fmt: skip

    def _mentioned(self, name: str) -> bool:
        """Whether ``name.close`` is written in the function or one nested in it: kept for later, by a callback."""
        waiting = [self._frame.function]
        while waiting:
            function = waiting.pop()
            waiting.extend(f for f in function.nested.values() if isinstance(f, sym.Function))
            for stmt in function.statements:
                for top in sym.statement_expressions(stmt):
                    parts = (e for e in sym.walk(top) if isinstance(e, s.Attribute) and e.attr in _CLOSERS)
                    if any(sym.dotted_text(part.value) == name for part in parts):
                        return True
        return False
