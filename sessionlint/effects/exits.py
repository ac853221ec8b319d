"""How the exit of a context manager treats the session it holds: whether it closes for certain, commits on an
exception, or swallows it.

Works on one exit method at a time; what its calls do is asked of the project, through the class's own methods.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sessionlint.effects.engine import Engine
from sessionlint.effects.handlers import is_broad
from sessionlint.effects.interpreter import Exit, Frame
from sessionlint.effects.observations import Committed
from sessionlint.effects.state import State, Transaction
from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Scope, place_origin

#: what may fail on the way to the close
_RISKY = frozenset({"commit", "rollback", "flush"})
#: names that hand the session's end to somebody else
_DELEGATES = frozenset({"__aexit__", "__exit__", "aclose", "close", "pop_all", "remove", "invalidate"})
_MAX_DEPTH = 4
#: classes of exceptions that stand for a failed transaction
_HIDDEN = frozenset(
    {"BaseException", "Exception", "SQLAlchemyError", "DBAPIError", "IntegrityError", "OperationalError",
     "PendingRollbackError"}
)  # fmt: skip


class UnitExit(NamedTuple):
    """One exit method.

    ``opens``: entering opens a session, so leaving has to close it. ``closes``: somewhere it does; ``only`` says on
    which ways out, where it is not on all. ``skipped`` is a call that, failing, leaves the session unclosed.
    ``commits`` is the commit every path with an exception passes (in the exit, or in the ``hook`` of the class that the
    exit calls), ``swallows`` the return that hides the exception.
    """

    cls: sym.Class
    method: sym.Function
    opens: bool
    closes: bool
    only: str
    skipped: s.Loc | None
    commits: s.Loc | None
    swallows: s.Loc | None
    hook: sym.Function | None = None


class Exits:
    """Answers about the exit methods of a project."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._infer = engine.infer

    def of(self, cls: sym.Class) -> UnitExit | None:
        """The exit of a class that is a context manager and holds a session, its own or an inherited one."""
        own = self._infer.classes.method(cls, "__aexit__") or self._infer.classes.method(cls, "__exit__")
        if own is None or own.is_abstract or not self._engine.is_unit_class(cls):
            return None
        body = own.facts.body
        closes = self._closes(cls, own, body)
        skipped = self._skipped(cls, own, body, False) if closes else None
        raised, left = self._run(cls, own, "true"), self._run(cls, own, "none")
        only = ""
        if closes and raised.never_closes != left.never_closes:
            only = "without an exception" if raised.never_closes else "with an exception"
        hook = self._hook(cls, own) if raised.commits is not None else None
        commits = self._commit_of(hook) if hook is not None else raised.commits
        swallows = raised.swallows or _swallowed_class(own)
        return UnitExit(cls, own, self.opens(cls), closes, only, skipped, commits, swallows, hook)

    def opens(self, cls: sym.Class) -> bool:
        """Whether entering an object of the class brings a session to life."""
        fresh = place_origin(cls.facts.loc)
        entered = self._infer.enter(v.Instance(cls), fresh)
        return fresh in self._infer.holds(entered)

    # ---- closing ---------------------------------------------------------------------------------------------------

    def _closes(self, cls: sym.Class, method: sym.Function, body: Iterable[s.Stmt]) -> bool:
        return any("close" in self._effects(cls, method, call, 0) for call in _calls(body)) or any(
            isinstance(stmt, s.With) and self._enters_session(method, stmt) for stmt in sym.statements(body)
        )

    def _skipped(self, cls: sym.Class, method: sym.Function, body: Iterable[s.Stmt], safe: bool) -> s.Loc | None:
        """The first call of a block that may fail while nothing makes sure of the close (``safe``: something does)."""
        for stmt in body:
            if isinstance(stmt, s.Try):
                found = self._skipped_in_try(cls, method, stmt, safe)
            elif isinstance(stmt, s.With):
                found = self._skipped(cls, method, stmt.body, safe or self._protects(method, stmt))
            elif isinstance(stmt, s.If):
                found = self._skipped(cls, method, stmt.body, safe) or self._skipped(cls, method, stmt.orelse, safe)
            else:
                found = None
                for call in _calls((stmt,)):
                    effects = self._effects(cls, method, call, 0)
                    if "close" in effects:
                        return None
                    if effects & _RISKY and not safe:
                        return call.loc
            if found is not None:
                return found
            if isinstance(stmt, s.Try) and self._closes(cls, method, stmt.final):
                return None
        return None

    def _skipped_in_try(self, cls: sym.Class, method: sym.Function, stmt: s.Try, safe: bool) -> s.Loc | None:
        final = safe or self._closes(cls, method, stmt.final)
        caught = any(is_broad(h) and (self._closes(cls, method, h.body) or not _raises(h.body)) for h in stmt.handlers)
        found = self._skipped(cls, method, stmt.body, final or caught) or self._skipped(cls, method, stmt.orelse, final)
        for handler in stmt.handlers:
            found = found or self._skipped(cls, method, handler.body, final)
        return found or self._skipped(cls, method, stmt.final, safe)

    def _protects(self, method: sym.Function, stmt: s.With) -> bool:
        """``async with self.session:`` closes, ``with suppress(...)`` goes on to what comes after."""
        names = {sym.last_name(item.context) for item in stmt.items}
        return bool(names & {"suppress", "aclosing", "closing"}) or self._enters_session(method, stmt)

    def _enters_session(self, method: sym.Function, stmt: s.With) -> bool:
        scope = Scope(method.module, method)
        return any(isinstance(self._infer.expr(item.context, scope), v.Session) for item in stmt.items)

    def _effects(self, cls: sym.Class, method: sym.Function, call: s.Call, depth: int) -> frozenset[str]:
        """What a call does to the session of the object: commit, rollback, flush, close."""
        target = self._infer.expr(call.func, Scope(method.module, method))
        found: set[str] = set()
        for option in v.options_of(target):
            if isinstance(option, v.Method) and isinstance(option.receiver, (v.Session, v.Begin)):
                effect = self._engine.catalog.session.get(option.name)
                found.add(effect.effect if effect is not None else option.name)
                if effect is None and self._is_projects_own(option.name):
                    found.add("close")  # a session class of the project's: its method may well close
            elif isinstance(option, v.FunctionRef):
                function = self._dispatched(cls, method, call, option.function)
                if depth < _MAX_DEPTH and function is not method:
                    inner = [self._effects(cls, function, c, depth + 1) for c in _calls(function.facts.body)]
                    found.update(*inner)
                    if function.is_abstract and function.name in _DELEGATES:
                        found.add("close")
        if not found and sym.last_name(call.func) in _DELEGATES and not isinstance(target, v.FunctionRef):
            found.add("close")
        found.update(*(self._effects(cls, method, c, depth) for a in call.args for c in _calls_in(a)))
        return frozenset("close" if name in _DELEGATES else name for name in found)

    def _is_projects_own(self, method: str) -> bool:
        return any(f.name == method and f.owner is not None for f in self._infer.table.functions.values())

    def _dispatched(self, cls: sym.Class, method: sym.Function, call: s.Call, found: sym.Function) -> sym.Function:
        """``self.rollback()`` of a base class as the class at hand defines it."""
        if isinstance(call.func, s.Attribute) and isinstance(call.func.value, s.Name):
            if call.func.value.id == method.receiver:
                return self._infer.classes.method(cls, call.func.attr) or found
        return found

    # ---- on the ways out -------------------------------------------------------------------------------------------

    def _run(self, cls: sym.Class, method: sym.Function, raised: str) -> _Left:
        """What an exit of the class does, with an exception (``true``) or without (``none``)."""
        frame = Frame(self._engine, method)
        given = [p.name for p in method.facts.parameters[1:4] if p.kind in {"positional", "either"}]
        receiver = method.receiver or "self"
        origin = v.Origin("param", receiver, ("session",))
        start = State(
            {receiver: v.Instance(cls, v.Origin("param", receiver))},
            dict.fromkeys(given, raised),
            {frame.key(origin): Transaction(used=True, origin=origin)},
        )
        frame.run(start)
        ends = [e for e in frame.exits[-1] if e.kind in {"return", "end"}]
        if not ends:
            return _Left(None, None, False)
        after = [frame.transaction(e.state, origin) for e in ends]
        commits = None
        if all(t.committed for t in after):
            places = [event.loc for event in frame.result.events if event.kind in {"commit", "call"}]
            commits = places[0] if places else method.facts.loc
        swallows = ends[0].loc if all(_is_true(e) for e in ends) else None
        return _Left(commits, swallows, not any(t.closed or t.unknown for t in after))

    def _hook(self, cls: sym.Class, exit_: sym.Function) -> sym.Function | None:
        """The method by which a class changes what an inherited exit does: ``await self._finish(kind)``."""
        for call in exit_.calls if exit_.owner is not cls else ():
            if isinstance(call.func, s.Attribute) and isinstance(call.func.value, s.Name):
                own = cls.methods.get(call.func.attr) if call.func.value.id == exit_.receiver else None
                if own is not None and self._commit_of(own) is not None:
                    return own
        return None

    def _commit_of(self, function: sym.Function) -> s.Loc | None:
        return next((o.loc for o in self._engine.result(function).observations if isinstance(o, Committed)), None)


class _Left(NamedTuple):
    """What one kind of leaving does: its commit, the return that hides the exception, whether no path closes."""

    commits: s.Loc | None
    swallows: s.Loc | None
    never_closes: bool


def _swallowed_class(method: sym.Function) -> s.Loc | None:
    """``return isinstance(exc, SQLAlchemyError)``: the database's own errors are hidden."""
    for stmt in method.statements:
        if isinstance(stmt, s.Return) and isinstance(stmt.value, s.Call) and len(stmt.value.args) == 2:
            if sym.last_name(stmt.value.func) in {"isinstance", "issubclass"}:
                named = stmt.value.args[1]
                types = named.items if isinstance(named, s.Collection) else (named,)
                if any(sym.last_name(t) in _HIDDEN for t in types):
                    return stmt.loc
    return None


def _is_true(end: Exit) -> bool:
    return end.kind == "return" and end.result == "true"


def _raises(body: Iterable[s.Stmt]) -> bool:
    return any(isinstance(stmt, s.Raise) for stmt in sym.statements(body))


def _calls_in(expr: s.Expr) -> Iterator[s.Call]:
    return (e for e in sym.walk(expr) if isinstance(e, s.Call))


def _calls(body: Iterable[s.Stmt]) -> Iterator[s.Call]:
    """Calls of a block, nested blocks included, arguments of calls left to their call."""
    for stmt in sym.statements(body):
        for top in sym.statement_expressions(stmt):
            waiting = [top]
            while waiting:
                expr = waiting.pop(0)
                if isinstance(expr, s.Call):
                    yield expr
                else:
                    waiting.extend(sym.children(expr))
