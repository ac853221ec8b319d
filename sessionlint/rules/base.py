"""What rule files share: how a finding is drafted and how a chain of calls becomes a trace.

A rule file says what is wrong; code, name and severity come from the file itself (``registry``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sessionlint.effects import Analysis
from sessionlint.effects.observations import Swallowed
from sessionlint.effects.often import Way
from sessionlint.effects.state import Link, Write
from sessionlint.facts.shape import Loc
from sessionlint.findings import FixSafety, Place, Severity, Step
from sessionlint.project import values as v
from sessionlint.project.outside import EXTENSION_SESSION
from sessionlint.project.symbols import Class, Function, Module


class Draft(NamedTuple):
    """A finding before the registry adds code, name and severity (``severity`` here overrides the rule's).

    ``function`` is what the finding stands in: a function, a class body, or a module.
    """

    function: Function | Class | Module
    loc: Loc
    message: str
    help: str
    label: str = ""
    trace: tuple[Step, ...] = ()
    severity: Severity | None = None
    fix: FixSafety = FixSafety.NONE

    @property
    def place(self) -> Place:
        return Place(self.function.module.path, *self.loc)


def step(path: str, loc: Loc, text: str) -> Step:
    return Step(Place(path, *loc), text)


def chain_steps(chain: Iterable[Link]) -> tuple[Step, ...]:
    """The calls of a chain as steps."""
    return tuple(step(link.path, link.loc, link.text) for link in chain)


def write_steps(write: Write) -> tuple[Step, ...]:
    """How a write got into the session: the calls that lead to it and the write itself."""
    return (*chain_steps(write.chain), step(write.path, write.loc, write_text(write)))


def write_text(write: Write) -> str:
    """``insert SessionModel``."""
    return f"{write.kind} {write.model.name}" if write.model is not None else write.kind


def described(write: Write) -> str:
    """A write as the subject of a sentence: ``the `SessionModel` insert``."""
    return (
        f"the `{write.model.name}` {write.kind}"
        if write.model is not None
        else f"an {write.kind}"
        if write.kind[:1] in "aeiou"
        else f"a {write.kind}"
    )


def local_place(write: Write) -> Loc:
    """Where, in the function that looks at it, the write happens: the call that leads there, or the write itself."""
    return write.chain[0].loc if write.chain else write.loc


def is_refused(seen: Swallowed) -> bool:
    """Whether what the handler hides is the database's own failure (SES207), and not half-done work (SES208)."""
    return seen.statement == "commit" or seen.statement.endswith("()") or bool(seen.statement and seen.then == "used")


#: how a function came by a session that others own, by the kind of its origin
LENT = {"param": "it was handed", "dependency": "that others opened for the work around it"}


def spelled(origin: v.Origin) -> str:
    """A session as the function spells it: ``db``, ``self._db``; Flask-SQLAlchemy's as its documentation does."""
    if origin == EXTENSION_SESSION.origin:
        return "db.session"
    return str(origin) if origin.name != "*" else "the session"


def callers_steps(analysis: Analysis, function: Function, limit: int = 6) -> tuple[Step, ...]:
    """One chain of calls from an entry point (or as far up as known) down to the function."""
    best: tuple[Step, ...] = ()
    waiting: list[tuple[Function, tuple[Step, ...]]] = [(function, ())]
    seen = {function.key}
    while waiting:
        current, steps = waiting.pop(0)
        if analysis.entries.boundary(current) or len(steps) >= limit:
            return steps
        if len(steps) > len(best):
            best = steps
        for caller, loc, how in analysis.callers.get(current.key, ()):
            if how != "spawn" and caller.key not in seen and not caller.module.is_test:
                seen.add(caller.key)
                text = f"{caller.qualname} calls {current.qualname}()"
                waiting.append((caller, (step(caller.module.path, loc, text), *steps)))
    return best


def opened_steps(since: Link | None) -> tuple[Step, ...]:
    """What opened a transaction, as a step."""
    return () if since is None else (step(since.path, since.loc, f"{since.text} opened the transaction"),)


def way_steps(way: Way) -> tuple[Step, ...]:
    """What runs often, and the calls from there down."""
    top = way.top
    first = step(top.module.path, top.facts.loc, f"{top.qualname} runs for every request or job")
    calls = (
        step(c.function.module.path, c.loc, f"{c.function.qualname} calls {c.callee.qualname}()") for c in way.calls
    )
    return (first, *calls)
