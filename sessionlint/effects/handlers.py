"""``try``: which states may reach a handler, and what it leaves half done, unsaid or rolled back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from sessionlint.effects import observations as obs
from sessionlint.effects.state import EMPTY, FAILED, Broken, Refusal, State, Write, settle
from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v

if TYPE_CHECKING:
    from sessionlint.effects.interpreter import Exit, Frame

_BROAD = frozenset({"Exception", "BaseException"})
_DATABASE_ERRORS = frozenset({"SQLAlchemyError", "DBAPIError", "IntegrityError", "OperationalError", "DatabaseError"})
#: calls that tell nobody but a log, or that only clean up
_QUIET_CALLS = frozenset(
    {"debug", "info", "warning", "warn", "error", "exception", "critical", "log", "print", "rollback", "close", "str",
     "repr", "format_exc", "print_exc", "getLogger", "get_logger", "capture_exception", "type", "bind", "getattr",
     "commit", "flush", "opt", "isinstance", "len", "format", "join", "expunge_all", "invalidate"}
)  # fmt: skip


class Failure(NamedTuple):
    """A state in which a call of a try block may raise; ``caught`` names the exception where it is known.

    ``database``: what failed is a statement, a flush or a callee that had written; ``commit``: it was a commit.
    ``refusal`` says which session needs a rollback, where that is known.
    """

    state: State
    caught: str
    database: bool
    commit: bool
    refusal: Refusal | None = None


class Handlers:
    """Runs the ``try`` statements of one frame."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def run(self, stmt: s.Try, states: list[State]) -> list[State]:
        """The paths after a ``try`` statement."""
        before = {w.key for state in states for t in state.sessions.values() for w in t.pending}
        commits_before = len(self._frame.commits)
        self._frame.exits.append([])
        self._frame.watchers.append([])
        ends = self._frame.block([state.copy() for state in states], stmt.body)
        failures = self._frame.watchers.pop()
        body_exits = self._frame.exits.pop()
        commits = self._frame.commits[commits_before:]
        if stmt.orelse:
            self._frame.exits.append([])
            ends = self._frame.block(ends, stmt.orelse)
            body_exits = body_exits + self._frame.exits.pop()
        kept: list[Exit] = []
        for exit_ in body_exits:
            if exit_.kind == "raise" and any(catches(h, exit_.result) for h in stmt.handlers):
                failures.append(Failure(exit_.state, exit_.result, bool(_fresh([exit_.state], before)), False))
            else:
                kept.append(exit_)
        self._frame.exits.append(kept)
        for failure in failures:
            if not any(_always_catches(h, failure.caught) for h in stmt.handlers):
                self._frame.may_fail(*failure)
        seen = [*ends, *(e.state for e in body_exits), *(f.state for f in failures)]
        fresh = _fresh(seen, before)
        for handler in stmt.handlers:
            ends = ends + self._handler(handler, failures, fresh, commits)
        exits = self._frame.exits.pop()
        if stmt.final:
            self._frame.closing.final_depth += 1
            ends = self._frame.block(ends, stmt.final)
            for exit_ in exits:
                leaving = exit_.state.copy()
                if exit_.kind == "raise":
                    leaving.facts[FAILED] = "true"
                self._frame.scopes.returning = exit_.loc if exit_.kind == "return" else None
                for state in self._frame.block([leaving], stmt.final):
                    self._frame.exits[-1].append(exit_._replace(state=state))
                self._frame.scopes.returning = None
            self._frame.closing.final_depth -= 1
        else:
            self._frame.exits[-1].extend(exits)
        return ends

    def _handler(
        self,
        handler: s.Handler,
        failures: list[Failure],
        fresh: dict[v.Origin, tuple[Write, ...]],
        commits: list[tuple[s.Loc, v.Origin, str]],
    ) -> list[State]:
        """Run one handler; ``fresh`` are the writes of the try block, by session."""
        anything = is_broad(handler) or _database_handler(handler)
        entered: list[State] = []
        for failure in failures:
            if not catches(handler, failure.caught):
                continue
            state = failure.state.copy()
            if failure.database and (anything or failure.caught):
                certain = bool(failure.caught) and not anything
                self._break(state, handler, fresh, certain, failure.refusal)
            self._give_up(state, fresh, failure.refusal)
            if handler.name:
                state.env[handler.name] = v.UNKNOWN
            entered.append(state)
        entered = settle(entered)
        self._frame.handler_depth += 1
        self._frame.handled.append(frozenset(fresh))
        rollbacks = len(self._frame.rollbacks)
        self._frame.exits.append([])
        self._frame.closing.handlers.append(_catches_everything(handler))
        ends = self._frame.block(entered, handler.body)
        self._frame.closing.handlers.pop()
        exits = self._frame.exits.pop()
        self._frame.handled.pop()
        self._frame.handler_depth -= 1
        leaves = [e for e in exits if e.kind in {"return", "break", "continue"}]
        for exit_ in exits:
            if exit_.kind == "return":
                exit_.state.facts[FAILED] = "true"
        self._frame.exits[-1].extend(exits)
        reraises = not ends and not leaves
        for index in range(rollbacks, len(self._frame.rollbacks)):
            self._frame.rollbacks[index] = replace(self._frame.rollbacks[index], reraises=reraises)
        if commits and anything and (ends or leaves):
            self._unheeded(handler, commits, ends, leaves)
        return ends

    @staticmethod
    def _give_up(state: State, fresh: dict[v.Origin, tuple[Write, ...]], refusal: Refusal | None) -> None:
        """The try block failed: nobody is asked to commit what it left (whether it is half done is another matter).

        Where the commit itself failed that is everything that was pending.
        """
        if refusal is not None and refusal.statement == "commit":
            fresh = {**fresh, **_fresh([state], set())}
        for key, writes in fresh.items():
            transaction = state.sessions.get(key)
            if transaction is not None:
                keys = {w.key for w in writes}
                kept = tuple(w for w in transaction.pending if w.key not in keys)
                state.sessions[key] = replace(transaction, pending=kept)

    def _break(
        self,
        state: State,
        handler: s.Handler,
        fresh: dict[v.Origin, tuple[Write, ...]],
        certain: bool,
        refusal: Refusal | None,
    ) -> None:
        """The try block failed after some of its writes: until a rollback, those sessions are half done.

        ``certain``: the exception is raised where the state is known, so only what is pending there counts.
        """
        caught = ", ".join(filter(None, (sym.last_name(t) for t in caught_types(handler)))) or "everything"
        if refusal is not None and refusal.statement == "lent" and not _database_handler(handler):
            refusal = None  # the callee's writes are half done, too: told by them
        if refusal is not None and refusal.statement in {"flush", "commit"}:
            # it fails with whatever is pending, also from before the try block
            fresh = {**{k: w for k, w in _fresh([state], set()).items() if k == refusal.key}, **fresh}
        if refusal is not None and refusal.by is not None and refusal.key not in fresh:
            write = Write("write", None, refusal.by.path, refusal.by.loc, refusal.key)
            state.broken[refusal.key] = Broken(handler.loc, caught, (write,), refusal.by.text)
        for key, writes in fresh.items():
            transaction = state.sessions.get(key, EMPTY)
            owned = self._frame.owned.get(key)
            if transaction.unknown or (owned is not None and owned.scoped and not owned.active):
                continue
            pending = {w.key for w in transaction.pending}
            left = tuple(w for w in writes if w.key in pending) if certain else writes
            if left:
                said = _refused(refusal) if refusal is not None and refusal.key == key else ""
                state.broken[key] = Broken(handler.loc, caught, left, said)

    def _unheeded(
        self,
        handler: s.Handler,
        commits: list[tuple[s.Loc, v.Origin, str]],
        ends: list[State],
        leaves: list[Exit],
    ) -> None:
        """A commit failed and the handler carries on: unless it says so, callers believe it was saved."""
        if not ends or is_honest(handler):
            return
        rolled_back = any(isinstance(c.func, s.Attribute) and c.func.attr == "rollback" for c in calls_in(handler.body))
        if rolled_back and not self._frame.scopes.claims_success_after(handler.loc):
            return
        loc, origin, text = commits[-1]
        owned = self._frame.owned.get(origin)
        logged = bool(calls_in(handler.body))
        if owned is not None and logged and not self._frame.scopes.claims_success_after(handler.loc):
            return  # a piece of work of its own, best effort; nobody is told that it was saved
        self._frame.note(obs.CommitUnheeded(loc, handler.loc, origin, text))


def _refused(refusal: Refusal) -> str:
    if refusal.by is None:
        return refusal.statement
    return refusal.by.text if refusal.statement == "lent" else ""


def is_broad(handler: s.Handler) -> bool:
    """Whether the handler catches (nearly) everything: bare, Exception, BaseException."""
    if handler.types is None:
        return True
    return any(sym.last_name(t) in _BROAD for t in caught_types(handler))


def _catches_everything(handler: s.Handler) -> bool:
    """Whether not even a cancellation passes the handler by."""
    return handler.types is None or any(sym.last_name(t) == "BaseException" for t in caught_types(handler))


def _database_handler(handler: s.Handler) -> bool:
    return any(sym.last_name(t) in _DATABASE_ERRORS for t in caught_types(handler))


def caught_types(handler: s.Handler) -> tuple[s.Expr, ...]:
    """The exception classes an ``except`` clause names."""
    if handler.types is None:
        return ()
    return handler.types.items if isinstance(handler.types, s.Collection) else (handler.types,)


def catches(handler: s.Handler, name: str) -> bool:
    """Whether an exception of this class name (empty: unknown) may end in the handler."""
    if is_broad(handler) or not name:
        return True
    return any(sym.last_name(t) == name for t in caught_types(handler))


def _always_catches(handler: s.Handler, name: str) -> bool:
    if handler.types is None:
        return True
    names = {sym.last_name(t) for t in caught_types(handler)}
    return "BaseException" in names or "Exception" in names or (bool(name) and name in names)


def is_honest(handler: s.Handler) -> bool:
    """Whether the handler tells anybody: raises, returns, leaves the loop, keeps a note, calls more than a log."""
    for stmt in sym.statements(handler.body):
        if isinstance(stmt, (s.Raise, s.Return, s.Leave, s.Assign, s.AugmentedAssign, s.AnnotatedAssign)):
            return True
        if isinstance(stmt, s.Expression):
            for call in sym.walk(stmt.value):
                if isinstance(call, s.Call) and sym.last_name(call.func) not in _QUIET_CALLS:
                    return True
                if isinstance(call, (s.Yield, s.YieldFrom)):
                    return True
    return False


def calls_in(body: tuple[s.Stmt, ...]) -> list[s.Call]:
    """All calls of a block, nested blocks included."""
    return [e for e in sym.expressions(body) if isinstance(e, s.Call)]


def _fresh(states: list[State], before: set[tuple[str, str, s.Loc]]) -> dict[v.Origin, tuple[Write, ...]]:
    """Writes pending in any of the states that were not pending before, by session."""
    found: dict[v.Origin, dict[tuple[str, str, s.Loc], Write]] = {}
    for state in states:
        for key, transaction in state.sessions.items():
            for write in transaction.pending:
                if write.kind != "consumer" and write.key not in before:
                    found.setdefault(key, {})[write.key] = write
    return {key: tuple(writes.values()) for key, writes in found.items()}
