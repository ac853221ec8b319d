"""Who owns a session and what happens when its scope ends: ``with``, providers, units of work, loops over providers.

Also where sessions leave a scope (return, yield) and where a handler leaves one half done.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sessionlint.effects import observations as obs
from sessionlint.effects.state import State, Transaction, Write
from sessionlint.effects.summary import Exposure
from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import place_origin

if TYPE_CHECKING:
    from sessionlint.effects.interpreter import Frame

#: key under which ``Result.after_yield`` says what happens to the session a provider itself opened
OWN = v.Origin("local", "*")


@dataclass(slots=True)
class Closer:
    """What leaving a ``with`` item does. ``action`` is own, commit, after (a context-manager function) or stack."""

    action: str
    origin: v.Origin | None = None
    #: begin or begin_nested, where the item frames a transaction
    block: str = ""
    after: tuple[tuple[v.Origin, str], ...] = ()
    #: writes pending when a savepoint began: they stay when it is rolled back
    before: frozenset[tuple[str, str, s.Loc]] = frozenset()


class Scopes:
    """Opens and closes scopes for one frame."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._infer = frame.infer
        self.grown: dict[str, list[tuple[s.Loc, v.Value]]] = {}
        self._stacks: list[list[Closer]] = []
        self._users: dict[v.Origin, list[tuple[s.Loc, str]]] = {}
        self._joins: tuple[frozenset[int], bool] | None = None
        #: the return whose `finally` is being run
        self.returning: s.Loc | None = None

    # ---- creation --------------------------------------------------------------------------------------------------

    def created(
        self,
        call: s.Call,
        state: State,
        how: str,
        session: v.Session,
        provider: sym.Function | None = None,
    ) -> None:
        """A session comes to life by this call."""
        from sessionlint.effects.interpreter import Owned

        frame = self._frame
        origin = session.origin
        if origin is None or origin.kind != "local":
            return
        if origin not in frame.owned:
            # one that joins a connection, or commits by itself, is not asked for a commit
            frame.owned[origin] = Owned(call.loc, "unknown" if session.autocommit else "close", True)
        text = _callee_text(call)
        at_hand, fallback = self._at_hand(origin, state)
        given = bool(call.args or call.keywords)
        if not any(shares_connection(a) for a in (*call.args, *(k.value for k in call.keywords))):
            frame.note(obs.Created(call.loc, origin, how, text, at_hand, fallback, given, provider))
        frame.event(call.loc, "open", f"session opened by {text}")
        state.sessions[origin] = Transaction(entry=False, origin=origin)
        state.broken.pop(origin, None)
        frame.opens = True
        here = frozenset(o for o, t in state.sessions.items() if t.committed or t.rolled_back)
        others = {k: t for k, t in state.sessions.items() if k != origin}
        frame.expose(
            Exposure(
                "session",
                frame.function.module.path,
                call.loc,
                text,
                here,
                frame.function.key,
                (),
                (),
                frame.guards(state),
            ),
            State(state.env, state.facts, others),
        )

    def _at_hand(self, fresh: v.Origin, state: State) -> tuple[v.Origin | None, bool]:
        """(another session the function holds, whether the fresh one only stands in for one that is missing).

        Held is what was handed in, what its object holds, or what is opened around. In a handler a fresh session is the
        right way out of a broken one, and a session that was closed before is no longer held.
        """
        frame = self._frame
        if frame.handler_depth:
            return None, True
        for origin, owned in frame.owned.items():
            if origin != fresh and owned.active and not owned.driven:
                return origin, False
        found = frame.engine.session_at_hand(frame.function)
        if found is None:
            return None, False
        if state.facts.get(str(found)) in {"none", "falsy", "false"} or state.facts.get(f"{found}?") == "none":
            return None, True
        if frame.transaction(state, found).closed:
            return None, False
        parameter = frame.function.parameters.get(found.name)
        optional = (
            parameter is not None and isinstance(parameter.default, s.Constant) and parameter.default.value is None
        )
        if optional and state.facts.get(str(found)) not in {"true", "value"}:
            return None, True
        return found, False

    # ---- with ------------------------------------------------------------------------------------------------------

    def with_statement(self, stmt: s.With, states: list[State]) -> list[State]:
        frame = self._frame
        if len(stmt.items) == 1 and isinstance(stmt.items[0].context, s.Call):
            call = stmt.items[0].context
            if sym.last_name(call.func) == "suppress":
                types: s.Expr = s.Collection("tuple", call.args, (), call.loc)
                handler = s.Handler(types, None, (), stmt.loc)
                return frame.handlers.run(s.Try(stmt.body, (handler,), (), (), stmt.loc), states)
        closers: list[Closer] = []
        for item in stmt.items:
            states = frame.effects(item.context, states, stmt.is_async)
            made: list[Closer] = []
            for index, state in enumerate(states):
                found = self._enter(item.context, item.target, state)
                if index == 0 or not made:
                    made = found
            closers.extend(made)
            self._unused(item, stmt)
        for closer in closers:
            if closer.origin is not None and closer.origin in frame.owned and closer.action == "own":
                frame.owned[closer.origin].active = True
                frame.owned[closer.origin].scoped = True
        frame.exits.append([])
        frame.watchers.append([])
        stacks = len(self._stacks)
        if any(c.action == "stack" for c in closers):
            self._stacks.append([])
        framed = [c for c in closers if c.block and c.origin is not None]
        for closer in framed:
            assert closer.origin is not None
            frame.framing.enter(closer.origin, closer.block, stmt.loc)
        ends = frame.block(states, stmt.body)
        inner = frame.exits.pop()
        frame.framing.leave(len(framed), [*ends, *(e.state for e in inner)])
        failures = frame.watchers.pop()
        if len(self._stacks) > stacks:
            entered = self._stacks.pop()
            closers.extend(entered)
        contained = any(c.action == "savepoint" for c in closers)
        for failure in failures:
            self._abort(closers, failure.state)
            refusal = failure.refusal
            if refusal is not None and any(c.origin and frame.key(c.origin) == refusal.key for c in closers):
                refusal = None  # the block rolls back, or closes, what has failed in it
            database = failure.database and not contained
            frame.may_fail(failure.state, failure.caught, database, failure.commit, refusal)
        last = _last_loc(stmt.body) or stmt.loc
        for state in ends:
            self._close(closers, state, last, "end")
        for exit_ in inner:
            if exit_.kind == "raise":
                self._abort(closers, exit_.state)
            else:
                self._close(closers, exit_.state, exit_.loc, "return" if exit_.kind == "return" else "end")
            frame.exits[-1].append(exit_)
        frame.locking.left(stmt, [*ends, *(e.state for e in inner if e.kind != "raise")])
        for closer in closers:
            if closer.origin is not None and closer.origin in frame.owned:
                frame.owned[closer.origin].active = False
        return ends

    def _enter(self, context: s.Expr, target: s.Expr | None, state: State) -> list[Closer]:
        """Open one ``with`` item on one path."""
        frame = self._frame
        value = frame.value(context, state)
        closers: list[Closer] = []
        chosen = next((o for o in v.options_of(value) if _concerns_session(o)), value)
        entered = self._infer.enter(chosen, place_origin(context.loc))
        if isinstance(chosen, v.Session):
            closers = self._enter_session(chosen, context, state)
        elif isinstance(chosen, v.Begin):
            closers = self._enter_begin(chosen, context, state)
        elif isinstance(chosen, v.Running) and (chosen.wrapper or chosen.function.facts.is_generator):
            closers = self._enter_provider(chosen, entered, context, state)
        elif isinstance(chosen, v.Instance):
            closers = self._enter_unit(chosen, entered, context, state)
        elif isinstance(chosen, v.ExternalObject) and chosen.dotted.endswith("ExitStack"):
            closers = [Closer("stack")]
        elif isinstance(chosen, v.ExternalObject) and chosen.dotted.endswith("TaskGroup"):
            self._users.clear()
        if target is not None:
            names: dict[str, v.Value] = {}
            self._infer.bind_target(target, entered, names)
            from sessionlint.effects.conditions import forget

            for name, found in names.items():
                forget(state, name)
                state.env[name] = found
            if isinstance(target, s.Attribute):
                frame.keeping.stored(target, entered, context, state, target.loc)
                text = sym.dotted_text(target)
                if text:
                    state.env[text] = entered
        return closers

    def _enter_session(self, session: v.Session, context: s.Expr, state: State) -> list[Closer]:
        origin = session.origin
        if origin is None or origin.kind == "global":
            return []
        owned = self._frame.owned.get(origin)
        if owned is not None:
            owned.closes = True
            return [Closer("own", origin)]
        return [Closer("closing", origin)]

    def _enter_begin(self, begin: v.Begin, context: s.Expr, state: State) -> list[Closer]:
        frame = self._frame
        origin = begin.session.origin
        if origin is None:
            return []
        if begin.kind == "own":
            owned = frame.owned.get(origin)
            if owned is not None:
                owned.policy = "commit"
            return [Closer("own", origin, "begin")]
        if begin.kind == "begin_nested":
            pending = frozenset(w.key for w in frame.transaction(state, origin).pending)
            return [Closer("savepoint", origin, "begin_nested", (), pending)]
        frame.update(state, origin, replace(frame.transaction(state, origin), used=True))
        return [Closer("commit", origin, "begin")]

    def _enter_provider(self, running: v.Running, entered: v.Value, context: s.Expr, state: State) -> list[Closer]:
        """A context-manager function: its effects up to the yield now, the rest on leaving."""
        from sessionlint.effects.interpreter import Owned

        frame = self._frame
        function = running.function
        result = frame.engine.result(function)
        frame.edge(function, context.loc, "enter")
        frame.event(context.loc, "enter", function.qualname, function.key)
        binding = running.arguments()
        if result.summary.yields:
            frame.calls.instantiate(
                result.summary, function, binding, context.loc, None, state, result.summary.yields[:1], entered=True
            )
        after = result.after_yield or {}
        fresh = place_origin(context.loc)
        closers: list[Closer] = []
        if fresh in self._infer.holds(entered) and isinstance(context, s.Call):
            policy = {"commit": "commit", "nothing": "close", "rollback": "close"}.get(after.get(OWN, ""), "unknown")
            if fresh not in frame.owned:
                frame.owned[fresh] = Owned(context.loc, policy, True, function)
            frame.owned[fresh].policy = policy
            frame.owned[fresh].factory = function
            frame.owned[fresh].hands_out_object = not any(isinstance(o, v.Session) for o in v.options_of(entered))
            self.created(context, state, "provider", v.Session(None, fresh), function)
            closers.append(Closer("own", fresh))
        outer: list[tuple[v.Origin, str]] = []
        for origin, what in after.items():
            if origin != OWN:
                outer.extend((mine, what) for mine in frame.calls.resolve(origin, binding))
        if outer:
            closers.append(Closer("after", after=tuple(outer)))
        return closers

    def _enter_unit(self, unit: v.Instance, entered: v.Value, context: s.Expr, state: State) -> list[Closer]:
        """A class with ``__aenter__``: a unit of work where entering opens a session."""
        from sessionlint.effects.interpreter import Owned

        frame = self._frame
        fresh = place_origin(context.loc)
        if fresh not in self._infer.holds(entered):
            after = frame.engine.unit_exit(unit.cls)
            held = self._infer.holds(unit)
            if after == "commit" and held:
                return [Closer("after", after=tuple((o, "commit") for o in held))]
            if after == "unknown" and held:
                return [Closer("after", after=tuple((o, "maybe") for o in held))]
            return []
        policy = {"commit": "commit", "nothing": "close", "rollback": "close"}.get(
            frame.engine.unit_exit(unit.cls), "unknown"
        )
        if fresh not in frame.owned:
            frame.owned[fresh] = Owned(context.loc, policy, True, None, unit.cls)
        frame.owned[fresh].policy = policy
        hands_out = isinstance(entered, v.Instance) and not (
            unit.cls in self._infer.classes.mro(entered.cls) or frame.engine.is_transactional(entered)
        )
        frame.owned[fresh].hands_out_object = hands_out
        call = context if isinstance(context, s.Call) else s.Call(context, (), (), context.loc)
        self.created(call, state, "unit", v.Session(None, fresh))
        return [Closer("own", fresh)]

    def enter_on_stack(self, call: s.Call, state: State) -> list[State]:
        """``stack.enter_async_context(x)``: entered now, left with the stack."""
        if not call.args:
            return [state]
        closers = self._enter(call.args[0], None, state)
        frame = self._frame
        frame.closing.leaves(self._infer.holds(frame.value(call.args[0], state)))
        if self._stacks:
            known = {(c.action, c.origin) for c in self._stacks[-1]}
            self._stacks[-1].extend(c for c in closers if (c.action, c.origin) not in known)
        else:
            for closer in closers:
                if closer.origin is not None and closer.origin in frame.owned:
                    frame.owned[closer.origin].policy = "unknown"
        return [state]

    def _unused(self, item: s.WithItem, stmt: s.With) -> None:
        """A unit of work that the block never mentions."""
        frame = self._frame
        context = item.context
        if not isinstance(context, s.Call):
            return
        value = frame.infer.expr(context, frame.infer_scope())
        if not isinstance(value, v.Instance) or not frame.engine.is_unit_class(value.cls):
            return
        if not isinstance(item.target, s.Name) or _mentions(stmt.body, item.target.id):
            return  # without a name it may be found by a context variable
        frame.note(obs.UnusedUnit(context.loc, f"{_callee_text(context)}()"))

    # ---- leaving ---------------------------------------------------------------------------------------------------

    def _close(self, closers: list[Closer], state: State, loc: s.Loc, leaving: str) -> None:
        frame = self._frame
        for closer in reversed(closers):
            if closer.action == "own" and closer.origin is not None:
                self._end_scope(closer.origin, state, loc, leaving)
            elif closer.action == "commit" and closer.origin is not None:
                self._commit_at_end(closer.origin, state, loc)
            elif closer.action == "closing" and closer.origin is not None:
                frame.closing.leaves([closer.origin])
                frame.update(state, closer.origin, frame.transaction(state, closer.origin).close())
            elif closer.action == "after":
                for origin, what in closer.after:
                    if what == "commit":
                        self._commit_at_end(origin, state, loc)
                    elif what == "rollback":
                        frame.update(state, origin, frame.transaction(state, origin).rollback())
                    elif what == "maybe":
                        frame.update(state, origin, frame.transaction(state, origin).give_away())

    def _commit_at_end(self, origin: v.Origin, state: State, loc: s.Loc) -> None:
        frame = self._frame
        self._report_broken(state, origin, "commits", loc)
        frame.committed.add(origin)
        frame.event(loc, "commit", "commit on leaving the block")
        transaction = frame.transaction(state, origin)
        frame.sending.committed(transaction, loc)
        frame.update(state, origin, transaction.commit())
        if origin.kind == "param":
            for key in frame.handed_keys(state):
                frame.update(state, key, frame.transaction(state, key).commit())

    def _end_scope(self, origin: v.Origin, state: State, loc: s.Loc, leaving: str) -> None:
        frame = self._frame
        owned = frame.owned.get(origin)
        if owned is None:
            return
        if owned.policy == "commit":
            self._commit_at_end(origin, state, loc)
        transaction = frame.transaction(state, origin)
        writes = tuple(w for w in transaction.pending if w.kind != "consumer")
        failed = state.deliberate
        if writes and owned.policy == "close" and not transaction.unknown and not owned.driven and not failed:
            frame.scope_ends.append(
                obs.ScopeEnd(
                    loc, origin, writes, leaving, transaction.committed, False, owned.opened, owned.factory,
                    owned.factory_class, owned.hands_out_object,
                )
            )  # fmt: skip
        state.broken.pop(origin, None)
        if owned.closes:
            frame.event(loc, "close", "session closed")
            frame.update(state, origin, transaction.close())

    def _abort(self, closers: list[Closer], state: State) -> None:
        frame = self._frame
        for closer in closers:
            if closer.origin is None:
                continue
            if closer.action == "own":
                frame.update(state, closer.origin, frame.transaction(state, closer.origin).close())
            elif closer.action == "commit":
                frame.update(state, closer.origin, frame.transaction(state, closer.origin).rollback())
            elif closer.action == "savepoint":
                transaction = frame.transaction(state, closer.origin)
                kept = tuple(w for w in transaction.pending if w.key in closer.before)
                frame.update(state, closer.origin, replace(transaction, pending=kept, flushed=False))

    def leave_function(self, state: State, loc: s.Loc, kind: str) -> None:
        """The function ends: sessions opened without a scope of their own are lost here."""
        frame = self._frame
        for origin, owned in frame.owned.items():
            transaction = state.sessions.get(origin)
            if transaction is None or owned.escaped or owned.driven or owned.policy != "close":
                continue
            writes = tuple(w for w in transaction.pending if w.kind != "consumer")
            if writes and not transaction.unknown and not transaction.closed and not state.deliberate:
                frame.scope_ends.append(
                    obs.ScopeEnd(
                        loc, origin, writes, "return" if kind == "return" else "end", transaction.committed, False,
                        owned.opened,
                    )
                )  # fmt: skip

    def close_by_hand(self, origin: v.Origin, transaction: Transaction, state: State, loc: s.Loc) -> None:
        """``close()`` on a session opened here without a block: its scope ends at this call."""
        frame = self._frame
        owned = frame.owned.get(origin)
        if owned is None or owned.scoped or owned.driven or owned.policy != "close" or state.deliberate:
            return
        writes = tuple(w for w in transaction.pending if w.kind != "consumer")
        if writes and not transaction.unknown:
            at, leaving = (self.returning, "return") if self.returning is not None else (loc, "end")
            frame.scope_ends.append(
                obs.ScopeEnd(at, origin, writes, leaving, transaction.committed, False, owned.opened)
            )

    # ---- leaving with the session ----------------------------------------------------------------------------------

    def escapes(self, expr: s.Expr, found: v.Value, state: State, loc: s.Loc) -> None:
        """A return value that holds a session of this function."""
        frame = self._frame
        frame.closing.leaves(self._infer.holds(found))
        parts = [p for o in v.options_of(found) for p in (o.items if isinstance(o, v.Tuple) else (o,))]
        for option in parts:
            for origin in self._infer.holds(option):
                owned = frame.owned.get(origin)
                if owned is None:
                    continue
                closed = owned.scoped and owned.closes and frame.transaction(state, origin).closed
                if not owned.active and not (closed and isinstance(option, v.Session)):
                    owned.escaped = True
                    continue
                if frame.function.name in {"__aenter__", "__enter__"} or owned.driven:
                    continue
                if isinstance(option, (v.Session, v.Instance)):
                    what = "session" if isinstance(option, v.Session) else "object"
                    frame.note(obs.Escaped(loc, what, origin, _text_of(expr, option), owned.opened))
                    frame.update(state, origin, frame.transaction(state, origin).give_away())

    def suspend(self, expr: s.Yield, state: State) -> None:
        """A yield: somebody else runs now, for as long as they like."""
        frame = self._frame
        yielded = frame.value(expr.value, state) if expr.value is not None else v.UNKNOWN
        frame.event(expr.loc, "yield", "yield")
        held = self._infer.holds(yielded)
        for key, transaction in list(state.sessions.items()):
            writes = tuple(w for w in transaction.pending if w.kind != "consumer" and not w.exposed)
            is_open = transaction.open or bool(writes)
            failing = frame.handler_depth > 0  # an error frame goes out while the failure is still on its way
            if (writes or is_open) and not transaction.unknown and not transaction.closed and not failing:
                origin = transaction.origin or key
                frame.note(obs.Suspended(expr.loc, origin, writes, is_open, key.kind == "local"))
                shown = tuple(w if w.kind == "consumer" else w._replace(exposed=True) for w in transaction.pending)
                state.sessions[key] = replace(transaction, pending=shown)
        frame.yields.append(state.copy())
        for origin in {
            *state.sessions,
            *(frame.key(o) for o in held),
            *frame.engine.session_parameters(frame.function),
        }:
            key = frame.key(origin)
            marker = Write("consumer", None, frame.function.module.path, expr.loc, origin)
            before = frame.transaction(state, key)
            kept = tuple(w for w in before.pending if w.key != marker.key)
            state.sessions[key] = replace(
                before, pending=(*kept, marker), committed=False, rolled_back=False, closed=False,
                origin=before.origin or origin,
            )  # fmt: skip

    def after_yield(self, ends: list[State]) -> dict[v.Origin, str]:
        """What happens after the last yield to each session the consumer may have used: commit, nothing, ..."""
        found: dict[v.Origin, set[str]] = {}
        for state in ends:
            for key, transaction in state.sessions.items():
                if transaction.unknown:
                    what = "unknown"
                elif transaction.committed and not any(w.kind == "consumer" for w in transaction.pending):
                    what = "commit"
                elif transaction.rolled_back and not transaction.pending:
                    what = "rollback"
                else:
                    what = "nothing"
                origin = OWN if key.kind == "local" else (transaction.origin or key)
                found.setdefault(origin, set()).add(what)
        return {o: next(iter(w)) if len(w) == 1 else "maybe" for o, w in found.items()}

    # ---- providers by hand -----------------------------------------------------------------------------------------

    def drive(self, stmt: s.For, generator: v.Running, state: State) -> bool:
        """A loop over a session provider; True where it is one."""
        from sessionlint.effects.interpreter import Owned

        frame = self._frame
        yielded = self._infer.iterate(generator)
        origin = place_origin(generator.loc)
        if not any(isinstance(o, v.Session) and o.origin == origin for o in v.options_of(yielded)):
            return False
        if origin not in frame.owned:
            frame.owned[origin] = Owned(stmt.loc, "unknown", True, generator.function)
        written = _callee_text(stmt.iterable) if isinstance(stmt.iterable, s.Call) else generator.function.name
        frame.owned[origin].driven = True
        state.sessions[origin] = Transaction(entry=False, origin=origin)
        frame.opens = True
        frame.edge(generator.function, stmt.loc, "iterate")
        frame.event(stmt.loc, "open", f"session opened by {generator.function.name}")
        frame.note(
            obs.DrivenProvider(
                stmt.loc, "loop", generator.function, written, _forwards(stmt, frame.function),
                any(isinstance(x, s.Return) or (isinstance(x, s.Leave) and x.kind == "break")
                    for x in sym.statements(stmt.body)),
            )
        )  # fmt: skip
        return True

    def abandon(self, stmt: s.For, state: State, left: s.Loc | None = None) -> None:
        """The loop over a provider is over; ``left`` is where it was left early, before the provider could commit."""
        frame = self._frame
        for origin, owned in frame.owned.items():
            if not owned.driven or owned.opened != stmt.loc:
                continue
            transaction = state.sessions.pop(origin, None)
            if transaction is None or left is None or transaction.unknown:
                continue
            writes = tuple(w for w in transaction.pending if w.kind != "consumer")
            if writes:
                frame.scope_ends.append(
                    obs.ScopeEnd(left, origin, writes, "return", transaction.committed, False, owned.opened)
                )

    def next_called(self, call: s.Call, state: State) -> None:
        """``next(get_db())``: the generator object has no owner."""
        from sessionlint.effects.interpreter import Owned

        frame = self._frame
        if isinstance(call.func, s.Attribute):
            inner: s.Expr | None = call.func.value
        else:
            inner = call.args[0] if call.args else None
        if not isinstance(inner, s.Call):
            return
        value = frame.value(inner, state)
        if not isinstance(value, v.Running):
            return
        yielded = self._infer.iterate(value)
        if not any(isinstance(o, v.Session) for o in v.options_of(yielded)):
            return
        origin = place_origin(value.loc)
        frame.owned[origin] = Owned(call.loc, "unknown", True, value.function, driven=True)
        state.sessions[origin] = Transaction(entry=False, origin=origin)
        frame.opens = True
        by = sym.last_name(call.func) or "next"
        frame.note(obs.DrivenProvider(call.loc, by, value.function, _callee_text(inner), False, True))

    # ---- half done -------------------------------------------------------------------------------------------------

    def after_failure(self, state: State, origin: v.Origin, loc: s.Loc) -> None:
        """The session is used again after a handler left it half done."""
        self._report_broken(state, origin, "used", loc)

    def _report_broken(self, state: State, origin: v.Origin, then: str, where: s.Loc) -> None:
        frame = self._frame
        if frame.handler_depth and then == "used":
            return  # what a handler itself does with the session is its way of coping
        broken = state.broken.pop(frame.key(origin), None)
        if broken is not None:
            frame.note(
                obs.Swallowed(
                    broken.handler, origin, broken.writes, broken.caught, then, where, broken.statement
                )
            )  # fmt: skip

    def claims_success_after(self, handler: s.Loc) -> bool:
        """Whether the function goes on to return what reads as success: a literal, the answer of what it surrounds."""
        for stmt in self._frame.function.statements:
            if not isinstance(stmt, s.Return) or stmt.loc.line <= handler.line:
                continue
            if isinstance(stmt.value, s.Constant):
                if stmt.value.value is True or (isinstance(stmt.value.value, str) and stmt.value.value):
                    return True
            elif isinstance(stmt.value, s.Name) and self._is_answer(stmt.value.id):
                return True
        return False

    def _is_answer(self, name: str) -> bool:
        """``response = await call_next(request)``: what a function that was handed in has answered."""
        function = self._frame.function
        around = {**function.parameters, **(function.parent.parameters if function.parent is not None else {})}
        for kind, value in function.bindings.get(name, ()):
            inner = value.value if isinstance(value, s.Await) else value
            if (
                kind == "value"
                and isinstance(inner, s.Call)
                and isinstance(inner.func, s.Name)
                and inner.func.id in around
            ):
                return True
        return False

    # ---- concurrency -----------------------------------------------------------------------------------------------

    def concurrent_use(self, origin: v.Origin, call: s.Call, text: str, state: State) -> None:
        """A task that is awaited later uses the session; a second one makes it shared."""
        users = self._users.setdefault(origin, [])
        users.append((call.loc, text))
        own = self._frame.owned.get(origin)
        if own is not None and not own.active and own.opened.line >= min(used.line for used, _ in users):
            return
        if len(users) > 1:
            self._frame.note(
                obs.Shared(
                    call.loc, origin, tuple(t for _, t in users[:4]), sym.dotted_text(call.func) or "create_task"
                )
            )

    def is_joined(self, call: s.Call) -> bool:
        """Whether a created task is waited for in this function."""
        if self._joins is None:
            self._joins = _joined_tasks(self._frame.function.facts.body)
        named, everything = self._joins
        return id(call) in named or everything

    def grown_in_loop(self, name: str) -> bool:
        """Whether a local list is appended to inside a loop."""
        for stmt in self._frame.function.statements:
            if isinstance(stmt, (s.For, s.While)):
                for inner in sym.statements(stmt.body):
                    if isinstance(inner, s.Expression) and isinstance(inner.value, s.Call):
                        func = inner.value.func
                        if isinstance(func, s.Attribute) and isinstance(func.value, s.Name) and func.value.id == name:
                            return True
        return False


def _joined_tasks(body: tuple[s.Stmt, ...]) -> tuple[frozenset[int], bool]:
    """(calls whose result is assigned to a name that is awaited, whether a whole list of tasks is waited for)."""

    awaited: set[str] = set()
    everything = False
    made: dict[int, str] = {}
    for stmt in sym.statements(body):
        if isinstance(stmt, s.Assign) and isinstance(stmt.value, s.Call):
            for target in stmt.targets:
                text = sym.dotted_text(target)
                if text:
                    made[id(stmt.value)] = text
        for top in sym.statement_expressions(stmt):
            for expr in sym.walk(top):
                if isinstance(expr, s.Await):
                    awaited.add(sym.dotted_text(expr.value))
                if isinstance(expr, s.Call) and sym.last_name(expr.func) in {"gather", "wait", "as_completed"}:
                    for argument in expr.args:
                        if isinstance(argument, s.Starred):
                            everything = True
                        awaited.add(sym.dotted_text(argument))
                        everything = everything or (
                            isinstance(argument, s.Name) and sym.last_name(expr.func) != "gather"
                        )
                if isinstance(expr, s.Call) and sym.last_name(expr.func) in {
                    "wait_for",
                    "shield",
                    "run_until_complete",
                }:
                    awaited.update(sym.dotted_text(a) for a in expr.args)
    return frozenset(i for i, name in made.items() if name in awaited), everything


def shares_connection(expr: s.Expr) -> bool:
    """``Session(bind=session.connection())``: no transaction of its own."""
    return isinstance(expr, s.Call) and sym.last_name(expr.func) in {"connection", "get_bind"}


def _concerns_session(value: v.Value) -> bool:
    return isinstance(value, (v.Session, v.Begin, v.Running, v.Instance))


def _callee_text(call: s.Call) -> str:
    inner: s.Expr = call.func
    if isinstance(inner, s.Call):
        return f"{_callee_text(inner)}()"
    return sym.dotted_text(inner) or sym.last_name(inner) or "call"


def _text_of(expr: s.Expr, value: v.Value) -> str:
    text = sym.dotted_text(expr)
    if text:
        return text
    return f"{value.cls.name}(...)" if isinstance(value, v.Instance) else "the session"


def _last_loc(body: tuple[s.Stmt, ...]) -> s.Loc | None:
    return body[-1].loc if body else None


def _forwards(stmt: s.For, function: sym.Function) -> bool:
    """The loop only yields the session on: a wrapping dependency."""
    if not function.facts.is_generator or not isinstance(stmt.target, s.Name):
        return False
    inner: tuple[s.Stmt, ...] = stmt.body
    for stmt_ in sym.statements(inner):
        if isinstance(stmt_, s.Expression) and isinstance(stmt_.value, s.Yield):
            value = stmt_.value.value
            if isinstance(value, s.Name) and value.id == stmt.target.id:
                return True
    return False


def _mentions(body: tuple[s.Stmt, ...], name: str) -> bool:

    for stmt in sym.statements(body):
        if isinstance(stmt, s.Define):
            return True
        for top in sym.statement_expressions(stmt):
            if any(isinstance(e, s.Name) and e.id == name for e in sym.walk(top)):
                return True
    return False
