"""What a call does to the sessions of the path it is on.

Three kinds: methods of sessions (by the catalogue), project functions (by their summaries, instantiated with the
arguments), and the outside: known harmless, known to run its arguments elsewhere, or unresolved. An unresolved call
that can reach a session may do anything to it; that is counted and said, not guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from sessionlint.effects import observations as obs
from sessionlint.effects.catalog import Effect
from sessionlint.effects.conditions import Given, learn, place_text, possible
from sessionlint.effects.passing import Passing
from sessionlint.effects.state import EMPTY, MAX_CHAIN, Link, Refusal, State, Transaction, Write, settle
from sessionlint.effects.summary import Exposure, Summary, Variant
from sessionlint.effects.switches import captured_switches
from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.arguments import argument_for
from sessionlint.project.infer import place_origin

if TYPE_CHECKING:
    from sessionlint.effects.interpreter import Frame

_MAX_TARGETS = 3
_NO_PLACES: Mapping[str, str] = {}
_ENTITY_SETTERS = frozenset({"builtins.setattr"})

#: methods of containers that keep their last argument
_PUTS = frozenset({"append", "appendleft", "add", "insert", "setdefault"})


class Calls:
    """Applies calls for one frame."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._infer = frame.infer
        self._catalog = frame.engine.catalog
        self._passing = Passing(frame)

    # ---- entry -----------------------------------------------------------------------------------------------------

    def apply(self, call: s.Call, state: State, awaited: bool) -> list[State]:
        """The paths after a call."""
        frame = self._frame
        target = frame.value(call.func, state)
        frame.tracking.called(call, state)
        options = list(v.options_of(target))[:_MAX_TARGETS]
        if len(options) == 1:
            return self._apply(options[0], call, state, awaited)
        return self._either(state, [self._apply(option, call, state.copy(), awaited) for option in options])

    def _apply(self, target: v.Value, call: s.Call, state: State, awaited: bool) -> list[State]:
        if isinstance(call.func, s.Attribute) and call.func.attr in {"__anext__", "__next__"}:
            self._frame.scopes.next_called(call, state)
            return [state]
        if isinstance(target, v.Method):
            return self._method(target, call, state)
        if isinstance(target, v.FunctionRef):
            return self._function(target, call, state, awaited)
        if isinstance(target, v.Factory):
            self._frame.scopes.created(call, state, "factory", self._frame.infer.new_session(target, call.loc))
            return [state]
        if isinstance(target, v.ClassRef):
            return self._class(target, call, state)
        if isinstance(target, v.Partial):
            return self._partial(target, call, state, awaited)
        if isinstance(target, v.External):
            return self._outside(target.dotted, call, state, awaited)
        if isinstance(target, v.ExternalObject):
            return self._outside(target.dotted, call, state, awaited)
        if isinstance(target, v.Instance):
            function = self._infer.attribute(target, "__call__")
            if isinstance(function, v.FunctionRef):
                return self._function(function, call, state, awaited)
        if isinstance(call.func, s.Attribute) and self._queued(call, state):
            return [state]
        self._unresolved(call, state)
        return [state]

    def arguments(self, call: s.Call, state: State) -> list[tuple[str, v.Value]]:
        """(keyword name or empty, value) of every argument."""
        frame = self._frame
        found = [("", frame.value(a, state)) for a in call.args]
        found.extend((k.name or "**", frame.value(k.value, state)) for k in call.keywords)
        return found

    # ---- methods of sessions ---------------------------------------------------------------------------------------

    def _method(self, target: v.Method, call: s.Call, state: State) -> list[State]:
        receiver = target.receiver
        if isinstance(receiver, v.Session):
            effect = self._catalog.session.get(target.name)
            if effect is not None and receiver.origin is not None:
                self._session(receiver, receiver.origin, effect, target.name, call, state)
            elif receiver.origin is not None and effect is None:
                self._take_part(receiver.origin, call, state)
            elif receiver.origin is None:
                self._frame.tracking.outside(call, state)
        elif isinstance(receiver, v.Begin) and receiver.session.origin is not None:
            effect = self._catalog.transaction.get(target.name)
            if effect is not None and receiver.kind != "begin_nested":
                self._session(receiver.session, receiver.session.origin, effect, target.name, call, state)
        elif isinstance(receiver, v.Rows) and receiver.origin is not None:
            effect = self._catalog.query.get(target.name)
            if effect is not None and effect.effect == "read":
                if receiver.lazy:
                    self._session(v.Session(False, receiver.origin), receiver.origin, effect, target.name, call, state)
            elif effect is not None:
                self.write(state, receiver.origin, effect.kind, receiver.model, call.loc, flushes=True)
        elif isinstance(receiver, v.Factory) and target.name in {"begin", "__call__"}:
            how = "begin" if target.name == "begin" else "factory"
            self._frame.scopes.created(call, state, how, self._infer.new_session(receiver, call.loc))
        elif isinstance(receiver, (v.Engine, v.Statement, v.Sequence, v.Mapping, v.Connection, v.Factory)):
            if isinstance(receiver, v.Sequence) and target.name in {"append", "add", "extend", "insert"}:
                self._frame.keeping.grow(call, state)
            if isinstance(receiver, (v.Sequence, v.Mapping)) and target.name in _PUTS:
                self._frame.keeping.put(call, state)
        else:
            self._unresolved(call, state)
        return [state]

    def _take_part(self, origin: v.Origin, call: s.Call, state: State) -> None:
        """A session method the catalogue does not know: nothing certain can be said afterwards."""
        transaction = self._frame.transaction(state, origin)
        name = sym.last_name(call.func) or ""
        if "commit" in name or "transaction" in name:
            self._frame.update(state, origin, transaction.give_away())
        elif name not in {"expire", "expire_all"}:
            self._frame.update(state, origin, replace(transaction, used=True))

    def _session(
        self, session: v.Session, origin: v.Origin, effect: Effect, name: str, call: s.Call, state: State
    ) -> None:
        frame = self._frame
        transaction = frame.transaction(state, origin)
        kind = effect.effect
        if kind in {"write", "read", "execute", "flush", "commit"}:
            self._frame.scopes.after_failure(state, origin, call.loc)
            frame.framing.used(origin, state, call.loc)
            transaction = frame.transaction(state, origin)
        if kind == "write" and name == "merge" and _is_false(call, "load"):
            kind = "read"  # attaches what is known to be in the database
        if kind == "write":
            self._write_call(session, origin, effect, call, state)
            frame.tracking.session_call(name, origin, call, state)
        elif kind == "execute":
            frame.tracking.executed(origin, call, state)
            self._execute(session, origin, call, state)
        elif kind == "read":
            frame.event(call.loc, "read", f"{name}()")
            frame.update(state, origin, transaction.read(self._link(call, name)))
            frame.tracking.session_call(name, origin, call, state)
        elif kind == "expunge":
            frame.tracking.session_call(name, origin, call, state)
        elif kind == "flush":
            frame.may_fail(state, database=True, refusal=Refusal("flush", frame.key(origin)))
            frame.event(call.loc, "flush", "flush()")
            frame.update(state, origin, transaction.flush())
        elif kind == "commit":
            self._commit(origin, transaction, call, state)
        elif kind == "rollback":
            frame.tracking.session_call(name, origin, call, state)
            text = _receiver_text(call)
            wrote = bool(transaction.pending) or bool(frame.handled and frame.key(origin) in frame.handled[-1])
            frame.rollbacks.append(obs.RolledBack(call.loc, origin, text, frame.handler_depth > 0, False, wrote))
            frame.event(call.loc, "rollback", "rollback()")
            frame.closing.cleaned(origin)
            frame.framing.ended(origin, "rollback", text, state, call.loc, ())
            state.broken.pop(frame.key(origin), None)
            self._end_all(state, origin, commit=False, loc=call.loc)
        elif kind == "close":
            frame.event(call.loc, "close", "close()")
            frame.closing.closed(origin)
            state.broken.pop(frame.key(origin), None)
            frame.scopes.close_by_hand(origin, transaction, state, call.loc)
            frame.update(state, origin, transaction.close())
        elif kind == "begin":
            frame.framing.begun(origin, state, call.loc)
            frame.update(state, origin, replace(transaction, used=True))
        elif kind == "savepoint":
            frame.update(state, origin, transaction.read(self._link(call, name)))
        elif kind == "unknown":
            frame.update(state, origin, transaction.give_away())

    def _commit(self, origin: v.Origin, transaction: Transaction, call: s.Call, state: State) -> None:
        frame = self._frame
        frame.may_fail(state, database=True, commit=True, refusal=Refusal("commit", frame.key(origin)))
        owned = frame.owned.get(origin)
        text = _receiver_text(call)
        after_scope = transaction.closed and owned is not None and owned.closes and not owned.active
        asked = any(state.facts.get(n) == "true" and "commit" in n.lower() for n in frame.function.parameters)
        frame.note(obs.Committed(call.loc, origin, text, after_scope, owned.opened if owned else None, asked))
        frame.commits.append((call.loc, origin, text))
        frame.idle_commits.committed(origin, transaction, text, state, call.loc)
        state.broken.pop(frame.key(origin), None)
        if not after_scope:
            frame.committed.add(origin)
        frame.event(call.loc, "commit", "commit()")
        frame.framing.ended(origin, "commit", text, state, call.loc, ())
        frame.looping.committed(origin, state, call.loc)
        self._end_all(state, origin, commit=True, loc=call.loc)

    def _link(self, call: s.Call, name: str) -> Link:
        return Link(self._frame.function.module.path, call.loc, f"{name}()")

    def _end_all(self, state: State, origin: v.Origin, commit: bool, loc: s.Loc) -> None:
        """Commit or roll back a session, together with the handed-in objects that belong to it."""
        frame = self._frame
        keys = [origin]
        if origin.kind == "param":
            keys += [k for k in frame.handed_keys(state) if k != frame.key(origin)]
        for key in keys:
            transaction = frame.transaction(state, key)
            if commit:
                frame.sending.committed(transaction, loc)
            frame.update(state, key, transaction.commit() if commit else transaction.rollback())

    def _write_call(self, session: v.Session, origin: v.Origin, effect: Effect, call: s.Call, state: State) -> None:
        frame = self._frame
        model: sym.Class | None = None
        if effect.argument >= 0 and call.args:
            argument = call.args[min(effect.argument, len(call.args) - 1)]
            value = frame.value(argument, state)
            found = value.item if isinstance(value, v.Sequence) else value
            if isinstance(found, v.Entity):
                model = found.model
                if isinstance(argument, s.Name) and isinstance(value, v.Entity):
                    state.env[argument.id] = v.Entity(model, origin)
        if not session.autocommit:
            self.write(state, origin, effect.kind, model, call.loc, effect.flushes)

    def _execute(self, session: v.Session, origin: v.Origin, call: s.Call, state: State) -> None:
        frame = self._frame
        statement = frame.value(call.args[0], state) if call.args else v.UNKNOWN
        if isinstance(statement, v.Statement) and statement.verb in {"insert", "update", "delete"}:
            frame.may_fail(state, database=True, refusal=Refusal("statement", frame.key(origin)))
            if not session.autocommit:
                self.write(state, origin, statement.verb, statement.model, call.loc, flushes=True)
            return
        frame.may_fail(state, database=True)
        model = statement.model if isinstance(statement, v.Statement) else None
        frame.event(call.loc, "read", f"select {model.name}" if model else "execute()")
        frame.update(state, origin, frame.transaction(state, origin).read(self._link(call, "execute")))

    def write(
        self, state: State, origin: v.Origin, kind: str, model: sym.Class | None, loc: s.Loc, flushes: bool
    ) -> None:
        """A change enters the session."""
        frame = self._frame
        if flushes:
            frame.may_fail(state, database=True, refusal=Refusal("statement", frame.key(origin)))
        write = Write(kind, model, frame.function.module.path, loc, origin, sent=flushes)
        frame.event(loc, "write", f"{kind} {model.name}" if model else kind)
        if kind == "insert" and model is not None and origin.kind == "local":
            frame.inserts[model.key] = model
        frame.scopes.after_failure(state, origin, loc)
        frame.update(state, origin, frame.transaction(state, origin).write(write, flushes))

    # ---- project functions -----------------------------------------------------------------------------------------

    def _function(self, target: v.FunctionRef, call: s.Call, state: State, awaited: bool) -> list[State]:
        frame = self._frame
        arguments = self.arguments(call, state)
        positional = [x for n, x in arguments if not n]
        binding = self._infer.bind(target, positional, [(n, x) for n, x in arguments if n])
        function = target.function
        self._passing.check(target, call, state)
        if target.wrapper or function.facts.is_generator:
            return [state]
        if function.facts.is_async and not awaited:
            return [state]
        if frame.engine.slow.runs(function):
            frame.waiting.here("slow", f"{sym.dotted_text(call.func) or function.name}()", call.loc, state)
        paths = self.run(function, binding, call.loc, call, state, self._places(function, call))
        frame.tracking.passed_on(function, call, paths)
        return paths

    def run(
        self,
        function: sym.Function,
        binding: Mapping[str, v.Value],
        loc: s.Loc,
        call: s.Call | None,
        state: State,
        places: Mapping[str, str] = _NO_PLACES,
    ) -> list[State]:
        """The paths after a project function ran with these arguments; ``places`` names those that are variables."""
        frame = self._frame
        targets = [function]
        if function.is_abstract and function.owner is not None:
            receiver = binding.get(function.receiver or "self")
            cls = receiver.cls if isinstance(receiver, v.Instance) else function.owner
            targets = self._infer.classes.implementations(cls, function.name) or self._infer.classes.implementations(
                function.owner, function.name
            )
        if not targets:
            self._taint(frozenset().union(*(self._infer.holds(x) for x in binding.values())), state)
            return [state]
        ends: list[list[State]] = []
        # which implementation it is, is not known: what only some of them wait for is not said of the call
        waits = all(frame.engine.result(one).summary.waits for one in targets)
        for one in targets[:_MAX_TARGETS]:
            bound = _as_implementation(one, function, binding)
            summary = frame.engine.summary(one, bound)
            if not waits:
                summary = replace(summary, waits=())
            frame.edge(one, loc, "call")
            if summary.touches or summary.exposures or summary.opens:
                frame.event(loc, "call", one.qualname, one.key)
            before = state if len(targets) == 1 else state.copy()
            ends.append(self.instantiate(summary, one, bound, loc, call, before, places=places))
        return self._either(state, ends)

    def _either(self, before: State, ends: list[list[State]]) -> list[State]:
        """The paths after a call of one of several functions.

        Where one commits and another does not, no path of the caller has forgotten a commit: it is not known.
        """
        for key in {key for paths in ends for end in paths for key in end.sessions}:
            if before.sessions.get(key, EMPTY).committed:
                continue
            after = [[end.sessions.get(key, EMPTY) for end in paths] for paths in ends]
            commit = any(paths and all(t.committed for t in paths) for paths in after)
            if commit and any(t.pending and not t.committed for paths in after for t in paths):
                for end in (end for paths in ends for end in paths if key in end.sessions):
                    end.sessions[key] = end.sessions[key].give_away()
        return [end for paths in ends for end in paths]

    def instantiate(
        self,
        summary: Summary,
        function: sym.Function,
        binding: Mapping[str, v.Value],
        loc: s.Loc,
        call: s.Call | None,
        state: State,
        variants: tuple[Variant, ...] | None = None,
        entered: bool = False,
        places: Mapping[str, str] = _NO_PLACES,
    ) -> list[State]:
        """Apply a summary at a call site: one path per way the function may end."""
        frame = self._frame
        link = Link(frame.function.module.path, loc, f"{function.qualname}()")
        given = self._given(binding, places, state)
        self._expose(summary, given, link, state)
        frame.waiting.inside(summary.waits, given, link, state)
        frame.keeping.kept_by(summary, binding, loc, state)
        for name, transactions in summary.raises:
            failed = state.copy()
            self._transfer(transactions, binding, link, failed, entered, function, call)
            half_done = bool(name) and any(t.pending for t in failed.sessions.values())
            frame.may_fail(failed, caught=name, database=half_done or any(t.pending for _, t in transactions))
        if frame.watchers:
            writes = any(t.flushed for variant in summary.variants for _, t in variant.transactions)
            frame.may_fail(state, database=writes)
        final = {o for variant in summary.variants for o, t in variant.transactions if t.committed}
        for origin in sorted(summary.refused):
            kind = "call" if origin in final else "lent"
            for mine in sorted({frame.key(o) for o in self.resolve(origin, binding)}):
                frame.may_fail(state, database=True, refusal=Refusal(kind, mine, link))
        if summary.foreign:
            frame.foreign = True
        chosen = [
            variant
            for variant in (summary.variants if variants is None else variants)
            if possible(variant.guards, given)
        ]
        out = []
        for index, variant in enumerate(chosen):
            after = state if index == len(chosen) - 1 else state.copy()
            self._transfer(variant.transactions, binding, link, after, entered, function, call)
            if call is not None:
                after.results[id(call), ""] = variant.result
                after.results.update({(id(call), part): fact for part, fact in variant.parts})
            for name, fact in variant.guards:
                if name in places:
                    learn(after, places[name], fact)
            out.append(after)
        if not out and summary.variants and variants is None:
            return [state]  # the arguments rule out every path: they are not what they seem
        return out

    def finished(
        self, summary: Summary, function: sym.Function, binding: Mapping[str, v.Value], loc: s.Loc, state: State
    ) -> list[State]:
        """The ways a generator ends whose loop has been run already: where its sessions stand then."""
        link = Link(self._frame.function.module.path, loc, f"{function.qualname}()")
        out = []
        for variant in summary.variants:
            if possible(variant.guards, self._given(binding, _NO_PLACES, state)):
                after = state.copy()
                self._transfer(variant.transactions, binding, link, after, False, function, None)
                out.append(after)
        return out

    def resolve(self, origin: v.Origin, binding: Mapping[str, v.Value]) -> frozenset[v.Origin]:
        """The caller's origins of a callee's session."""
        if origin.kind != "param":
            return frozenset({origin})
        value = self._infer.resolve_origin(origin, binding)
        if isinstance(value, (v.Entity, v.Rows)):
            return frozenset({value.origin}) if value.origin is not None else frozenset()
        held = self._infer.holds(value)
        if isinstance(value, v.Options):
            held = held | frozenset(o.origin for o in value.options if isinstance(o, v.Entity) and o.origin)
        return held or self._infer.holds(binding.get(origin.name, v.UNKNOWN))

    def _transfer(
        self,
        transactions: tuple[tuple[v.Origin, Transaction], ...],
        binding: Mapping[str, v.Value],
        link: Link,
        state: State,
        entered: bool,
        function: sym.Function,
        call: s.Call | None,
    ) -> None:
        frame = self._frame
        for origin, done in transactions:
            for mine in self.resolve(origin, binding):
                before = frame.transaction(state, mine)
                if done.rolled_back:
                    state.broken.pop(frame.key(mine), None)
                if done.used:
                    frame.scopes.after_failure(state, mine, link.loc)
                    frame.framing.used(mine, state, link.loc)
                    before = frame.transaction(state, mine)
                if done.committed and not done.entry and not entered:
                    frame.framing.ended(mine, "commit", str(mine), state, link.loc, (link,))
                if done.closed:
                    frame.closing.closed(mine)
                after = before
                if done.unknown:
                    after = after.give_away()
                if done.committed and not done.entry:
                    if link.text.endswith("commit()"):
                        frame.idle_commits.committed(mine, before, link.text, state, link.loc)
                    frame.sending.committed(after, link.loc)
                    after = after.commit()
                    frame.committed.add(mine)
                elif done.rolled_back and not done.entry:
                    after = after.rollback()
                moved = tuple(w.through(link, mine) for w in done.pending)
                known = {w.key for w in moved}
                kept = tuple(w for w in after.pending if w.key not in known)
                after = replace(
                    after,
                    pending=(*kept, *moved),
                    open=done.open or (after.open and done.entry),
                    since=after.since or (link if done.open else None),
                    used=after.used or done.used,
                    flushed=done.flushed or (after.flushed and done.entry),
                    closed=after.closed or done.closed,
                    sent=tuple(dict.fromkeys((*after.sent, *done.sent))),
                )
                after = frame.tracking.transferred(before, after, done, link, mine, function, call, state)
                frame.update(state, mine, after)

    def _expose(self, summary: Summary, given: Given, link: Link, state: State) -> None:
        frame = self._frame
        if summary.opens:
            frame.opens = True
        for exposure in summary.exposures:
            if not possible(exposure.guards, given):
                continue
            committed = frozenset().union(*(self.resolve(o, given.binding) for o in exposure.committed), frozenset())
            here = frozenset(o for o, t in state.sessions.items() if t.committed or t.rolled_back)
            chain = (link, *exposure.chain)[:MAX_CHAIN]
            guards = frame.guards(state)
            outward = exposure._replace(committed=committed | here, chain=chain, guards=guards)
            hidden = {frame.key(o) for o in committed}
            visible = State(state.env, state.facts, {k: t for k, t in state.sessions.items() if k not in hidden})
            frame.expose(outward, visible)

    def _places(self, function: sym.Function, call: s.Call) -> Mapping[str, str]:
        """Parameter to the variable it is given, for parameters given one; what is captured here has one name."""
        found = {}
        for name in function.parameters:
            argument = argument_for(function, call, name)
            text = place_text(argument) if argument is not None else ""
            if text:
                found[name] = text
        if function.parent is self._frame.function:
            found.update((name, name) for name in captured_switches(self._infer, function))
        return found

    def _given(self, binding: Mapping[str, v.Value], places: Mapping[str, str], state: State) -> Given:
        known = {n: state.facts[at] for n, at in places.items() if at in state.facts}
        optional = frozenset(n for n, at in places.items() if at in self._frame.switches and n not in known)
        return Given(binding, known, optional)

    def _class(self, target: v.ClassRef, call: s.Call, state: State) -> list[State]:
        """Constructing: a session subclass opens a session; an ``__init__`` may do anything a function may."""
        frame = self._frame
        made = frame.value(call, state)
        if isinstance(made, v.Session):
            frame.scopes.created(call, state, "class", made)
            return [state]
        for base in self._infer.classes.outside_bases(target.cls):
            if self._catalog.sink(base) == "stream":
                return self._elsewhere("stream", base, call, state, awaited=False)
        if self._infer.classes.is_model(target.cls):
            frame.tracking.constructed(call, target.cls, state)
        init = self._infer.classes.method(target.cls, "__init__")
        if init is None or init.is_abstract:
            if not self._infer.classes.is_model(target.cls) and not self._infer.classes.holds_session(target.cls):
                outside = self._infer.classes.outside_bases(target.cls)
                if any(not self._plain_base(d) for d in outside):
                    self._taint(self._held(call, state), state)
            return [state]
        arguments = self.arguments(call, state)
        binding = self._infer.bind(
            v.FunctionRef(init, made if isinstance(made, v.Instance) else v.Instance(target.cls)),
            [x for n, x in arguments if not n],
            [(n, x) for n, x in arguments if n],
        )
        self._passing.check(v.FunctionRef(init, v.Instance(target.cls)), call, state)
        summary = frame.engine.result(init).summary
        if not summary.touches and not summary.opens and not summary.waits:
            return [state]
        return self.instantiate(summary, init, binding, call.loc, None, state)

    @staticmethod
    def _plain_base(dotted: str) -> bool:
        return dotted.rpartition(".")[2] in {"ABC", "Generic", "Protocol", "object", "Enum", "BaseModel", "Exception"}

    def _partial(self, target: v.Partial, call: s.Call, state: State, awaited: bool) -> list[State]:
        arguments = self.arguments(call, state)
        applied = self._infer.applied(
            target, tuple(x for n, x in arguments if not n), tuple((n, x) for n, x in arguments if n)
        )
        inner = applied.target
        if isinstance(inner, v.FunctionRef):
            binding = self._infer.bind(inner, applied.args, applied.keywords)
            if inner.wrapper or inner.function.facts.is_generator or (inner.function.facts.is_async and not awaited):
                return [state]
            return self.run(inner.function, binding, call.loc, call, state)
        if isinstance(inner, v.Factory):
            self._frame.scopes.created(call, state, "factory", self._infer.new_session(inner, call.loc))
        return [state]

    # ---- awaiting and iterating values -----------------------------------------------------------------------------

    def await_value(self, expr: s.Expr, states: list[State]) -> list[State]:
        """``await x`` where x is a coroutine or task made earlier."""
        out: list[State] = []
        for state in states:
            value = self._frame.value(expr, state)
            paths = [state]
            if isinstance(value, v.Options) and isinstance(expr, s.Name) and expr.id in self._frame.function.parameters:
                out.append(state)  # a coroutine handed in: whose it is, each caller knows for itself
                continue
            for work in self._coroutines(value):
                paths = settle([p for q in paths for p in self.run(work.function, work.arguments(), expr.loc, None, q)])
            out.extend(paths)
        return out

    def _coroutines(self, value: v.Value) -> list[v.Running]:
        if isinstance(value, v.Running):
            return [] if value.wrapper or value.function.facts.is_generator else [value]
        if isinstance(value, v.Task):
            return [r for w in value.work for r in self._coroutines(w)]
        if isinstance(value, (v.Sequence, v.Tuple)):
            items = (value.item,) if isinstance(value, v.Sequence) else value.items
            return [r for w in items for r in self._coroutines(w)]
        if isinstance(value, v.Options):
            return [r for w in value.options for r in self._coroutines(w)]
        return []

    # ---- the outside -----------------------------------------------------------------------------------------------

    def _outside(self, dotted: str, call: s.Call, state: State, awaited: bool) -> list[State]:
        frame = self._frame
        if dotted in {"builtins.next", "builtins.anext"}:
            frame.scopes.next_called(call, state)
            return [state]
        if dotted.endswith((".enter_async_context", ".enter_context")):
            return frame.scopes.enter_on_stack(call, state)
        made = frame.value(call, state)
        if isinstance(made, v.Session) and made.origin is not None and made.origin.kind == "local":
            if made.origin == place_origin(call.loc):
                frame.scopes.created(call, state, "class", made)
            return [state]
        if isinstance(made, (v.Factory, v.Engine, v.Statement, v.Dependency, v.Connection)):
            return [state]
        if dotted in _ENTITY_SETTERS and call.args:
            holder = frame.value(call.args[0], state)
            if isinstance(holder, v.Entity) and holder.origin is not None:
                self.write(state, holder.origin, "update", holder.model, call.loc, flushes=False)
            return [state]
        if frame.engine.catalog.publishers.sends(dotted):
            frame.sending.sent(call, state)
        kind = self._catalog.sink(dotted)
        if kind is not None:
            return self._elsewhere(kind, dotted, call, state, awaited)
        if frame.engine.slow.calls(dotted, awaited) and not _is_zero(call):
            self.waits(dotted, call, state)
            frame.may_fail(state)
            return [state]
        if dotted in {"asyncio.wait_for", "asyncio.shield", "asyncio.run", "anyio.run", "asyncio.timeout"} or (
            dotted.endswith(".run_until_complete")
        ):
            return self.awaits_inside(call, state)
        if dotted.rpartition(".")[2] in {"delay", "apply_async", "send", "kiq", "enqueue"}:
            if self._queued(call, state):
                return [state]
        frame.may_fail(state)
        if not dotted.startswith("builtins."):
            frame.closing.leaves(self._held(call, state))
        if not self._catalog.is_harmless(dotted):
            frame.tracking.outside(call, state)
            self._unresolved(call, state, dotted.partition(".")[0])
        return [state]

    def waits(self, dotted: str, call: s.Call, state: State) -> None:
        """A call of the outside that takes its time."""
        frame = self._frame
        frame.foreign = True
        text = f"{sym.dotted_text(call.func) or dotted}()"
        frame.event(call.loc, "await", text)
        frame.waiting.here("slow", text, call.loc, state)

    def awaits_inside(self, call: s.Call, state: State) -> list[State]:
        paths = [state]
        arguments = self.arguments(call, state)
        for _, value in arguments:  # side by side: what one of them opens is not open before the others start
            for option in v.options_of(value.item if isinstance(value, v.Sequence) else value):
                if isinstance(option, v.ExternalObject) and option.dotted.endswith("()"):
                    if self._frame.engine.slow.calls(option.dotted, True):
                        self.waits(option.dotted, call, state)
        for _, value in arguments:
            for work in self._coroutines(value):
                paths = settle([p for q in paths for p in self.run(work.function, work.arguments(), call.loc, None, q)])
            if isinstance(value, v.FunctionRef) and not value.wrapper:
                binding = self._infer.bind(value, [], [])
                paths = settle([p for q in paths for p in self.run(value.function, binding, call.loc, None, q)])
        return paths

    def _elsewhere(self, kind: str, dotted: str, call: s.Call, state: State, awaited: bool) -> list[State]:
        from sessionlint.effects.sinks import Sinks

        self._frame.closing.leaves(self._held(call, state))
        return Sinks(self._frame, self).run(kind, dotted, call, state, awaited)

    def _queued(self, call: s.Call, state: State) -> bool:
        """``task.delay(...)``: work for another process, which opens its own session."""
        frame = self._frame
        if not isinstance(call.func, s.Attribute) or not self._catalog.is_queue(call.func.attr):
            return False
        target = frame.value(call.func.value, state)
        function: sym.Function | None = target.function if isinstance(target, v.FunctionRef) else None
        for _, value in self.arguments(call, state):
            if function is None and isinstance(value, v.FunctionRef):
                function = value.function
        if function is None:
            return False
        if isinstance(target, v.FunctionRef) and function.facts.decorators:
            frame.sending.sent(call, state)
        self.spawn(function, call.loc, state)
        return True

    def spawn(self, function: sym.Function, loc: s.Loc, state: State) -> None:
        """Work starts that runs on its own: if it opens a session, what is pending here is invisible to it."""
        frame = self._frame
        summary = frame.engine.result(function).summary
        frame.edge(function, loc, "spawn")
        frame.event(loc, "spawn", function.qualname, function.key)
        if summary.opens:
            here = frozenset(o for o, t in state.sessions.items() if t.committed or t.rolled_back)
            exposure = Exposure(
                "spawn", frame.function.module.path, loc, function.qualname, here, function.key, summary.inserts,
                (), frame.guards(state),
            )  # fmt: skip
            frame.expose(exposure, state)

    def _held(self, call: s.Call, state: State) -> frozenset[v.Origin]:
        held: frozenset[v.Origin] = frozenset()
        for _, value in self.arguments(call, state):
            held |= self._infer.holds(value)
        return held

    def _taint(self, origins: frozenset[v.Origin], state: State) -> None:
        frame = self._frame
        frame.closing.leaves(origins)
        for origin in origins:
            frame.update(state, origin, frame.transaction(state, origin).give_away())

    def _unresolved(self, call: s.Call, state: State, package: str = "") -> None:
        """A call nobody can follow: what it was given is no longer ours to judge."""
        frame = self._frame
        frame.may_fail(state)
        frame.tracking.outside(call, state)
        held = self._held(call, state)
        if isinstance(call.func, s.Attribute):
            receiver = frame.value(call.func.value, state)
            if isinstance(receiver, (v.Instance, v.Session)):
                held |= self._infer.holds(receiver)
        if held:
            frame.engine.note_unresolved(frame.function, call, package)
            frame.event(call.loc, "unknown", f"{sym.dotted_text(call.func) or 'call'}() is given the session")
            self._taint(held, state)


def _is_zero(call: s.Call) -> bool:
    """``asyncio.sleep(0)``: a turn for others, no wait."""
    return len(call.args) == 1 and isinstance(call.args[0], s.Constant) and call.args[0].value == 0


def _as_implementation(
    one: sym.Function, declared: sym.Function, binding: Mapping[str, v.Value]
) -> Mapping[str, v.Value]:
    """The arguments of a call through an interface, with the receiver seen as the class that implements it."""
    receiver = binding.get(declared.receiver or "")
    if one is declared or one.owner is None or one.receiver is None:
        return binding
    if isinstance(receiver, v.Instance) and receiver.root is not None:
        return {**binding, one.receiver: v.Instance(one.owner, receiver.root)}
    return binding


def _is_false(call: s.Call, name: str) -> bool:
    """Whether a keyword argument is the literal False."""
    return any(k.name == name and isinstance(k.value, s.Constant) and k.value.value is False for k in call.keywords)


def _receiver_text(call: s.Call) -> str:
    return sym.dotted_text(call.func.value) if isinstance(call.func, s.Attribute) else ""


__all__ = ["Calls", "place_origin"]
