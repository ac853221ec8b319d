"""How functions use units of work: entered or not, entered twice, gone around.

Looks at whole functions, not at paths: what is said here holds wherever control goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sessionlint.effects.engine import Engine
from sessionlint.effects.exits import Exits
from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Scope

_ENTRIES = frozenset({"__aenter__", "__enter__"})
_BEFORE = _ENTRIES | {"__init__", "__post_init__", "__new__"}


class Unentered(NamedTuple):
    """A unit that is used at ``loc`` although nothing enters it. ``how`` is use, sync or async (the wrong ``with``)."""

    function: sym.Function
    loc: s.Loc
    cls: sym.Class
    text: str
    how: str


class Reentered(NamedTuple):
    """A unit that is entered at ``loc`` inside the block of ``outer``, which has entered the same object."""

    function: sym.Function
    loc: s.Loc
    outer: s.Loc
    cls: sym.Class
    text: str


class Units:
    """Answers about the units of work of a project."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._infer = engine.infer
        self._exits = Exits(engine)
        self._late: dict[str, bool] = {}

    def opens_late(self, cls: sym.Class) -> bool:
        """A unit that has no session before it is entered."""
        known = self._late.get(cls.key)
        if known is None:
            known = (
                self._engine.is_unit_class(cls)
                and self._infer.classes.session_flavour(cls) is None
                and self._exits.opens(cls)
                and not self._infer.holds(self._infer.construct(cls, (), (), cls.facts.loc))
                and not self._set_before(cls)
            )
            self._late[cls.key] = known
        return known

    def _set_before(self, cls: sym.Class) -> bool:
        """Whether the constructor already gives some attribute a session."""
        return any(
            method.name in {"__init__", "__post_init__"}
            and isinstance(self._infer.expr(expr, Scope(method.module, method)), v.Session)
            for candidate in self._infer.classes.mro(cls)
            for assigned in self._infer.classes.assigned(candidate).values()
            for method, expr, _ in assigned
        )

    # ---- not entered -----------------------------------------------------------------------------------------------

    def unentered(self, function: sym.Function) -> Iterator[Unentered]:
        """Units this function makes and uses without entering them, or enters with the wrong kind of ``with``."""
        for name in function.bindings:
            cls = self._made_here(function, name)
            if cls is not None:
                found = self._used(function, name, cls)
                if found is not None:
                    yield found
        for stmt in function.statements:
            if isinstance(stmt, s.With):
                yield from self._wrong_with(function, stmt)

    def _made_here(self, function: sym.Function, name: str) -> sym.Class | None:
        """The unit class of a local name that is only ever bound to new units of it."""
        found: set[str] = set()
        cls: sym.Class | None = None
        for kind, what in function.bindings[name]:
            if kind != "value" or not isinstance(what, s.Call):
                return None
            value = self._infer.expr(what, Scope(function.module, function))
            if not isinstance(value, v.Instance) or value.root is not None or not self.opens_late(value.cls):
                return None
            if not isinstance(self._infer.expr(what.func, Scope(function.module, function)), v.ClassRef):
                return None  # a factory may have entered it
            cls = value.cls
            found.add(cls.key)
        return cls if len(found) == 1 else None

    def _used(self, function: sym.Function, name: str, cls: sym.Class) -> Unentered | None:
        """The first use that needs the session; None where the unit leaves the function or is entered somehow."""
        if any(name in self._infer.free_names(inner) for inner in _nested(function)):
            return None
        guilty: list[tuple[s.Loc, str]] = []
        for attribute in _uses(function, name):
            if attribute is None or attribute.attr in _ENTRIES or self._opens_by_hand(cls, attribute.attr):
                return None
            if self._needs_session(cls, attribute.attr):
                guilty.append((attribute.loc, f"{name}.{attribute.attr}"))
        if not guilty:
            return None
        loc, text = min(guilty)
        return Unentered(function, loc, cls, text, "use")

    def _opens_by_hand(self, cls: sym.Class, attr: str) -> bool:
        """Whether a method other than the entry gives the object its session."""
        return any(
            method.name == attr and method.name not in _BEFORE
            for candidate in self._infer.classes.mro(cls)
            for assigned in self._infer.classes.assigned(candidate).values()
            for method, expr, _ in assigned
            if isinstance(self._infer.expr(expr, Scope(method.module, method)), (v.Session, v.Unknown))
        )

    def _needs_session(self, cls: sym.Class, attr: str) -> bool:
        value = self._infer.attribute(v.Instance(cls), attr)
        if isinstance(value, v.Session):
            return True
        if isinstance(value, v.Instance):
            return self._infer.classes.holds_session(value.cls)
        if isinstance(value, v.FunctionRef) and not value.function.is_abstract:
            touched = self._engine.result(value.function).summary.touches
            return any(o.kind == "param" and o.name == value.function.receiver for o in touched)
        return False

    def _wrong_with(self, function: sym.Function, stmt: s.With) -> Iterator[Unentered]:
        """``with`` on a unit that only knows ``async with``, or the other way round."""
        wanted, other = ("__aenter__", "__enter__") if stmt.is_async else ("__enter__", "__aenter__")
        for item in stmt.items:
            value = self._infer.expr(item.context, Scope(function.module, function))
            if not isinstance(value, v.Instance) or not self._engine.is_unit_class(value.cls):
                continue
            classes = self._infer.classes
            if classes.method(value.cls, wanted) is None and classes.method(value.cls, other) is not None:
                if not any(not _is_plain(base) for base in classes.outside_bases(value.cls)):
                    text = sym.dotted_text(item.context) or value.cls.name
                    yield Unentered(function, item.context.loc, value.cls, text, "async" if stmt.is_async else "sync")

    # ---- entered twice ---------------------------------------------------------------------------------------------

    def reentered(self, function: sym.Function) -> Iterator[Reentered]:
        """Units entered inside their own block."""
        yield from self._reentered(function, function.facts.body, {})

    def _reentered(
        self, function: sym.Function, body: tuple[s.Stmt, ...], entered: dict[str, s.Loc]
    ) -> Iterator[Reentered]:
        for stmt in body:
            inner = entered
            if isinstance(stmt, s.With):
                inner = dict(entered)
                for item in stmt.items:
                    text = sym.dotted_text(item.context)
                    value = self._infer.expr(item.context, Scope(function.module, function)) if text else v.UNKNOWN
                    if isinstance(value, v.Instance) and self.opens_late(value.cls) and self._forgets(value.cls):
                        if text in inner:
                            yield Reentered(function, item.context.loc, inner[text], value.cls, text)
                        inner[text] = item.context.loc
            for block in _blocks(stmt):
                yield from self._reentered(function, block, inner)

    def _forgets(self, cls: sym.Class) -> bool:
        """Whether entering replaces the session without asking whether there is one."""
        method = self._infer.classes.method(cls, "__aenter__") or self._infer.classes.method(cls, "__enter__")
        return method is not None and not any(
            isinstance(stmt, (s.If, s.Assert, s.Raise, s.Try)) for stmt in method.statements
        )


def _is_plain(dotted: str) -> bool:
    return dotted.rpartition(".")[2] in {"ABC", "Generic", "Protocol", "object"}


def _nested(function: sym.Function) -> Iterator[sym.Function]:
    return (f for f in function.nested.values() if isinstance(f, sym.Function))


def _uses(function: sym.Function, name: str) -> Iterator[s.Attribute | None]:
    """Every use of a local name after its binding: the attribute that is asked of it, or None for anything else."""
    for stmt in function.statements:
        tops = list(sym.statement_expressions(stmt))
        if isinstance(stmt, s.Assign):
            tops = [stmt.value, *(t for t in stmt.targets if not isinstance(t, s.Name))]
        elif isinstance(stmt, s.AnnotatedAssign):
            tops = [stmt.value] if stmt.value is not None else []
        for top in tops:
            held = {id(e.value) for e in sym.walk(top) if isinstance(e, s.Attribute)}
            for expr in sym.walk(top):
                if isinstance(expr, s.Attribute) and isinstance(expr.value, s.Name) and expr.value.id == name:
                    yield expr
                elif isinstance(expr, s.Name) and expr.id == name and id(expr) not in held:
                    yield None


def _blocks(stmt: s.Stmt) -> Iterator[tuple[s.Stmt, ...]]:
    """The blocks directly inside a statement."""
    if isinstance(stmt, (s.If, s.While, s.For)):
        yield stmt.body
        yield stmt.orelse
    elif isinstance(stmt, s.With):
        yield stmt.body
    elif isinstance(stmt, s.Try):
        yield stmt.body
        for handler in stmt.handlers:
            yield handler.body
        yield stmt.orelse
        yield stmt.final
    elif isinstance(stmt, s.Match):
        for case in stmt.cases:
            yield case.body
