"""Calls of session methods as they stand: on which kind of session, awaited or not, and what becomes of the value.

Needs no paths: a missing ``await`` is wrong on every one. Says nothing about transactions; that is the interpreter's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Inference, Scope

#: coroutine methods of AsyncSession (SQLAlchemy 2.0/2.1 ext.asyncio reference; ``exec`` is SQLModel's)
COROUTINES = frozenset(
    {"aclose", "close", "commit", "connection", "delete", "delete_all", "exec", "execute", "flush", "get", "get_one",
     "invalidate", "merge", "merge_all", "refresh", "reset", "rollback", "run_sync", "scalar", "scalars", "stream",
     "stream_scalars"}
)  # fmt: skip
#: methods that are plain on AsyncSession, too
PLAIN = frozenset(
    {"add", "add_all", "expunge", "expunge_all", "expire", "expire_all", "get_bind", "get_nested_transaction",
     "get_transaction", "in_nested_transaction", "in_transaction", "is_modified"}
)  # fmt: skip
#: objects that do nothing until they are entered or awaited
BEGINNERS = frozenset({"begin", "begin_nested"})
#: what a buffered result has; none of it is a coroutine
_RESULT_METHODS = frozenset(
    {"all", "fetchall", "fetchmany", "fetchone", "first", "mappings", "one", "one_or_none", "scalar", "scalar_one",
     "scalar_one_or_none", "scalars", "tuples", "unique"}
)  # fmt: skip
_BUFFERED = frozenset({"exec", "execute", "scalars"})
#: attributes a coroutine object really has
_OF_COROUTINES = frozenset({"send", "throw", "close", "cr_await", "cr_code", "cr_frame", "cr_running", "__await__"})
#: return annotations that say what is returned may have to be awaited once more
_AWAITABLE = frozenset({"Any", "Awaitable", "Coroutine", "Future", "Task", "object"})
#: decorators after which a call still gives the coroutine
_TRANSPARENT = frozenset({"staticmethod", "classmethod", "abstractmethod", "override", "final"})


class CallSite(NamedTuple):
    """A call and what becomes of its value.

    ``fate`` is awaited, dropped (nobody looks at it), used (as if it were the result), entered (``with``), returned,
    or kept (handed to something that may await it).
    """

    call: s.Call
    fate: str


class SessionCall(NamedTuple):
    """One call of a session's method. ``receiver`` is the session as written."""

    loc: s.Loc
    session: v.Session
    receiver: str
    method: str
    fate: str


class CoroutineCall(NamedTuple):
    """A call of a coroutine function of the project whose coroutine nobody awaits."""

    loc: s.Loc
    callee: sym.Function
    fate: str


class SessionCalls:
    """Answers for one project; each function is read once."""

    def __init__(self, infer: Inference) -> None:
        self._infer = infer
        self._sites: dict[str, tuple[CallSite, ...]] = {}
        self._calls: dict[str, tuple[SessionCall, ...]] = {}
        #: names of methods that session classes of the project define themselves: those may be of either kind
        self._own = frozenset(
            name
            for cls in infer.table.classes.values()
            if infer.classes.session_flavour(cls) is not None
            for name in cls.methods
        )

    def sites(self, function: sym.Function) -> tuple[CallSite, ...]:
        """Every call in the function's own body, lambdas and nested functions left out."""
        known = self._sites.get(function.key)
        if known is None:
            known = self._sites[function.key] = tuple(_Body(function.facts.body).sites())
        return known

    def of(self, function: sym.Function) -> tuple[SessionCall, ...]:
        """Calls on what is certainly a session, in source order."""
        known = self._calls.get(function.key)
        if known is None:
            known = self._calls[function.key] = tuple(sorted(self._of(function)))
        return known

    def _of(self, function: sym.Function) -> Iterator[SessionCall]:
        scope = Scope(function.module, function)
        for call, fate in self.sites(function):
            if not isinstance(call.func, s.Attribute) or call.func.attr in self._own:
                continue
            if call.func.attr not in COROUTINES | PLAIN | BEGINNERS | _SYNC_ONLY:
                continue
            receiver = self._infer.expr(call.func.value, scope)
            if isinstance(receiver, v.Session):
                text = sym.dotted_text(call.func.value) or "the session"
                yield SessionCall(call.loc, receiver, text, call.func.attr, fate)

    def unawaited(self, function: sym.Function) -> Iterator[SessionCall | CoroutineCall]:
        """Calls that make a coroutine of a session, or of the project, which can never run."""
        if function.key in self._given_sync_sessions:
            return
        for found in self.of(function):
            if found.session.is_async is not True or found.fate not in {"dropped", "used", "returned"}:
                continue
            wanted = COROUTINES if found.fate != "dropped" else COROUTINES | BEGINNERS
            if found.method in wanted and (found.fate != "returned" or _returns_a_result(function)):
                yield found
        scope = Scope(function.module, function)
        for call, fate in self.sites(function):
            if fate not in {"dropped", "used"}:
                continue
            target = self._infer.expr(call.func, scope)
            if isinstance(target, v.FunctionRef) and _gives_coroutine(target.function):
                yield CoroutineCall(call.loc, target.function, fate)

    @cached_property
    def _given_sync_sessions(self) -> frozenset[str]:
        """Functions handed to ``run_sync()``: what they are called with is a plain session, whatever they declare."""
        found = set()
        for module, caller, call in self._infer.call_sites("run_sync"):
            for argument in call.args[:1]:
                target = self._infer.expr(argument, Scope(module, caller))
                if isinstance(target, v.FunctionRef):
                    found.add(target.function.key)
        return frozenset(found)

    def awaited_plain(self, function: sym.Function) -> Iterator[SessionCall]:
        """Awaits of session methods that are no coroutines."""
        for found in self.of(function):
            if found.fate != "awaited":
                continue
            if (found.session.is_async is True and found.method in PLAIN) or (
                found.session.is_async is False and not self._declared_wrongly(function, found.receiver)
            ):
                yield found

    def blocking(self, function: sym.Function) -> Iterator[SessionCall]:
        """Calls on a sync session that wait for the database, and the thread with them."""
        for found in self.of(function):
            if found.session.is_async is False and found.fate != "awaited" and found.method in _WAITING:
                if not self._awaits(function, found.receiver) and not self._declared_wrongly(function, found.receiver):
                    yield found

    def _awaits(self, function: sym.Function, receiver: str) -> bool:
        """Whether the same session is awaited elsewhere in the function: then it is not the kind it is declared as."""
        return any(c.receiver == receiver and c.fate == "awaited" for c in self.of(function))

    def _declared_wrongly(self, function: sym.Function, receiver: str) -> bool:
        """``db: Session = Depends(get_async_db)``: what is handed in is not what the annotation says."""
        parameter = function.parameters.get(receiver)
        if parameter is None:
            return self._owner_awaits(function, receiver)
        dependency = self._infer.dependency(function, parameter)
        if dependency is not None and dependency.target is not None:
            return _is_async_session(self._infer.provided(dependency.target))
        return _is_async_session(self._infer.given(function, receiver))

    def _owner_awaits(self, function: sym.Function, receiver: str) -> bool:
        """Whether other methods of the class await the same attribute."""
        if function.owner is None or "." not in receiver:
            return False
        others = (m for m in function.owner.methods.values() if m is not function)
        return any(self._awaits(other, receiver) for other in others)

    def awaited_results(self, function: sym.Function) -> Iterator[tuple[s.Loc, str]]:
        """(place, text) of awaits on a buffered result: ``await (await db.execute(q)).scalars().all()``."""
        scope = Scope(function.module, function)
        for call, fate in self.sites(function):
            if fate != "awaited" or not isinstance(call.func, s.Attribute) or call.func.attr not in _RESULT_METHODS:
                continue
            if isinstance(self._infer.expr(call.func.value, scope), v.Rows) and self._is_buffered(call.func, function):
                yield call.loc, f"{call.func.attr}()"

    def _is_buffered(self, expr: s.Expr, function: sym.Function, depth: int = 0) -> bool:
        """Whether the chain of calls starts at an awaited ``execute()`` or ``scalars()``, and not at ``stream()``."""
        while True:
            if isinstance(expr, s.Attribute):
                expr = expr.value
            elif isinstance(expr, s.Call) and isinstance(expr.func, s.Attribute):
                receiver = self._infer.expr(expr.func.value, Scope(function.module, function))
                if isinstance(receiver, v.Session):
                    return receiver.is_async is False and expr.func.attr in _BUFFERED
                expr = expr.func
            elif isinstance(expr, s.Await):
                inner = expr.value
                return isinstance(inner, s.Call) and sym.last_name(inner.func) in _BUFFERED
            elif isinstance(expr, s.Name):
                bound = function.bindings.get(expr.id, [])
                if depth > 3 or len(bound) != 1 or bound[0][0] != "value":
                    return False
                value = bound[0][1]
                return isinstance(value, (s.Await, s.Call)) and self._is_buffered(value, function, depth + 1)
            else:
                return False


#: methods that send something to the database and wait for the answer
_WAITING = frozenset(
    {"bulk_insert_mappings", "bulk_save_objects", "bulk_update_mappings", "commit", "exec", "execute", "flush", "get",
     "get_one", "merge", "query", "refresh", "scalar", "scalars"}
)  # fmt: skip
#: methods that only a sync session has
_SYNC_ONLY = frozenset({"bulk_insert_mappings", "bulk_save_objects", "bulk_update_mappings", "query"})


def _is_async_session(value: v.Value) -> bool:
    return any(isinstance(o, v.Session) and o.is_async is True for o in v.options_of(value))


def _gives_coroutine(function: sym.Function) -> bool:
    facts = function.facts
    return facts.is_async and not facts.is_generator and function.decorator_names <= _TRANSPARENT


def _returns_a_result(function: sym.Function) -> bool:
    """``async def f() -> User``: what is returned is meant to be the value, not something to await once more."""
    declared = function.facts.returns
    if not function.facts.is_async or declared is None:
        return False
    names = {sym.last_name(e) or "" for e in sym.walk(declared)}
    if isinstance(declared, s.Constant) and isinstance(declared.value, str):
        names = {name for name in _AWAITABLE if name in declared.value}
    return not names & _AWAITABLE


class _Body:
    """The calls of one body, each with the fate of its value."""

    def __init__(self, body: Iterable[s.Stmt]) -> None:
        self._statements = list(sym.statements(body))
        self._found: list[CallSite] = []
        self._names: dict[str, set[str]] = {}
        self._waiting: list[tuple[s.Call, str]] = []
        self._defines = False

    def sites(self) -> list[CallSite]:
        for stmt in self._statements:
            self._statement(stmt)
        for call, name in self._waiting:
            self._found.append(CallSite(call, self._fate_of(name)))
        return self._found

    def _fate_of(self, name: str) -> str:
        """What becomes of a value that is only known by a name."""
        uses = self._names.get(name, set())
        if self._defines:
            return "kept"  # a nested function may await what it captures
        if not uses:
            return "dropped"
        return "used" if uses == {"used"} else "kept"

    def _statement(self, stmt: s.Stmt) -> None:
        if isinstance(stmt, s.Expression):
            self._expr(stmt.value, "dropped")
        elif isinstance(stmt, s.Assign):
            self._assigned(stmt.targets, stmt.value)
        elif isinstance(stmt, s.AnnotatedAssign) and stmt.value is not None:
            self._assigned((stmt.target,), stmt.value)
        elif isinstance(stmt, s.Return) and stmt.value is not None:
            self._expr(stmt.value, "returned")
        elif isinstance(stmt, (s.If, s.While, s.Assert)):
            self._expr(stmt.test, "used")
        elif isinstance(stmt, s.For):
            self._expr(stmt.iterable, "used")
        elif isinstance(stmt, s.With):
            for item in stmt.items:
                self._expr(item.context, "entered")
        elif isinstance(stmt, s.Define):
            self._defines = True
        else:
            for expr in sym.statement_expressions(stmt):
                self._expr(expr, "kept")

    def _assigned(self, targets: tuple[s.Expr, ...], value: s.Expr) -> None:
        for target in targets:
            if not isinstance(target, s.Name):
                for part in sym.children(target):
                    self._expr(part, "kept")
        only = targets[0] if len(targets) == 1 else None
        if isinstance(value, s.Call) and isinstance(only, s.Name):
            self._parts(value)
            self._waiting.append((value, only.id))
        elif isinstance(only, s.Collection):
            self._expr(value, "used")  # a coroutine cannot be unpacked
        else:
            self._expr(value, "kept")

    def _expr(self, expr: s.Expr, fate: str) -> None:
        if isinstance(expr, s.Call):
            self._found.append(CallSite(expr, fate))
            self._parts(expr)
        elif isinstance(expr, s.Name):
            self._names.setdefault(expr.id, set()).add(fate)
        elif isinstance(expr, s.Await):
            self._expr(expr.value, "awaited")
        elif isinstance(expr, s.Attribute):
            self._expr(expr.value, "kept" if expr.attr in _OF_COROUTINES else "used")
        elif isinstance(expr, s.Subscript):
            self._expr(expr.value, "used")
            self._expr(expr.index, "kept")
        elif isinstance(expr, s.Not):
            self._expr(expr.value, "used")
        elif isinstance(expr, s.Compare):
            self._compared(expr)
        elif isinstance(expr, s.Choice):
            if expr.test is not None:
                self._expr(expr.test, "used")
            for option in expr.options:
                self._expr(option, fate)
        elif isinstance(expr, s.Comprehension):
            for clause in expr.clauses:
                self._expr(clause.iterable, "used")
                for condition in clause.conditions:
                    self._expr(condition, "used")
            for element in expr.elements:
                self._expr(element, "kept")
        elif isinstance(expr, s.Lambda):
            for inner in sym.walk(expr.body):
                if isinstance(inner, s.Name):
                    self._names.setdefault(inner.id, set()).add("kept")
        else:
            for part in sym.children(expr):
                self._expr(part, "kept")

    def _compared(self, expr: s.Compare) -> None:
        # `task is None` asks about the coroutine object itself; that may be meant
        fate = "kept" if set(expr.ops) & {"is", "is not"} else "used"
        for part in (expr.left, *expr.rights):
            self._expr(part, fate)

    def _parts(self, call: s.Call) -> None:
        """The inside of a call: the receiver of a method is used, arguments are handed on."""
        if isinstance(call.func, s.Attribute) or not isinstance(call.func, s.Name):
            self._expr(call.func, "used")
        for argument in call.args:
            self._expr(argument, "kept")
        for keyword in call.keywords:
            self._expr(keyword.value, "kept")
