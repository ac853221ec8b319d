"""Follows mapped objects along one function: what they are given, when they are written, expired, detached.

Hooks of the interpreter end here. Everything seen becomes a typed observation; verdicts, and all knowledge of columns,
keys and relationships, are the rules'. What cannot be followed is dropped.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sessionlint.effects import object_observations as seen
from sessionlint.effects.lookups import EAGER, LOCKING, Lookups
from sessionlint.effects.objects import OPAQUE, Held, Pending, Term
from sessionlint.effects.state import MAX_WRITES, State, Transaction
from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.arguments import argument_for

if TYPE_CHECKING:
    from sessionlint.effects.interpreter import Frame
    from sessionlint.effects.state import Link

#: observations of objects kept per function; more than any rule reports
MAX_NOTED = 400
#: calls that give the same value in another type
_CONVERSIONS = frozenset({"str", "int", "UUID"})
#: methods that change a list or dict in place
_MUTATORS = frozenset(
    {"append", "extend", "insert", "remove", "pop", "popitem", "update", "setdefault", "clear", "add", "discard",
     "sort"}
)  # fmt: skip
#: calls that turn an object and all its attributes into something else
_SERIALISERS = frozenset({"model_validate", "from_orm", "from_attributes", "jsonable_encoder", "model_dump", "to_dict"})
#: methods after which, on whatever they are called, nothing is known of any object
_SESSION_METHODS = frozenset({"flush", "commit", "rollback", "refresh", "close", "execute", "save", "merge"})
#: session methods that take an object without setting its attributes
_TAKERS = frozenset({"add", "add_all", "delete", "merge", "flush", "refresh", "expunge", "expire", "append", "commit"})


class Tracking:
    """Keeps the book of mapped objects for one frame."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self.lookups = Lookups(frame.function)
        self._noted: set[seen.ObjectObservation] = set()

    def _note(self, observation: seen.ObjectObservation) -> None:
        if observation not in self._noted and len(self._noted) < MAX_NOTED:
            self._noted.add(observation)
            self._frame.result.observations.append(observation)

    # ---- terms -----------------------------------------------------------------------------------------------------

    def term(self, expr: s.Expr, state: State) -> Term:
        """What an expression stands for, comparable with what other expressions stand for."""
        if isinstance(expr, s.Await):
            return self.term(expr.value, state)
        if isinstance(expr, s.Constant):
            return ("literal", repr(expr.value))
        if isinstance(expr, s.Name):
            known = state.book.terms.get(expr.id)
            if known is not None:
                return known
            loc = state.book.names.get(expr.id)
            if loc is not None:
                return self._identity(loc)
            return ("param", expr.id) if expr.id in self._frame.function.parameters else OPAQUE
        if isinstance(expr, s.Attribute):
            held_at = state.book.names.get(sym.dotted_text(expr.value))
            held = state.book.held.get(held_at) if held_at is not None else None
            if held is not None and held_at is not None:
                given = next((t for n, t in held.given if n == expr.attr), None)
                return given if given is not None else (*self._identity(held_at), expr.attr)
            base = self.term(expr.value, state)
            return (*base, expr.attr) if base != OPAQUE else OPAQUE
        if isinstance(expr, s.Subscript) and isinstance(expr.index, s.Constant):
            base = self.term(expr.value, state)
            return (*base, f"[{expr.index.value!r}]") if base != OPAQUE else OPAQUE
        if isinstance(expr, s.Call) and len(expr.args) == 1 and not expr.keywords:
            if isinstance(expr.func, s.Name) and expr.func.id in _CONVERSIONS and not isinstance(expr.args[0], s.Call):
                return self.term(expr.args[0], state)
        if isinstance(expr, (s.Call, s.Other)):
            return ("made", self._frame.function.module.path, expr.loc.line, expr.loc.column)
        return OPAQUE

    def _identity(self, loc: s.Loc) -> Term:
        return ("object", self._frame.function.module.path, loc.line, loc.column)

    # ---- names -----------------------------------------------------------------------------------------------------

    def bound(self, name: str, expr: s.Expr, found: v.Value, state: State) -> None:
        """A local name (or an attribute, as written) is bound to the value of an expression."""
        book = state.book
        inner = expr.value if isinstance(expr, s.Await) else expr
        alias = book.names.get(sym.dotted_text(inner)) if isinstance(inner, (s.Name, s.Attribute)) else None
        term = self.term(inner.options[0] if isinstance(inner, s.Choice) and inner.kind == "or" else inner, state)
        book.forget(name)
        if alias is not None:
            book.names[name] = alias
        elif isinstance(inner, s.Call) and inner.loc in book.held:
            book.names[name] = inner.loc
        elif isinstance(found, v.Entity) and found.model is not None and isinstance(inner, s.Call):
            self._loaded(name, expr, inner, found, state)
        elif term != OPAQUE:
            book.terms[name] = term

    def _loaded(self, name: str, expr: s.Expr, call: s.Call, found: v.Entity, state: State) -> None:
        """An object came out of a query or a project function."""
        assert found.model is not None
        if found.origin is None:
            held = Held(found.model, "returned", call.loc, partly=True)
        else:
            words = self.lookups.words(expr)
            direct = any(isinstance(p, s.Call) and self._on_session(p, state) for p in sym.walk(expr))
            session = self._frame.key(found.origin)
            held = Held(
                found.model,
                "loaded" if direct else "returned",
                call.loc,
                session,
                is_async=any(isinstance(p, s.Await) for p in sym.walk(expr)),
                written=True,
                partly=True,
                locked=bool(words & LOCKING),
                eager=bool(words & EAGER),
                by=self.lookups.compared(expr) if direct else (),
                stale=self._read_before(expr, found.model, session, words, state) if direct else None,
            )
        state.book.put(call.loc, held)
        state.book.names[name] = call.loc

    def _on_session(self, call: s.Call, state: State) -> bool:
        return isinstance(call.func, s.Attribute) and isinstance(
            self._frame.value(call.func.value, state), (v.Session, v.Rows)
        )

    def _read_before(
        self, expr: s.Expr, model: sym.Class, session: v.Origin, words: frozenset[str], state: State
    ) -> s.Loc | None:
        """Where, outside the lock this read stands in, the same row was read before through the same session."""
        span = self.lookups.lock_around(expr.loc)
        if "populate_existing" in words or (span is None and "with_for_update" not in words):
            return None
        names = self._values(expr, state)
        for loc, held in state.book.held.items():
            if held.made == "loaded" and held.model is model and held.session == session and not held.expired:
                outside = span is None or loc.line < span.line
                if (
                    outside
                    and loc != expr.loc
                    and not held.locked
                    and held.by
                    and self._by_key(model, held.by) == self._by_key(model, self.lookups.compared(expr))
                ):
                    first = next((n for n, known in state.book.names.items() if known == loc), None)
                    before = self._values(self._source(first), state) if first is not None else names
                    if (before & names) or not (before or names):
                        return loc
        return None

    def _by_key(self, model: sym.Class, columns: tuple[str, ...]) -> tuple[str, ...]:
        """The columns of a look-up, where ``get()`` is the one that compares the primary key."""
        keys = self._frame.infer.classes.key_attributes(model)
        return ("*",) if columns and columns == keys else columns

    def _values(self, expr: s.Expr, state: State) -> frozenset[str]:
        """Local names that choose the rows of a query."""
        return frozenset(
            n
            for n in self.lookups.names(expr)
            if n != self._frame.function.receiver
            and not isinstance(self._frame.value(s.Name(n, expr.loc), state), (v.Session, v.Entity, v.ClassRef))
        )

    def _source(self, name: str) -> s.Expr:
        """The first expression a local name is bound to."""
        for kind, what in self._frame.function.bindings.get(name, ()):
            if kind == "value":
                return what  # type: ignore[return-value]
        return s.Constant(None, s.Loc(0, 0, 0, 0))

    def item(self, stmt: s.For, state: State) -> None:
        """A loop variable takes the next object."""
        names = [stmt.target] if isinstance(stmt.target, s.Name) else []
        for target in names:
            state.book.forget(target.id)
            found = state.env.get(target.id)
            if isinstance(found, v.Entity) and found.model is not None and self._of_session(found.origin):
                assert found.origin is not None
                held = Held(
                    found.model, "loaded", target.loc, self._frame.key(found.origin),
                    is_async=self._frame.function.facts.is_async, written=True, partly=True,
                    locked=bool(self.lookups.words(stmt.iterable) & LOCKING), eager=True,
                )  # fmt: skip
                state.book.put(target.loc, held)
                state.book.names[target.id] = target.loc
            elif self._frame.function.bindings.get(target.id):
                state.book.terms[target.id] = ("each", self._frame.function.module.path, target.loc.line, target.id)

    def _of_session(self, origin: v.Origin | None) -> bool:
        """Whether an origin leads to a session, and not merely to a parameter that holds objects."""
        if origin is None or origin.kind != "param" or origin.path:
            return origin is not None
        parameter = self._frame.function.parameters.get(origin.name)
        value = self._frame.infer.parameter(self._frame.function, origin.name) if parameter is not None else v.UNKNOWN
        return bool(self._frame.infer.holds(value))

    def _held(self, expr: s.Expr, state: State) -> tuple[s.Loc, Held] | None:
        """The object an expression names, parameters included."""
        name = sym.dotted_text(expr)
        if not name:
            return None
        loc = state.book.names.get(name)
        if loc is not None:
            held = state.book.held.get(loc)
            return (loc, held) if held is not None else None
        if isinstance(expr, s.Name) and expr.id in self._frame.function.parameters:
            value = state.env.get(expr.id) or self._frame.value(expr, state)
            if isinstance(value, v.Entity) and value.model is not None:
                loc = self._frame.function.parameters[expr.id].loc
                origin = value.origin or v.Origin("param", expr.id)
                held = Held(
                    value.model,
                    "given",
                    loc,
                    self._frame.key(origin),
                    self._frame.function.facts.is_async,
                    written=True,
                    partly=True,
                )
                state.book.put(loc, held)
                state.book.names[name] = loc
                return loc, held
        return None

    # ---- construction and attributes -------------------------------------------------------------------------------

    def constructed(self, call: s.Call, cls: sym.Class, state: State) -> None:
        """A mapped class is called."""
        partly = bool(call.args) or any(k.name is None for k in call.keywords)
        given: list[tuple[str, Term]] = []
        for keyword in call.keywords:
            if keyword.name is not None:
                given.append((keyword.name, self.term(keyword.value, state)))
                self.used(keyword.value, "given", cls, keyword.name, state)
        state.book.put(
            call.loc, Held(cls, "new", call.loc, given=tuple(given), partly=partly, missed=self._looked_up(cls, state))
        )

    def used(self, expr: s.Expr, how: str, model: sym.Class | None, attribute: str, state: State) -> None:
        """The value of an expression goes somewhere: if it is an attribute of an unwritten object, that is told."""
        inner = expr
        if (
            isinstance(inner, s.Call)
            and isinstance(inner.func, s.Name)
            and inner.func.id in _CONVERSIONS
            and inner.args
        ):
            inner = inner.args[0]
        if not isinstance(inner, s.Attribute):
            return
        found = self._held(inner.value, state)
        if found is None:
            return
        held = found[1]
        if held.made == "new" and not held.written and not held.partly:
            if not any(n == inner.attr for n, _ in held.given):
                self._note(seen.UnwrittenRead(inner.loc, held, inner.attr, how, model, attribute))

    def read(self, expr: s.Attribute, state: State) -> None:
        """An attribute is read."""
        found = self._held(expr.value, state)
        if found is None:
            return
        held = found[1]
        unloaded = held.is_async and held.made == "loaded" and not held.eager
        if held.expired or held.updated or held.detached or unloaded:
            self._note(seen.EntityRead(expr.loc, expr.attr, held))

    def set_attribute(self, target: s.Expr, expr: s.Expr | None, state: State, loc: s.Loc) -> None:
        """An attribute of an object is set; ``expr`` is None for ``+=`` and the like."""
        if isinstance(target, s.Subscript):
            self._mutated(target.value, state, loc)
            return
        if not isinstance(target, s.Attribute):
            return
        state.book.forget(sym.dotted_text(target))
        found = self._held(target.value, state)
        if found is None:
            return
        at, held = found
        grown = expr is None or (isinstance(expr, s.Other) and _mentions(expr, target))
        guarded = self.lookups.lock_around(loc) is not None or self.lookups.takes_lock
        elsewhere = held.detached is not None and self._another_session(state)
        self._note(seen.EntitySet(loc, target.attr, held, grown, guarded, elsewhere))
        term = self.term(expr, state) if expr is not None else OPAQUE
        if expr is not None:
            self.used(expr, "set", held.model, target.attr, state)
        changed = loc if held.made != "new" or held.written else held.changed
        state.book.put(at, replace(held.with_given(target.attr, term), changed=changed))

    def _another_session(self, state: State) -> bool:
        """Whether a session is open that this function opened itself."""
        return any(
            o.active and not state.sessions[k].closed for k, o in self._frame.owned.items() if k in state.sessions
        )

    def _mutated(self, place: s.Expr, state: State, loc: s.Loc) -> None:
        """What an expression holds is changed in place: ``row.data["k"] = 1``, ``row.tags.append(x)``."""
        while isinstance(place, s.Subscript):
            place = place.value
        holder, attribute = self._attribute_place(place, state)
        if holder is None or not holder.written or any(n == attribute for n, _ in holder.given):
            return
        if self.lookups.flagged(attribute) or self.lookups.set_after(attribute, loc):
            return
        text = sym.dotted_text(place) or attribute
        self._note(seen.MutatedInPlace(loc, attribute, holder, text))

    def _attribute_place(self, place: s.Expr, state: State) -> tuple[Held | None, str]:
        """(object, attribute) of an attribute, or of a name that holds an attribute's value."""
        if isinstance(place, s.Attribute):
            found = self._held(place.value, state)
            return (found[1], place.attr) if found is not None else (None, "")
        if isinstance(place, s.Name):
            term = state.book.terms.get(place.id, OPAQUE)
            if term[0] == "object" and len(term) == 5:
                for loc, held in state.book.held.items():
                    if (loc.line, loc.column) == term[2:4]:
                        return held, str(term[4])
        return None, ""

    def deleted(self, target: s.Expr, state: State, loc: s.Loc) -> None:
        """``del row.data["k"]``."""
        if isinstance(target, s.Subscript):
            self._mutated(target.value, state, loc)

    # ---- calls -----------------------------------------------------------------------------------------------------

    def called(self, call: s.Call, state: State) -> None:
        """Any call, before it is applied."""
        func = call.func
        if isinstance(func, s.Attribute) and func.attr in _MUTATORS and not isinstance(func.value, s.Call):
            self._mutated(func.value, state, call.loc)
        if sym.last_name(func) in _SERIALISERS:
            for argument in call.args:
                self._passed(argument, state, call.loc)

    def passed_on(self, function: sym.Function, call: s.Call, states: list[State]) -> None:
        """Objects handed to a project function: it may have set their attributes."""
        for parameter in function.facts.parameters:
            argument = argument_for(function, call, parameter.name)
            if argument is None:
                continue
            for state in states:
                self.used(argument, "argument", None, parameter.name, state)
            if not _leaves_alone(function, parameter.name):
                for state in states:
                    self._touched(argument, state)

    def outside(self, call: s.Call, state: State) -> None:
        """Objects handed to something that cannot be followed; it may be a session nobody recognised."""
        if sym.last_name(call.func) in _SESSION_METHODS:
            state.book.held.clear()
        given = (*call.args, *(k.value for k in call.keywords))
        if isinstance(call.func, s.Attribute):
            if any(self._frame.infer.holds(self._frame.value(argument, state)) for argument in given):
                self._touched(call.func.value, state)  # an object that is given a session may save itself
        for argument in given:
            self._touched(argument, state)

    def _touched(self, argument: s.Expr, state: State) -> None:
        loc = argument.loc if isinstance(argument, s.Call) else state.book.names.get(sym.dotted_text(argument))
        held = state.book.held.get(loc) if loc is not None else None
        if loc is not None and held is not None:
            state.book.put(loc, replace(held, partly=True, expired=None, updated=None, stale=None))

    def returned(self, expr: s.Expr, state: State, loc: s.Loc) -> None:
        """A value is returned."""
        self.used(expr, "return", None, "", state)
        self._passed(expr, state, loc)

    def _passed(self, expr: s.Expr, state: State, loc: s.Loc) -> None:
        if isinstance(expr, s.Name):
            found = self._held(expr, state)
            if found is not None and (found[1].updated or found[1].expired):
                self._note(seen.EntityPassed(loc, found[1]))

    # ---- sessions --------------------------------------------------------------------------------------------------

    def session_call(self, name: str, origin: v.Origin, call: s.Call, state: State) -> None:
        """A method of a session that takes an object, before its effect."""
        argument = call.args[0] if call.args else None
        if name == "expunge_all":
            self._ended(state, self._frame.key(origin), "close")
        if argument is None:
            return
        if name in {"refresh", "expire", "expunge"}:
            found = self._held(argument, state)
            if found is not None:
                at, held = found
                if name == "expunge":
                    state.book.put(at, replace(held, detached=call.loc, session=None))
                else:
                    state.book.put(at, replace(held, expired=None, updated=None, stale=None, locked=True, written=True))
        elif name in {"add", "add_all", "delete", "merge"}:
            kind = {"delete": "delete", "merge": "update"}.get(name, "insert")
            items = argument.items if isinstance(argument, s.Collection) else (argument,)
            made = [self._pending(kind, origin, item, call.loc, state) for item in items]
            self._wait(origin, [p for p in made if p is not None], state)

    def _pending(self, kind: str, origin: v.Origin, item: s.Expr, loc: s.Loc, state: State) -> Pending | None:
        """An object enters a session's unit of work."""
        path = self._frame.function.module.path
        at = item.loc if isinstance(item, s.Call) else state.book.names.get(sym.dotted_text(item))
        held = state.book.held.get(at) if at is not None else None
        if at is not None and held is None and isinstance(item, s.Name):
            return None
        if held is None or at is None:
            found = self._held(item, state) if isinstance(item, s.Name) else None
            if found is not None and found[1].made == "given":
                held = found[1]
                if held.made == "given" and kind == "insert":
                    return Pending(kind, held.model, path, loc, self.term_of_parameter(item), partly=True)
            value = self._frame.value(item.value if isinstance(item, s.Starred) else item, state)
            one = value.item if isinstance(value, v.Sequence) else value
            model = one.model if isinstance(one, v.Entity) else None
            identity = self.term(item, state) if isinstance(item, s.Name) else OPAQUE
            return Pending(kind, model, path, loc, identity, partly=True)
        key = self._frame.key(origin)
        if kind == "insert":
            if held.session not in {None, key} and held.detached is None and held.made != "given":
                self._note(seen.AddedElsewhere(loc, held, origin))
            self._missing(held, loc)
            state.book.put(
                at, replace(held, session=key, detached=None, merged=None, is_async=self._frame.function.facts.is_async)
            )
        if held.written and kind == "insert":
            kind = "update"
        place = item.loc if isinstance(item, s.Call) else loc
        return Pending(kind, held.model, path, place, self._identity(at), held.given, held.partly)

    def term_of_parameter(self, expr: s.Expr) -> Term:
        return ("param", expr.id) if isinstance(expr, s.Name) else OPAQUE

    def _looked_up(self, model: sym.Class, state: State) -> tuple[tuple[str, ...], s.Loc, bool] | None:
        """The look-up of a model that found nothing on this path."""
        for name, at in state.book.names.items():
            looked = state.book.held.get(at)
            if looked is None or looked.model is not model or looked.made != "loaded" or not looked.by:
                continue
            if state.facts.get(name) in {"none", "falsy", "false"}:
                return looked.by, at, looked.locked
        return None

    def _missing(self, held: Held, loc: s.Loc) -> None:
        """A new object is added: was one of its kind looked for, and not found, before it was made?"""
        if held.made != "new" or held.written or held.missed is None:
            return
        by, looked, locked = held.missed
        caught = locked or self.lookups.copes_with_conflict or self.lookups.takes_lock
        caught = caught or self.lookups.lock_around(loc) is not None
        self._note(seen.CreatedIfMissing(loc, held.model, by, looked, caught))

    def dropped(self, expr: s.Expr, state: State) -> None:
        """An expression statement: the copy that ``merge()`` gives is thrown away."""
        call = expr.value if isinstance(expr, s.Await) else expr
        if isinstance(call, s.Call) and isinstance(call.func, s.Attribute) and call.func.attr == "merge" and call.args:
            if isinstance(self._frame.value(call.func.value, state), v.Session):
                found = self._held(call.args[0], state)
                if found is not None and (found[1].session is None or found[1].detached or found[1].made == "given"):
                    state.book.put(found[0], replace(found[1], merged=call.loc))

    def _wait(self, origin: v.Origin, pending: list[Pending], state: State) -> None:
        if not pending:
            return
        transaction = self._frame.transaction(state, origin)
        known = {(p.path, p.loc, p.identity) for p in pending}
        kept = tuple(p for p in transaction.batch if (p.path, p.loc, p.identity) not in known)
        inserted = tuple(p for p in transaction.inserted if (p.path, p.loc, p.identity) not in known)
        new = tuple(p for p in pending if p.kind == "insert")
        self._frame.update(
            state,
            origin,
            replace(
                transaction,
                batch=(*kept, *pending)[-MAX_WRITES:],
                inserted=(*inserted, *new)[-MAX_WRITES:],
            ),
        )

    def executed(self, origin: v.Origin, call: s.Call, state: State) -> None:
        """A statement is executed: if it is Core and objects wait, that is told before anything is flushed."""
        batch = self._frame.transaction(state, origin).batch
        if not batch or not call.args:
            return
        parts = self.lookups.parts(call.args[0])
        words = self.lookups.words(call.args[0])
        if "from_statement" in words or "flush" in words:
            return
        texts = [
            str(p.args[0].value)
            for p in parts
            if isinstance(p, s.Call)
            and sym.last_name(p.func) == "text"
            and p.args
            and isinstance(p.args[0], s.Constant)
        ]
        tables = []
        mapped = False
        for part in parts:
            if isinstance(part, s.Attribute) and part.attr == "__table__":
                value = self._frame.value(part.value, state)
                if isinstance(value, v.ClassRef):
                    tables.append(value.cls)
            elif isinstance(part, s.Name):
                value = self._frame.value(part, state)
                mapped = mapped or (isinstance(value, v.ClassRef) and value.cls not in tables)
        if (texts or tables) and not mapped:
            text = " ".join(texts)
            self._note(seen.CoreStatement(call.loc, text, frozenset(_sql_words(text)), tuple(tables), batch))

    # ---- what transactions do to objects ---------------------------------------------------------------------------

    def happened(self, state: State, key: v.Origin, before: Transaction, after: Transaction) -> Transaction:
        """A session's transaction changed: carry it over to the objects, and settle the unit of work."""
        event = after.event
        if not event:
            return after
        if event in {"flush", "commit", "read"}:
            if event == "read" and self._frame.engine.autoflush == "off":
                return replace(after, event="")
            self._together(key, before.batch, state)
            self._flushed(state, key, committed=event == "commit")
            first = before.first if before.synced else (*before.first, *before.batch)
            return replace(
                after,
                batch=(),
                first=first[-MAX_WRITES:],
                synced=True,
                inserted=() if event == "commit" else after.inserted,
                event="",
            )
        if event == "carried":
            return replace(after, event="")
        self._ended(state, key, event)
        return replace(after, batch=(), inserted=(), synced=True, event="")

    def _together(self, key: v.Origin, batch: tuple[Pending, ...], state: State) -> None:
        models = {p.model for p in batch if p.model is not None}
        if len(models) > 1 or (len(batch) > 1 and not any(p.chain for p in batch)):
            self._note(seen.FlushedTogether(self._frame.at, key, batch))
        for child in batch:
            if child.kind != "insert" or child.model is None:
                continue
            for other, transaction in state.sessions.items():
                if other != key and not transaction.unknown:
                    for parent in transaction.inserted:
                        if parent.model is not None and parent.model is not child.model:
                            self._note(seen.FlushedAcross(self._frame.at, child, parent, other))

    def _flushed(self, state: State, key: v.Origin, committed: bool) -> None:
        for loc, held in list(state.book.held.items()):
            if held.session == key or (key.kind == "param" and held.made == "given"):
                updated = held.changed or held.updated
                locked = held.locked and not committed
                state.book.held[loc] = replace(held, written=True, changed=None, updated=updated, locked=locked)

    def _ended(self, state: State, key: v.Origin, event: str) -> None:
        for loc, held in list(state.book.held.items()):
            if held.session != key and not (key.kind == "param" and held.made == "given"):
                continue
            if event == "unknown" or (event == "rollback" and not held.written):
                state.book.drop(loc)
            elif event == "rollback":
                state.book.held[loc] = replace(held, expired=self._frame.at, changed=None, given=())
            elif event == "close":
                if held.made == "given":
                    state.book.drop(loc)
                else:
                    state.book.held[loc] = replace(held, detached=self._frame.at, session=None)

    def left(self, state: State) -> None:
        """The function ends normally: what still waits will be flushed together by whoever comes next."""
        for key, transaction in state.sessions.items():
            if not transaction.unknown and not transaction.closed:
                self._together(key, transaction.batch, state)

    # ---- callees ---------------------------------------------------------------------------------------------------

    def transferred(
        self,
        before: Transaction,
        after: Transaction,
        done: Transaction,
        link: Link,
        mine: v.Origin,
        function: sym.Function,
        call: s.Call | None,
        state: State,
    ) -> Transaction:
        """A callee's unit of work continues the caller's."""

        def seen_from_here(pending: tuple[Pending, ...]) -> tuple[Pending, ...]:
            return tuple(self._through(p, link, function, call, state) for p in pending)

        batch, first, inserted = (seen_from_here(x) for x in (done.batch, done.first, done.inserted))
        key = self._frame.key(mine)
        ended = done.rolled_back or done.closed or done.unknown
        if done.synced:
            if not ended:
                self._together(key, (*before.batch, *first), state)
            if ended and not done.entry:
                # how a callee's rollback hangs together with what it returned cannot be told
                self._ended(
                    state, key, "close" if done.closed and not (done.unknown or done.rolled_back) else "unknown"
                )
            else:
                self._flushed(state, key, committed=done.committed)
            mine_first = before.first if before.synced else (*before.first, *before.batch, *first)
            waiting = batch
        else:
            mine_first = before.first
            waiting = (*before.batch, *batch)
        if done.unknown:
            self._ended(state, key, "unknown")
            waiting = ()
        for pending in (*done.batch, *done.first):
            self._joined(pending, key, function, call, state, written=pending not in done.batch)
        kept = () if (done.committed or ended) and not done.entry else before.inserted
        return replace(
            after,
            batch=waiting[-MAX_WRITES:],
            first=mine_first[-MAX_WRITES:],
            synced=before.synced or done.synced,
            inserted=(*kept, *inserted)[-MAX_WRITES:],
            event="carried",
        )

    def _joined(
        self, pending: Pending, key: v.Origin, function: sym.Function, call: s.Call | None, state: State, written: bool
    ) -> None:
        """An object handed to a callee that adds it belongs to the session from now on."""
        if call is None or pending.identity[:1] != ("param",) or len(pending.identity) != 2:
            return
        argument = argument_for(function, call, str(pending.identity[1]))
        if argument is None:
            return
        at = argument.loc if isinstance(argument, s.Call) else state.book.names.get(sym.dotted_text(argument))
        held = state.book.held.get(at) if at is not None else None
        if at is not None and held is not None:
            state.book.put(at, replace(held, session=key, written=held.written or written))

    def _through(
        self, pending: Pending, link: Link, function: sym.Function, call: s.Call | None, state: State
    ) -> Pending:
        """A callee's pending object in the caller's terms."""
        chain = ((link.path, link.loc, link.text), *pending.chain)[:MAX_WRITES]
        identity = pending.identity
        if identity[:1] == ("param",) and len(identity) == 2 and call is not None:
            argument = argument_for(function, call, str(identity[1]))
            at = (
                argument.loc
                if isinstance(argument, s.Call)
                else state.book.names.get(sym.dotted_text(argument))
                if argument
                else None
            )
            held = state.book.held.get(at) if at is not None else None
            if held is not None and at is not None:
                return replace_pending(pending, held, self._identity(at), chain)
            if argument is not None and pending.model is None:
                value = self._frame.value(argument, state)
                one = value.item if isinstance(value, v.Sequence) else value
                if isinstance(one, v.Entity):
                    pending = pending._replace(model=one.model)
        given = tuple((n, self._substituted(t, function, call, state)) for n, t in pending.given)
        return pending._replace(identity=self._substituted(identity, function, call, state), given=given, chain=chain)

    def _substituted(self, term: Term, function: sym.Function, call: s.Call | None, state: State) -> Term:
        if term[:1] != ("param",):
            return term
        name = str(term[1])
        argument: s.Expr | None = None
        if call is not None:
            if name == function.receiver and isinstance(call.func, s.Attribute):
                argument = call.func.value
            else:
                argument = argument_for(function, call, name)
            if argument is None:
                parameter = function.parameters.get(name)
                default = parameter.default if parameter is not None else None
                if isinstance(default, s.Constant):
                    return ("literal", repr(default.value)) if len(term) == 2 else OPAQUE
        base = self.term(argument, state) if argument is not None else OPAQUE
        return (*base, *term[2:]) if base != OPAQUE else OPAQUE


def replace_pending(pending: Pending, held: Held, identity: Term, chain: tuple[tuple[str, s.Loc, str], ...]) -> Pending:
    """The object a caller handed in, where the callee only knows its parameter."""
    given = {**dict(held.given), **dict(pending.given)}
    kind = "update" if held.written and pending.kind == "insert" else pending.kind
    partly = held.partly
    return Pending(kind, held.model, pending.path, pending.loc, identity, tuple(given.items()), partly, chain)


def _leaves_alone(function: sym.Function, name: str) -> bool:
    """Whether a function neither sets attributes of a parameter nor hands it to anything but a session."""
    for stmt in function.statements:
        if isinstance(stmt, (s.Assign, s.AugmentedAssign)):
            targets = stmt.targets if isinstance(stmt, s.Assign) else (stmt.target,)
            for target in targets:
                if isinstance(target, s.Attribute) and isinstance(target.value, s.Name) and target.value.id == name:
                    return False
    for call in function.calls:
        if sym.last_name(call.func) not in _TAKERS:
            for argument in (*call.args, *(k.value for k in call.keywords)):
                if isinstance(argument, s.Name) and argument.id == name:
                    return False
    return True


def _mentions(expr: s.Expr, target: s.Attribute) -> bool:
    text = sym.dotted_text(target)
    return bool(text) and any(isinstance(p, s.Attribute) and sym.dotted_text(p) == text for p in sym.walk(expr))


def _sql_words(text: str) -> set[str]:
    return {w.strip('"`[];,()').lower() for w in text.replace(".", " ").replace("(", " ").replace(",", " ").split()}
