"""What can be told from the text of a query: its words, the columns it compares, whether it locks or reads afresh.

Also the spans of a function that hold a lock, and the exceptions it copes with. Syntax only; no path is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym

#: what a query says to be sure of current values, or of being alone
LOCKING = frozenset({"with_for_update", "populate_existing"})
EAGER = frozenset({"options", "selectinload", "joinedload", "subqueryload", "contains_eager", "immediateload"})
_LOCK_WORDS = ("lock", "mutex", "semaphore")
_INTEGRITY = frozenset(
    {"IntegrityError", "UniqueViolation", "UniqueViolationError", "DBAPIError", "SQLAlchemyError", "Exception",
     "BaseException", "DatabaseError"}
)  # fmt: skip


class Lookups:
    """The queries of one function, as written."""

    def __init__(self, function: sym.Function) -> None:
        self._function = function

    def parts(self, expr: s.Expr) -> list[s.Expr]:
        """Every sub-expression of a query, statements held in local names included."""
        found: list[s.Expr] = []
        waiting, seen = [expr], set[str]()
        while waiting:
            for part in sym.walk(waiting.pop()):
                found.append(part)
                if isinstance(part, s.Name) and part.id not in seen:
                    seen.add(part.id)
                    for kind, what in self._function.bindings.get(part.id, ()):
                        if kind == "value" and _is_query(what):
                            waiting.append(what)  # type: ignore[arg-type]
        return found

    def words(self, expr: s.Expr) -> frozenset[str]:
        """Names of the methods and keywords a query uses."""
        found: set[str] = set()
        for part in self.parts(expr):
            if isinstance(part, s.Attribute):
                found.add(part.attr)
            elif isinstance(part, s.Call):
                found.update(k.name for k in part.keywords if k.name)
                found.add(sym.last_name(part.func) or "")
            elif isinstance(part, s.Collection):
                found.update(str(k.value) for k in part.keys if isinstance(k, s.Constant))
        return frozenset(found)

    def compared(self, expr: s.Expr) -> tuple[str, ...]:
        """Columns that a look-up compares for equality; empty where it does anything else."""
        columns: list[str] = []
        for part in self.parts(expr):
            if isinstance(part, s.Compare):
                if part.ops != ("==",) or not isinstance(part.left, s.Attribute):
                    return ()
                columns.append(part.left.attr)
            elif isinstance(part, s.Call) and sym.last_name(part.func) == "filter_by":
                columns.extend(k.name for k in part.keywords if k.name)
            elif (
                isinstance(part, s.Call) and isinstance(part.func, s.Attribute) and part.func.attr in {"get", "get_one"}
            ):
                if len(part.args) > 1:
                    columns.append("*")  # by primary key
            elif isinstance(part, (s.Not,)) or (
                isinstance(part, s.Call) and sym.last_name(part.func) in {"or_", "any_"}
            ):
                return ()
        return tuple(sorted(set(columns)))

    def names(self, expr: s.Expr) -> frozenset[str]:
        """Local names and parameters a query is made with."""
        local = self._function.parameters.keys() | self._function.bindings.keys()
        return frozenset(
            p.id for p in self.parts(expr) if isinstance(p, s.Name) and p.id in local and not self._holds_query(p.id)
        )

    def _holds_query(self, name: str) -> bool:
        return any(kind == "value" and _is_query(what) for kind, what in self._function.bindings.get(name, ()))

    # ---- guards ----------------------------------------------------------------------------------------------------

    @cached_property
    def lock_spans(self) -> tuple[s.Loc, ...]:
        """The blocks of this function that hold a lock."""
        return tuple(
            stmt.loc._replace(end_line=max(inner.loc.end_line for inner in sym.statements(stmt.body)))
            for stmt in self._function.statements
            if isinstance(stmt, s.With) and stmt.body and any(_is_lock(item.context) for item in stmt.items)
        )

    def lock_around(self, loc: s.Loc) -> s.Loc | None:
        """The innermost block with a lock around a place."""
        around = [span for span in self.lock_spans if span.line <= loc.line <= span.end_line]
        return around[-1] if around else None

    @cached_property
    def takes_lock(self) -> bool:
        """Whether the function takes a lock some other way: ``lock.acquire()``, ``pg_advisory_lock``."""
        for expr in _expressions(self._function):
            if isinstance(expr, s.Constant) and isinstance(expr.value, str) and "advisory" in expr.value:
                return True
            if isinstance(expr, s.Call):
                name = sym.last_name(expr.func) or ""
                if "advisory" in name or (name == "acquire" and _is_lock(expr.func)):
                    return True
        return False

    @cached_property
    def copes_with_conflict(self) -> bool:
        """Whether the function catches the error of a concurrent insert."""
        for stmt in self._function.statements:
            if isinstance(stmt, s.Try):
                for handler in stmt.handlers:
                    if handler.types is None:
                        return True
                    if {sym.last_name(p) for p in sym.walk(handler.types)} & _INTEGRITY:
                        return True
            if isinstance(stmt, s.With) and any(sym.last_name(i.context) == "suppress" for i in stmt.items):
                return True
        return False

    def flagged(self, attribute: str) -> bool:
        """Whether the function tells SQLAlchemy that an attribute's value was changed in place."""
        for expr in _expressions(self._function):
            if isinstance(expr, s.Call) and sym.last_name(expr.func) in {"flag_modified", "flag_dirty"}:
                named = expr.args[1] if len(expr.args) > 1 else None
                if not isinstance(named, s.Constant) or named.value == attribute:
                    return True
        return False

    def set_after(self, attribute: str, loc: s.Loc) -> bool:
        """Whether an attribute is set to another object below a place."""
        for stmt in self._function.statements:
            if isinstance(stmt, s.Assign) and stmt.loc.line > loc.line:
                for target in stmt.targets:
                    if isinstance(target, s.Attribute) and target.attr == attribute:
                        if not self._same_value(stmt.value, attribute):
                            return True
        return False

    def _same_value(self, value: s.Expr, attribute: str) -> bool:
        """Whether an expression is the attribute's own value again."""
        if isinstance(value, s.Attribute):
            return value.attr == attribute
        if isinstance(value, s.Name):
            bound = [w for k, w in self._function.bindings.get(value.id, ()) if k == "value"]
            return bool(bound) and all(isinstance(w, s.Attribute) and w.attr == attribute for w in bound)
        return False


def _is_query(what: object) -> bool:
    if isinstance(what, s.Await):
        return _is_query(what.value)
    if not isinstance(what, s.Call):
        return False
    words = {sym.last_name(p) for p in sym.walk(what) if isinstance(p, (s.Name, s.Attribute))}
    return bool(words & {"select", "query", "text", "where", "filter", "filter_by", "execute", "scalars", "update"})


def _is_lock(expr: s.Expr) -> bool:
    text = " ".join(
        n for p in sym.walk(expr) if isinstance(p, (s.Name, s.Attribute)) and (n := sym.last_name(p)) is not None
    )
    return any(word in text.lower() for word in _LOCK_WORDS)


def _expressions(function: sym.Function) -> Iterator[s.Expr]:

    for stmt in function.statements:
        for top in sym.statement_expressions(stmt):
            yield from sym.walk(top)
