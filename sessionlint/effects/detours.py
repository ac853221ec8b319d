"""Ways around the one who should end a transaction: commits past a unit of work, second paths, replaced methods.

Looks at whole functions and modules, not at paths.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sessionlint.effects.engine import Engine
from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.frameworks import sqlalchemy
from sessionlint.project.infer import Scope

#: methods whose replacement changes what the session does to the database
_PATCHABLE = frozenset({"commit", "rollback", "flush", "close", "begin", "begin_nested", "execute", "add", "delete"})


class Bypass(NamedTuple):
    """``unit.session.commit()`` outside of a unit that has a ``commit`` of its own; ``more``: which does more."""

    loc: s.Loc
    text: str
    cls: sym.Class
    more: bool


class Fallback(NamedTuple):
    """A commit of a session where an optional unit of work is missing; ``unit`` is where the other branch commits."""

    loc: s.Loc
    text: str
    unit: s.Loc
    unit_text: str


class Patch(NamedTuple):
    """A session's (or session class's) method is replaced."""

    loc: s.Loc
    text: str


class Detours:
    """Answers for one project."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._infer = engine.infer

    # ---- past the unit ---------------------------------------------------------------------------------------------

    def bypasses(self, function: sym.Function) -> Iterator[Bypass]:
        """Commits of a unit's session by somebody else than the unit."""
        scope = Scope(function.module, function)
        for call in function.calls:
            if not isinstance(call.func, s.Attribute) or call.func.attr != "commit":
                continue
            if not isinstance(self._infer.expr(call.func.value, scope), v.Session):
                continue
            holder = self._holder(function, call.func.value)
            unit = self._infer.expr(holder, scope) if holder is not None else v.UNKNOWN
            if not isinstance(unit, v.Instance) or self._inside(function, unit.cls):
                continue
            method = self._infer.classes.method(unit.cls, "commit")
            if method is not None and not method.is_abstract and self._engine.is_unit_class(unit.cls):
                text = f"{sym.dotted_text(call.func.value)}.commit()"
                yield Bypass(call.loc, text, unit.cls, _does_more(method))

    def _holder(self, function: sym.Function, session: s.Expr) -> s.Expr | None:
        """``unit`` of ``unit.session``, also where that was given a name."""
        if isinstance(session, s.Attribute):
            return session.value
        if isinstance(session, s.Name):
            bound = [what for kind, what in function.bindings.get(session.id, ()) if kind == "value"]
            if len(bound) == 1 and isinstance(bound[0], s.Attribute):
                return bound[0].value
        return None

    def _inside(self, function: sym.Function, cls: sym.Class) -> bool:
        """Whether the function belongs to the unit's own class, above or below."""
        current: sym.Function | None = function
        while current is not None and current.owner is None:
            current = current.parent
        if current is None or current.owner is None:
            return False
        classes = self._infer.classes
        return current.owner in classes.mro(cls) or cls in classes.mro(current.owner)

    # ---- second path -----------------------------------------------------------------------------------------------

    def fallbacks(self, function: sym.Function) -> Iterator[Fallback]:
        """``if uow: await uow.commit()`` with an ``else`` that commits a session instead."""
        for stmt in function.statements:
            if isinstance(stmt, s.If) and stmt.orelse:
                asked = _tested(stmt.test)
                if asked and self._is_unit(function, asked[0]):
                    given, missing = (stmt.body, stmt.orelse) if asked[1] else (stmt.orelse, stmt.body)
                    yield from self._two_ways(function, sym.dotted_text(asked[0]), given, missing)

    def _is_unit(self, function: sym.Function, expr: s.Expr) -> bool:
        """Whether it is a unit of work: entered as a context, or at least ending its session's transaction."""
        value = self._infer.expr(expr, Scope(function.module, function))
        return any(isinstance(o, v.Instance) and self._ends_transactions(o.cls) for o in v.options_of(value))

    def _ends_transactions(self, cls: sym.Class) -> bool:
        if self._engine.is_unit_class(cls):
            return True
        return self._infer.classes.method(cls, "commit") is not None and self._infer.classes.holds_session(cls)

    def _two_ways(
        self, function: sym.Function, unit: str, given: tuple[s.Stmt, ...], missing: tuple[s.Stmt, ...]
    ) -> Iterator[Fallback]:
        ours = [c for c in sym.calls(given) if _is_commit(c) and sym.dotted_text(c.func).startswith(f"{unit}.")]
        scope = Scope(function.module, function)
        for call in sym.calls(missing):
            if ours and _is_commit(call) and isinstance(call.func, s.Attribute):
                if isinstance(self._infer.expr(call.func.value, scope), (v.Session, v.Unknown)):
                    text = f"{sym.dotted_text(call.func)}()"
                    yield Fallback(call.loc, text, ours[0].loc, f"{sym.dotted_text(ours[0].func)}()")
                    return

    # ---- replaced methods ------------------------------------------------------------------------------------------

    def patches(self, module: sym.Module) -> Iterator[tuple[sym.Function | None, Patch]]:
        """Methods of sessions or session classes that a module replaces."""
        for function in (None, *module.functions.values()):
            body = module.facts.body if function is None else function.facts.body
            scope = Scope(module, function)
            for stmt in sym.statements(body):
                for holder, attr, value in _replacements(stmt):
                    if attr in _PATCHABLE and self._is_session(holder, scope) and not self._is_restored(value, scope):
                        yield function, Patch(stmt.loc, f"{sym.dotted_text(holder)}.{attr}")

    def _is_session(self, holder: s.Expr, scope: Scope) -> bool:
        value = self._infer.expr(holder, scope)
        if isinstance(value, v.Session):
            return True
        if isinstance(value, v.External):
            return sqlalchemy.is_session(value.dotted) is not None
        return isinstance(value, v.ClassRef) and self._infer.classes.session_flavour(value.cls) is not None

    def _is_restored(self, value: s.Expr, scope: Scope) -> bool:
        """The original put back, or a test double."""
        found = self._infer.expr(value, scope)
        if isinstance(found, v.Method):
            return True
        return isinstance(found, (v.External, v.ExternalObject)) and "mock" in found.dotted.lower()


def _replacements(stmt: s.Stmt) -> Iterator[tuple[s.Expr, str, s.Expr]]:
    """(holder, attribute, new value) of ``holder.attr = value`` and ``setattr(holder, "attr", value)``."""
    if isinstance(stmt, s.Assign):
        for target in stmt.targets:
            if isinstance(target, s.Attribute):
                yield target.value, target.attr, stmt.value
    elif isinstance(stmt, s.Expression) and isinstance(stmt.value, s.Call):
        call = stmt.value
        if isinstance(call.func, s.Name) and call.func.id == "setattr" and len(call.args) == 3:
            name = call.args[1]
            if isinstance(name, s.Constant) and isinstance(name.value, str):
                yield call.args[0], name.value, call.args[2]


def _does_more(commit: sym.Function) -> bool:
    """Whether a unit's ``commit`` is more than the session's: it counts, publishes, checks."""
    calls = [c for c in commit.calls if sym.last_name(c.func) not in {"commit", "super"}]
    stores = [x for x in commit.statements if isinstance(x, (s.Assign, s.AugmentedAssign))]
    return bool(calls or stores) and any(sym.last_name(c.func) == "commit" for c in commit.calls)


def _tested(test: s.Expr) -> tuple[s.Expr, bool] | None:
    """(what is asked whether it is there, the branch that holds where it is)."""
    if isinstance(test, (s.Name, s.Attribute)):
        return test, True
    if isinstance(test, s.Not):
        inner = _tested(test.value)
        return (inner[0], not inner[1]) if inner else None
    if isinstance(test, s.Compare) and len(test.ops) == 1 and isinstance(test.rights[0], s.Constant):
        if test.rights[0].value is None and test.ops[0] in {"is", "is not"}:
            return test.left, test.ops[0] == "is not"
    return None


def _is_commit(call: s.Call) -> bool:
    return isinstance(call.func, s.Attribute) and call.func.attr == "commit"
