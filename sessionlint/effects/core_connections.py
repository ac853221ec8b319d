"""Core connections that a function opens: what it sends over them, and whether anything there is ever committed.

Reads one block without regard to paths: a single commit in it is enough to be silent. A connection that goes somewhere
that cannot be read is not judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from sessionlint.effects.conditions import place_text
from sessionlint.effects.state import Link
from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.arguments import argument_for
from sessionlint.project.frameworks import sqlalchemy
from sessionlint.project.infer import Inference, Scope

_EXECUTES = frozenset({"execute", "exec_driver_sql", "scalar", "scalars", "stream", "stream_scalars"})
_WRITES = frozenset({"insert", "update", "delete"})
_DEPTH = 3
#: a table that ends with the connection or the transaction: nobody wants its rows kept
_TEMPORARY = re.compile(
    r"create\s+(?:(?:global|local)\s+)?temp(?:orary)?\s+table\s+(?:if\s+not\s+exists\s+)?[\"`]?([\w.]+)", re.I
)
_TARGET = re.compile(r"(?:insert\s+into|update|delete\s+from)\s+[\"`]?([\w.]+)", re.I)


class CoreWrite(NamedTuple):
    """A statement that changes rows; ``chain`` are the calls that lead to it."""

    loc: s.Loc
    path: str
    verb: str
    chain: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Uncommitted:
    """A connection with writes, or with a transaction begun by hand, and no commit.

    ``begun`` is where the transaction was begun by hand, None where the connection began it by itself.
    """

    opened: s.Loc
    name: str
    is_async: bool
    writes: tuple[CoreWrite, ...]
    begun: s.Loc | None


@dataclass(slots=True)
class _Uses:
    """What a body does with one connection."""

    writes: list[CoreWrite] = field(default_factory=list)
    commits: bool = False
    lost: bool = False
    begun: dict[str, s.Loc] = field(default_factory=dict)
    temporary: set[str] = field(default_factory=set)
    rolled_back: bool = False
    handed_on: bool = False


class CoreConnections:
    """Answers for one project."""

    def __init__(self, infer: Inference) -> None:
        self._infer = infer

    def uncommitted(self, function: sym.Function) -> Iterator[Uncommitted]:
        """Connections this function opens with ``engine.connect()`` and never commits, although it writes."""
        for opened, name, is_async, body in self._opened(function):
            uses = self._uses(function, name, body)
            if uses.commits or uses.lost:
                continue
            begun = next(iter(uses.begun.values()), None)
            if uses.writes or (begun is not None and uses.rolled_back and uses.handed_on):
                yield Uncommitted(opened, name, is_async, tuple(uses.writes), begun)

    def _opened(self, function: sym.Function) -> Iterator[tuple[s.Loc, str, bool, tuple[s.Stmt, ...]]]:
        """(place, name, is async, statements that can use it) of every connection that does not commit by itself."""
        bodies = function.facts.body
        for stmt in sym.statements(bodies):
            if isinstance(stmt, s.With):
                for item in stmt.items:
                    made = self._connection(item.context, function)
                    if made is not None and isinstance(item.target, s.Name):
                        rest = tuple(s.Expression(i.context, stmt.loc) for i in stmt.items if i is not item)
                        if not any(self._enters_transaction(i.context, item.target.id) for i in stmt.items):
                            yield item.context.loc, item.target.id, made.is_async, (*rest, *stmt.body)
            elif isinstance(stmt, s.Assign) and len(stmt.targets) == 1:
                made = self._connection(stmt.value, function)
                text = place_text(stmt.targets[0])
                if made is not None and text and len(function.bindings.get(text, ((),))) == 1:
                    yield stmt.value.loc, text, made.is_async, tuple(x for x in bodies if x is not stmt)

    def _connection(self, expr: s.Expr, function: sym.Function) -> v.Connection | None:
        """The connection an expression opens by ``connect()`` on an engine that does not commit by itself."""
        call = expr.value if isinstance(expr, s.Await) else expr
        if not isinstance(call, s.Call) or not isinstance(call.func, s.Attribute) or call.func.attr != "connect":
            return None
        engine = self._infer.expr(call.func.value, Scope(function.module, function))
        if isinstance(engine, v.Engine) and not engine.autocommit:
            return v.Connection(engine.is_async)
        return None

    @staticmethod
    def _enters_transaction(expr: s.Expr, name: str) -> bool:
        return isinstance(expr, s.Call) and sym.dotted_text(expr.func) == f"{name}.begin"

    # ---- uses ------------------------------------------------------------------------------------------------------

    def _uses(self, function: sym.Function, name: str, body: Iterable[s.Stmt], depth: int = 0) -> _Uses:
        uses = _Uses()
        known: set[int] = set()
        for stmt in sym.statements(body):
            if isinstance(stmt, s.With):
                for item in stmt.items:
                    if self._enters_transaction(item.context, name):
                        uses.commits = True
            if isinstance(stmt, s.Define):
                uses.lost = uses.lost or self._captures(function, stmt, name)
            if isinstance(stmt, s.Assign) and len(stmt.targets) == 1:
                begun = stmt.value.value if isinstance(stmt.value, s.Await) else stmt.value
                if isinstance(begun, s.Call) and _method_of(begun, name) == "begin":
                    uses.begun[place_text(stmt.targets[0])] = stmt.loc
            for top in sym.statement_expressions(stmt):
                for expr in sym.walk(top):
                    if isinstance(expr, s.Call):
                        self._call(function, name, expr, uses, known, depth)
                    elif isinstance(expr, (s.Name, s.Subscript, s.Attribute)) and place_text(expr) == name:
                        # standing alone: handed on, returned, stored
                        uses.lost = uses.lost or id(expr) not in known
        return uses

    def _call(self, function: sym.Function, name: str, call: s.Call, uses: _Uses, known: set[int], depth: int) -> None:
        method = _method_of(call, name)
        if method:
            assert isinstance(call.func, s.Attribute)
            known.add(id(call.func.value))
            self._own_method(function, method, call, uses)
            return
        if isinstance(call.func, s.Attribute):
            transaction = place_text(call.func.value)
            if transaction in uses.begun:
                uses.commits = uses.commits or call.func.attr == "commit"
                uses.rolled_back = uses.rolled_back or call.func.attr == "rollback"
        root = name.partition("[")[0].partition(".")[0]
        for argument in (*call.args, *(k.value for k in call.keywords)):
            if place_text(argument) == name:
                known.add(id(argument))
                self._handed(function, name, call, argument, uses, depth)
            elif root != name and isinstance(argument, s.Name) and argument.id == root:
                uses.handed_on = True  # the object that holds it
            elif place_text(argument) in uses.begun:
                uses.lost = True

    def _own_method(self, function: sym.Function, method: str, call: s.Call, uses: _Uses) -> None:
        if method == "commit" or any(k.name == "isolation_level" for k in call.keywords):
            uses.commits = True
        elif method == "rollback":
            uses.rolled_back = True
        elif method in _EXECUTES and call.args:
            verb = self._verb(call.args[0], function)
            text = _sql_text(call.args[0])
            uses.temporary.update(name.lower() for name in _TEMPORARY.findall(text))
            if verb in _WRITES and not uses.temporary & {w.lower() for w in _TARGET.findall(text)}:
                uses.writes.append(CoreWrite(call.loc, function.module.path, verb))
            elif verb == "commit":
                uses.commits = True
        elif method in {"run_sync", "get_raw_connection", "connection"}:
            uses.lost = True

    def _handed(
        self, function: sym.Function, name: str, call: s.Call, argument: s.Expr, uses: _Uses, depth: int
    ) -> None:
        """A call gets the connection: what a function of the project does with it is read there."""
        target = self._infer.expr(call.func, Scope(function.module, function))
        parameter = ""
        if isinstance(target, v.FunctionRef) and depth < _DEPTH and not target.function.facts.is_generator:
            names = (p for p in target.function.parameters if argument_for(target.function, call, p) is argument)
            parameter = next(names, "")
        if not isinstance(target, v.FunctionRef) or not parameter:
            uses.lost = True
            return
        callee = target.function
        inner = self._uses(callee, parameter, callee.facts.body, depth + 1)
        link = Link(function.module.path, call.loc, f"{callee.qualname}()")
        uses.writes.extend(w._replace(chain=(link, *w.chain)) for w in inner.writes)
        uses.commits = uses.commits or inner.commits
        uses.lost = uses.lost or inner.lost

    def _captures(self, function: sym.Function, stmt: s.Define, name: str) -> bool:
        inner = function.module.functions.get(stmt.qualname)
        return inner is None or name in self._infer.free_names(inner)

    # ---- statements ------------------------------------------------------------------------------------------------

    def _verb(self, expr: s.Expr, function: sym.Function) -> str:
        """insert, update, delete, select, commit or other; empty where it cannot be told."""
        value = self._infer.expr(expr, Scope(function.module, function))
        if isinstance(value, v.Statement):
            if value.verb == "other" and _sql_text(expr).lower().startswith("commit"):
                return "commit"
            return value.verb
        if isinstance(expr, s.Constant) and isinstance(expr.value, str):
            return "commit" if expr.value.strip().lower().startswith("commit") else sqlalchemy.sql_verb(expr.value)
        while isinstance(expr, s.Call) and isinstance(expr.func, s.Attribute):
            if expr.func.attr in _WRITES and self._is_table(expr.func.value, function):
                return expr.func.attr
            expr = expr.func.value
        return ""

    def _is_table(self, expr: s.Expr, function: sym.Function) -> bool:
        if sym.last_name(expr) == "__table__":
            return True
        value = self._infer.expr(expr, Scope(function.module, function))
        return isinstance(value, v.ExternalObject) and value.dotted in {"sqlalchemy.Table", "sqlalchemy.schema.Table"}


def _method_of(call: s.Call, name: str) -> str:
    """The method, where the call is one of the named object."""
    if isinstance(call.func, s.Attribute) and place_text(call.func.value) == name:
        return call.func.attr
    return ""


def _sql_text(expr: s.Expr) -> str:
    if isinstance(expr, s.Call) and expr.args:
        expr = expr.args[0]
    return expr.value.strip() if isinstance(expr, s.Constant) and isinstance(expr.value, str) else ""
