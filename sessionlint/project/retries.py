"""Retries: which functions and loops are run again after an exception, and after which.

Facts about tenacity, stamina, backoff and decorators of the project that are called a retry; no verdicts.
Source: the libraries' documentation (tenacity 9, stamina 25, backoff 2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Inference, Scope

_DECORATORS = frozenset({"tenacity.retry", "stamina.retry", "backoff.on_exception", "retrying.retry", "retry.retry"})
_LOOPS = frozenset({"tenacity.AsyncRetrying", "tenacity.Retrying", "stamina.retry_context"})
_OWN_NAME = re.compile(r"(^|_)(retry|retries|retrying|retryable)(_|$)")
#: tenacity conditions that do not name what is retried
_OPAQUE = frozenset({"retry_if_exception", "retry_if_not_exception_type", "retry_if_exception_message",
                     "retry_unless_exception_type", "retry_if_result", "retry_if_not_result"})  # fmt: skip
_EXCEPTION = re.compile(r"(Error|Exception|Failure|Timeout|Conflict|Deadlock)$")
#: exceptions that a database may be behind
_GENERAL = frozenset({"Exception", "BaseException"})
_DRIVERS = frozenset({"asyncpg", "psycopg", "psycopg2", "aiosqlite", "sqlite3", "pymysql", "aiomysql"})
_DRIVER_URL = re.compile(r"^(?:postgresql|postgres|mysql|sqlite|mariadb|mssql|oracle)\+(\w+)")


@dataclass(frozen=True, slots=True)
class Retry:
    """A decorator, a retrying loop or a hand-written one. ``exceptions`` are dotted names; ``opaque`` where a predicate
    decides, so that they are not all. ``span`` is the first and last line of what is run again."""

    loc: s.Loc
    how: str
    exceptions: tuple[str, ...]
    opaque: bool
    span: tuple[int, int]

    @property
    def everything(self) -> bool:
        """Whether any exception is retried."""
        return not self.opaque and (not self.exceptions or any(n.rpartition(".")[2] in _GENERAL for n in self.names))

    @property
    def names(self) -> tuple[str, ...]:
        return self.exceptions

    @property
    def database(self) -> bool:
        """Whether a failure of the database is among what is retried."""
        heads = {n.partition(".")[0] for n in self.exceptions}
        return self.everything or bool(heads & (_DRIVERS | {"sqlalchemy"}))


class Retries:
    """Answers for one project."""

    def __init__(self, infer: Inference) -> None:
        self._infer = infer

    def decorating(self, function: sym.Function) -> Retry | None:
        """The retry that a function is decorated with."""
        scope = Scope(function.module, function.parent)
        for decorator in function.facts.decorators:
            call = decorator if isinstance(decorator, s.Call) else None
            target = self._infer.expr(call.func if call else decorator, scope)
            name = sym.last_name(decorator) or ""
            known = isinstance(target, v.External) and target.dotted in _DECORATORS
            own = isinstance(target, v.FunctionRef) and _OWN_NAME.search(name)
            if known or own:
                exceptions, opaque = self._filter(call, scope)
                if own and call is not None and not exceptions and (call.args or call.keywords):
                    opaque = opaque or any(not isinstance(a, s.Constant) for a in call.args)
                span = (function.facts.loc.line, function.facts.end_line)
                return Retry(decorator.loc, f"@{name}", exceptions, opaque, span)
        return None

    def loops(self, function: sym.Function) -> Iterator[Retry]:
        """Loops over a retrying object, and loops written by hand: a ``try`` whose handler goes on to the next turn."""
        scope = Scope(function.module, function)
        for stmt in function.statements:
            if not isinstance(stmt, (s.For, s.While)):
                continue
            last = max((x.loc.end_line for x in sym.statements(stmt.body)), default=stmt.loc.end_line)
            if isinstance(stmt, s.For) and isinstance(stmt.iterable, s.Call):
                target = self._infer.expr(stmt.iterable.func, scope)
                if isinstance(target, v.External) and target.dotted in _LOOPS:
                    exceptions, opaque = self._filter(stmt.iterable, scope)
                    name = f"{sym.last_name(stmt.iterable.func)}()"
                    yield Retry(stmt.iterable.loc, name, exceptions, opaque, (stmt.loc.line, last))
                    continue
            for inner in stmt.body:
                if isinstance(inner, s.Try):
                    yield from self._by_hand(inner, last, scope)

    def _by_hand(self, attempt: s.Try, last: int, scope: Scope) -> Iterator[Retry]:
        named: list[str] = []
        first: s.Handler | None = None
        for handler in attempt.handlers:
            names = self._exceptions(handler.types, scope) if handler.types is not None else ["builtins.BaseException"]
            named.extend(names)
            if first is None and _goes_on(handler.body):
                first = handler
        if first is not None:
            yield Retry(first.loc, "the loop", tuple(dict.fromkeys(named)), False, (attempt.loc.line, last))

    def _filter(self, call: s.Call | None, scope: Scope) -> tuple[tuple[str, ...], bool]:
        """(exceptions a retry names, whether something else decides)."""
        if call is None:
            return (), False
        found: list[str] = []
        opaque = False
        for argument in (*call.args, *(k.value for k in call.keywords if k.name not in {"stop", "wait", "before"})):
            for expr in sym.walk(argument):
                if isinstance(expr, s.Call) and sym.last_name(expr.func) in _OPAQUE:
                    opaque = True
            found.extend(self._exceptions(argument, scope))
        for keyword in call.keywords:
            if keyword.name in {"retry", "on", "giveup", "predicate"} and not self._exceptions(keyword.value, scope):
                opaque = True
        return tuple(dict.fromkeys(found)), opaque

    def _exceptions(self, expr: s.Expr | None, scope: Scope) -> list[str]:
        """Dotted names of the exception classes an expression mentions, names of tuples followed."""
        found: list[str] = []
        for part in sym.walk(expr) if expr is not None else ():
            if not isinstance(part, (s.Name, s.Attribute)):
                continue
            value = self._infer.expr(part, scope)
            options = value.items if isinstance(value, v.Tuple) else (value,)
            for option in options:
                if isinstance(option, v.External) and _EXCEPTION.search(option.dotted):
                    found.append(option.dotted)
                elif isinstance(option, v.ClassRef) and _EXCEPTION.search(option.cls.name):
                    found.append(option.cls.name)
        return found

    def drivers(self) -> frozenset[str]:
        """Names of the drivers in the project's database URLs: ``asyncpg``, ``psycopg`` ..."""
        found: set[str] = set()
        for module in self._infer.table.modules.values():
            if module.is_test:
                continue
            found.update({b.module.partition(".")[0] for b in module.facts.imports} & {"asyncpg"})
            bodies = [module.facts.body, *(f.facts.body for f in module.functions.values())]
            expressions = [e for b in bodies for stmt in sym.statements(b) for e in sym.statement_expressions(stmt)]
            expressions += [a.value for c in module.classes.values() for a in c.facts.attributes if a.value is not None]
            for top in expressions:
                for expr in sym.walk(top):
                    if isinstance(expr, s.Constant) and isinstance(expr.value, str):
                        match = _DRIVER_URL.match(expr.value)
                        if match:
                            found.add(match[1])
        return frozenset(found)


def _goes_on(body: tuple[s.Stmt, ...]) -> bool:
    """Whether a handler leads to the next turn of the loop: it does not always leave."""
    if any(isinstance(x, s.Leave) and x.kind == "continue" for x in sym.statements(body)):
        return True
    last = body[-1] if body else None
    return not isinstance(last, (s.Raise, s.Return)) and not (isinstance(last, s.Leave) and last.kind == "break")
