"""Runs one function abstractly: control flow, paths, and the state of every session along them.

Branches are kept apart while their conditions or transactions differ, loops run to a fixed point (two rounds, because
the sets that can grow are keyed by place), ``try``, early return, ``break`` and suspension are real edges. What calls
do is ``calls``' business, what ``with`` does ``scopes``'; verdicts are the rules'.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from sessionlint.effects import observations as obs
from sessionlint.effects.conditions import (
    assume,
    forget,
    note_growth,
    note_parts,
    note_result,
    parts_of,
    place_text,
    root_name,
    truth,
)
from sessionlint.effects.error_answers import is_error_answer
from sessionlint.effects.forgetting import Forgetting
from sessionlint.effects.handlers import Failure, Handlers
from sessionlint.effects.state import EMPTY, FAILED, Refusal, State, Transaction, WriteKey, settle
from sessionlint.effects.summary import (
    MAX_EXPOSURES,
    MAX_VARIANTS,
    Edge,
    Event,
    Exposure,
    Result,
    Store,
    Summary,
    Variant,
    fold,
)
from sessionlint.effects.switches import captured_switches, optional_sessions, switches
from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Scope, place_origin

if TYPE_CHECKING:
    from sessionlint.effects.engine import Engine

#: the one key of all sessions a function was handed, as long as nothing shows that they differ
INJECTED = v.Origin("param", "*")
#: fact of a parameter that was rebound before anything was asked of it
_UNTOLD = "untold"
#: facts about the value that is returned stand under a word no name can be
_RETURNED = "return"
#: nested loops that are run twice each
_LOOPS_TWICE = 3


class Exit(NamedTuple):
    """A path that leaves the block: ``kind`` is return, raise, break or continue."""

    kind: str
    state: State
    loc: s.Loc
    result: str = "any"


@dataclass(slots=True)
class Owned:
    """A session this function brings to life. ``policy`` is what the end of the scope does: close, commit, unknown."""

    opened: s.Loc
    policy: str
    closes: bool
    factory: sym.Function | None = None
    factory_class: sym.Class | None = None
    hands_out_object: bool = False
    active: bool = False
    escaped: bool = False
    driven: bool = False
    #: opened by a ``with``, so that its end is known
    scoped: bool = False


class Frame:
    """The interpretation of one function; discarded when its :class:`Result` is made."""

    def __init__(self, engine: Engine, function: sym.Function) -> None:
        from sessionlint.effects.calls import Calls
        from sessionlint.effects.closing import Closing
        from sessionlint.effects.framing import Framing
        from sessionlint.effects.idle_commits import IdleCommits
        from sessionlint.effects.iteration import Iteration
        from sessionlint.effects.keeping import Keeping
        from sessionlint.effects.locking import Locking
        from sessionlint.effects.looping import Looping
        from sessionlint.effects.scopes import Scopes
        from sessionlint.effects.sending import Sending
        from sessionlint.effects.tracking import Tracking
        from sessionlint.effects.waiting import Waiting

        self.engine = engine
        self.infer = engine.infer
        self.function = function
        self.result = Result(function)
        self.owned: dict[v.Origin, Owned] = {}
        self.exits: list[list[Exit]] = [[]]
        self.watchers: list[list[Failure]] = []
        self.handler_depth = 0
        self._loops = 0
        #: sessions with writes in the try block, for every handler being run
        self.handled: list[frozenset[v.Origin]] = []
        #: named exceptions of callees that no try of this function catches, with the state they leave
        self.uncaught: list[tuple[str, State]] = []
        self.scope_ends: list[obs.ScopeEnd] = []
        self.committed: set[v.Origin] = set()
        self.exposures: dict[tuple[str, str, s.Loc], Exposure] = {}
        self.yields: list[State] = []
        self.touches: set[v.Origin] = set()
        #: handed-in sessions that a failing database call may leave unusable for the caller
        self.refused: set[v.Origin] = set()
        self.commits: list[tuple[s.Loc, v.Origin, str]] = []
        self.rollbacks: list[obs.RolledBack] = []
        self.inserts: dict[str, sym.Class] = {}
        self.stores: set[Store] = set()
        self.opens = False
        self.foreign = False
        self.calls = Calls(self)
        self.scopes = Scopes(self)
        self.handlers = Handlers(self)
        self.keeping = Keeping(self)
        self.locking = Locking(self)
        self.idle_commits = IdleCommits(self)
        self.iteration = Iteration(self)
        self.framing = Framing(self)
        self.looping = Looping(self)
        self.closing = Closing(self)
        self.waiting = Waiting(self)
        #: the statement being run
        self.at: s.Loc = function.facts.loc
        self.sending = Sending(self)
        self._seen_events: set[tuple[s.Loc, str, str]] = set()
        self._seen_edges: set[Edge] = set()
        #: parameters with a constant default, also those of enclosing functions that are used here: flags and optional
        #: objects that choose between paths
        self.switches = (
            *switches(function),
            *optional_sessions(self.infer, function),
            *captured_switches(self.infer, function),
        )
        self._forgetting = Forgetting(function, self.switches)
        self._distinct = engine.distinct_sessions(function)
        self._entities = frozenset(
            n for n in function.parameters if isinstance(engine.infer.parameter(function, n), v.Entity)
        )
        self.tracking = Tracking(self)

    # ---- entry and exit --------------------------------------------------------------------------------------------

    def run(self, start: State | None = None) -> Result:
        """Interpret the whole body."""
        state = start or State({}, {}, {})
        for exit_state in self.block([state], self.function.facts.body):
            self.exits[-1].append(Exit("end", exit_state, self._last_loc(), "none"))
        self._finish()
        return self.result

    def _last_loc(self) -> s.Loc:
        body = self.function.facts.body
        return body[-1].loc if body else self.function.facts.loc

    def _finish(self) -> None:
        normal = [e for e in self.exits[-1] if e.kind in {"return", "end"}]
        for exit_ in normal:
            self.scopes.leave_function(exit_.state, exit_.loc, exit_.kind)
            self.tracking.left(exit_.state)
        if self.function.facts.decorators or any(p.default is not None for p in self.function.facts.parameters):
            self._ended(normal)
        for rollback in self.rollbacks:
            self.note(rollback)
        for end in self.scope_ends:
            self.note(replace(end, elsewhere=end.elsewhere or end.origin in self.committed))
        self.framing.report()
        self.closing.report([e.state for e in normal])
        self.idle_commits.report([e.state for e in normal])
        raises = [
            ("", self._exported(e.state)) if not e.result else (e.result, self._exported(e.state))
            for e in self.exits[-1]
            if e.kind == "raise"
        ]
        raises.extend((name, self._exported(state)) for name, state in self.uncaught)
        for exit_ in (e for e in self.exits[-1] if e.kind == "raise"):
            for key, broken in exit_.state.broken.items():
                if broken.statement:
                    self.escaping(exit_.state, key)
        inserted = tuple(self.inserts.values())
        exposures = tuple(e._replace(models=e.models or inserted) for e in self.exposures.values())
        self.result.summary = Summary(
            self._variants([(e.result, e.state) for e in normal]),
            self._variants([("any", state) for state in self.yields]),
            tuple(dict.fromkeys((name, t) for name, t in raises if t or name))[:MAX_VARIANTS],
            exposures[:MAX_EXPOSURES],
            frozenset(self.touches),
            self.opens,
            inserted,
            self.foreign,
            tuple(sorted(self.stores)),
            self.waiting.waits,
            frozenset(self.refused),
        )
        if self.function.facts.is_generator:
            self.result.after_yield = self.scopes.after_yield([e.state for e in normal])

    def _ended(self, normal: list[Exit]) -> None:
        """Writes still pending on handed-in and shared sessions, for functions that something outside may call."""
        for exit_ in normal:
            for key, transaction in exit_.state.sessions.items():
                writes = tuple(w for w in transaction.pending if w.kind != "consumer" and not w.exposed)
                if exit_.state.deliberate or transaction.unknown or _refused(exit_.state, key):
                    continue
                if key.kind in {"param", "global"} and key.name not in self._entities and writes:
                    leaving = "return" if exit_.kind == "return" else "end"
                    origin = transaction.origin or key
                    committed = any(self.key(o) == key for o in self.committed)
                    self.note(obs.Ended(exit_.loc, origin, writes, leaving, committed, transaction.committed))

    def _variants(self, ends: list[tuple[str, State]]) -> tuple[Variant, ...]:
        return fold(Variant(r, self._exported(state), self.guards(state), _returned_parts(state)) for r, state in ends)

    def guards(self, state: State) -> tuple[tuple[str, str], ...]:
        """What this path has found out about the function's own arguments, for callers that know them."""
        found = ((n, state.facts.get(f"{n}?", state.facts.get(n, _UNTOLD))) for n in self.switches)
        return tuple(sorted((n, fact) for n, fact in found if fact != _UNTOLD))

    def _exported(self, state: State) -> tuple[tuple[v.Origin, Transaction], ...]:
        """The transactions a caller may care about, keyed by an origin the caller can resolve."""
        out = []
        for key, transaction in state.sessions.items():
            if key.kind == "local" or not (transaction.used or transaction.closed):
                continue
            origin = transaction.origin or key
            if origin == INJECTED:
                continue
            kept = tuple(w for w in transaction.pending if w.kind != "consumer")
            out.append((origin, replace(transaction, pending=kept)))
        return tuple(sorted(out, key=lambda item: item[0]))

    # ---- sessions --------------------------------------------------------------------------------------------------

    def key(self, origin: v.Origin) -> v.Origin:
        """The key of a session in the state: sessions that were handed in count as one unless two were."""
        if origin.kind != "param":
            return origin
        if origin.name in self._entities and not origin.path:
            return origin
        return v.Origin(origin.kind, self._distinct.get(origin.name, origin.name)) if self._distinct else INJECTED

    def transaction(self, state: State, origin: v.Origin) -> Transaction:
        return state.sessions.get(self.key(origin), EMPTY)

    def update(self, state: State, origin: v.Origin, transaction: Transaction) -> None:
        """Store a session's new transaction, remembering the origin it was reached through."""
        if transaction.origin is None:
            transaction = replace(transaction, origin=origin)
        key = self.key(origin)
        before = state.sessions.get(key, EMPTY)
        state.sessions[key] = (
            self.tracking.happened(state, key, before, transaction) if transaction.event else transaction
        )
        if origin.kind != "local":
            self.touches.add(origin)

    def is_session_key(self, key: v.Origin) -> bool:
        """Whether a key stands for a session, and not for rows that were handed in."""
        return key == INJECTED or key.name not in self._entities

    def handed_keys(self, state: State) -> list[v.Origin]:
        """Keys of ORM objects that came in as parameters: they belong to the session that came in."""
        return [k for k in state.sessions if k.kind == "param" and k.name in self._entities]

    @property
    def in_loop(self) -> bool:
        """Whether the statement being run is repeated."""
        return self._loops > 0

    def scope(self, state: State) -> Scope:
        return Scope(self.function.module, self.function, state.env)

    def infer_scope(self) -> Scope:
        """The scope of the whole function, for what does not depend on the path."""
        return Scope(self.function.module, self.function)

    def value(self, expr: s.Expr, state: State) -> v.Value:
        return self.infer.expr(expr, self.scope(state))

    # ---- records ---------------------------------------------------------------------------------------------------

    def note(self, observation: obs.Observation) -> None:
        if observation not in self.result.observations:
            self.result.observations.append(observation)

    def event(self, loc: s.Loc, kind: str, text: str, callee: str = "") -> None:
        key = (loc, kind, callee)
        if key not in self._seen_events:
            self._seen_events.add(key)
            self.result.events.append(Event(loc, kind, text, callee))

    def edge(self, callee: sym.Function, loc: s.Loc, how: str) -> None:
        edge = Edge(callee.key, loc, how)
        if edge not in self._seen_edges:
            self._seen_edges.add(edge)
            self.result.edges.append(edge)

    def expose(self, exposure: Exposure, state: State) -> None:
        """Hold every pending write of this path against a place, and remember the place for callers."""
        if exposure.key not in self.exposures and len(self.exposures) < MAX_EXPOSURES:
            self.exposures[exposure.key] = exposure
        loc = exposure.chain[0].loc if exposure.chain else exposure.loc
        for key, transaction in state.sessions.items():
            if exposure.kind == "session" and transaction.open and not transaction.unknown and not transaction.closed:
                origin = transaction.origin or key
                self.note(obs.SecondCheckout(loc, origin, exposure.opener, exposure.loc, exposure.text, exposure.chain))
            writes = tuple(w for w in transaction.pending if w.kind != "consumer" and not w.exposed)
            if writes and not transaction.unknown:
                self.note(
                    obs.Exposed(
                        loc, exposure.kind, transaction.origin or key, writes, exposure.text, exposure.opener,
                        exposure.loc, exposure.models, exposure.chain,
                    )
                )  # fmt: skip

    def may_fail(
        self,
        state: State,
        caught: str = "",
        database: bool = False,
        commit: bool = False,
        refusal: Refusal | None = None,
    ) -> None:
        """A call on this path may raise: the innermost try has to reckon with the state before it (see `Failure`)."""
        if self.watchers:
            self.watchers[-1].append(Failure(state.copy(), caught, database, commit, refusal))
            return
        if refusal is not None:
            self.escaping(state, refusal.key)
        if caught and len(self.uncaught) < MAX_VARIANTS:
            self.uncaught.append((caught, state.copy()))

    def escaping(self, state: State, key: v.Origin) -> None:
        """A failure of the database leaves the function, and the session is not rolled back."""
        origin = self.transaction(state, key).origin or key
        if origin.kind != "local" and origin != INJECTED:
            self.refused.add(origin)

    # ---- statements ------------------------------------------------------------------------------------------------

    def block(self, states: list[State], body: tuple[s.Stmt, ...]) -> list[State]:
        for stmt in body:
            if not states:
                break
            states = self._statement(stmt, states)
            if len(states) > 1:
                self._forgetting.drop_dead(states, stmt)
                states = settle(states)
        return states

    def _statement(self, stmt: s.Stmt, states: list[State]) -> list[State]:
        self.at = stmt.loc
        if isinstance(stmt, s.Expression):
            states = self.effects(stmt.value, states)
            for state in states:
                self.tracking.dropped(stmt.value, state)
            return states
        if isinstance(stmt, s.Assign):
            return self._assign(stmt.targets, stmt.value, states, stmt.loc)
        if isinstance(stmt, s.AnnotatedAssign):
            if stmt.value is None:
                return states
            return self._assign((stmt.target,), stmt.value, states, stmt.loc, stmt.annotation)
        if isinstance(stmt, s.AugmentedAssign):
            states = self.effects(stmt.value, states)
            for state in states:
                forget(state, place_text(stmt.target))
                note_growth(state, stmt.target)
                self._set_attribute(stmt.target, state, stmt.loc)
                self.tracking.set_attribute(stmt.target, None, state, stmt.loc)
            return states
        if isinstance(stmt, s.Delete):
            for state in states:
                for target in stmt.targets:
                    self.tracking.deleted(target, state, stmt.loc)
            return states
        if isinstance(stmt, s.If):
            return self._if(stmt, states)
        if isinstance(stmt, s.Return):
            return self._return(stmt, states)
        if isinstance(stmt, s.Raise):
            return self._raise(stmt, states)
        if isinstance(stmt, (s.For, s.While)):
            return self._loop(stmt, states)
        if isinstance(stmt, s.Try):
            return self.handlers.run(stmt, states)
        if isinstance(stmt, s.With):
            return self.scopes.with_statement(stmt, states)
        if isinstance(stmt, s.Match):
            return self._match(stmt, states)
        if isinstance(stmt, s.Leave):
            self.exits[-1].extend(Exit(stmt.kind, state, stmt.loc) for state in states)
            return []
        if isinstance(stmt, s.Assert):
            states = self.effects(stmt.test, states)
            return [x for x in (assume(self, stmt.test, state, True) for state in states) if x is not None]
        if isinstance(stmt, s.Define):
            for state in states:
                state.env[stmt.name] = self.infer.defined(stmt, self.scope(state))
            return states
        for state in states:
            for binding in stmt.bindings:
                symbol = self.infer.table.resolve(self.function.module, binding)
                if symbol is not None:
                    state.env[binding.local] = self.infer.symbol(symbol)
        return states

    def _assign(
        self,
        targets: tuple[s.Expr, ...],
        value: s.Expr,
        states: list[State],
        loc: s.Loc,
        declared: s.Expr | None = None,
    ) -> list[State]:
        states = self.effects(value, states)
        for state in states:
            found = self.value(value, state)
            if declared is not None and isinstance(found, (v.Unknown, v.ExternalObject)):
                found = self._declared(declared, found, value.loc)
            for target in targets:
                if isinstance(target, s.Collection) and isinstance(value, s.Collection):
                    pairs = list(zip(target.items, value.items, strict=False))
                    if len(pairs) == len(target.items):
                        for inner, part in pairs:
                            self._assign_one(inner, self.value(part, state), part, state, loc)
                        continue
                self._assign_one(target, found, value, state, loc)
        return states

    def _declared(self, annotation: s.Expr, found: v.Value, loc: s.Loc) -> v.Value:
        """What a local is said to be where its value tells nothing: ``db: AsyncSession = request["db"]``."""
        value = self.infer.annotations.value(annotation, self.function.module, self.function)
        if self.infer.holds(v.reroot(value, origin := v.Origin("dependency", place_origin(loc).name))):
            return v.reroot(value, origin)
        return value if isinstance(value, v.ExternalObject) else found

    def _assign_one(self, target: s.Expr, found: v.Value, expr: s.Expr, state: State, loc: s.Loc) -> None:
        if isinstance(target, s.Name):
            if target.id in self.function.parameters:
                # what the caller gave is asked by the first test; from here on the name means something else
                given = "none" if state.facts.get(target.id) in {"none", "falsy"} else _UNTOLD
                state.facts.setdefault(f"{target.id}?", given)
            tied = self._tied(expr, state)
            forget(state, target.id)
            if tied:
                state.tied[target.id] = tied
            state.env[target.id] = found
            self.closing.named(target.id, expr, found)
            self.tracking.bound(target.id, expr, found, state)
            note_result(state, target.id, expr, found)
            if target.id in self.function.facts.globals:
                self.keeping.stored(target, found, expr, state, loc)
        elif isinstance(target, s.Collection):
            parts = parts_of(expr, found, state)
            for index, item in enumerate(target.items):
                inner = item.value if isinstance(item, s.Starred) else item
                self._assign_one(inner, self.infer.item(found, index), expr, state, loc)
                if parts and inner is item and place_text(inner):
                    note_parts(state, place_text(inner), parts, index)
        else:
            forget(state, place_text(target))
            if isinstance(target, s.Subscript) and place_text(target.value):
                state.facts[place_text(target.value)] = "true"  # it holds something now
            if not _normalises(target, expr):
                self._set_attribute(target, state, loc)
            self.tracking.set_attribute(target, expr, state, loc)
            self.keeping.stored(target, found, expr, state, loc)
            self._set_field(target, found, state)
            text = place_text(target)
            if text:
                state.env[text] = found
                note_result(state, text, expr, found)

    def _tied(self, expr: s.Expr, state: State) -> frozenset[WriteKey]:
        """The writes of a statement whose result (rows, row count) the expression holds."""
        known = state.tied.get(root_name(expr))
        if known:
            return known
        path, loc = self.function.module.path, expr.loc
        return frozenset(
            w.key
            for transaction in state.sessions.values()
            for w in transaction.pending
            if w.path == path and not w.chain and w.sent and loc.line <= w.loc.line <= loc.end_line
        )

    def _set_field(self, target: s.Expr, found: v.Value, state: State) -> None:
        """An attribute set on an object built here: from now on it holds that too."""
        if isinstance(target, s.Attribute) and isinstance(target.value, s.Name):
            holder = state.env.get(target.value.id)
            if isinstance(holder, v.Instance) and holder.root is None and self.infer.holds(found):
                fields = {**dict(holder.fields), target.attr: found}
                state.env[target.value.id] = v.Instance(holder.cls, None, tuple(sorted(fields.items())))

    def _set_attribute(self, target: s.Expr, state: State, loc: s.Loc) -> None:
        """Setting an attribute of an ORM object is a write."""
        if isinstance(target, s.Attribute):
            holder = self.value(target.value, state)
            if isinstance(holder, v.Entity) and holder.origin is not None:
                self.calls.write(state, holder.origin, "update", holder.model, loc, flushes=False)

    def _if(self, stmt: s.If, states: list[State]) -> list[State]:
        states = self.effects(stmt.test, states)
        then, other = [], []
        for state in states:
            yes = assume(self, stmt.test, state.copy(), True)
            no = assume(self, stmt.test, state.copy(), False)
            if yes is not None:
                then.append(yes)
            if no is not None:
                other.append(no)
        return self.block(then, stmt.body) + self.block(other, stmt.orelse)

    def _return(self, stmt: s.Return, states: list[State]) -> list[State]:
        if stmt.value is not None:
            states = self.effects(stmt.value, states)
        refuses = stmt.value is not None and is_error_answer(self.infer, stmt.value, self.function)
        for state in states:
            result = "none"
            if refuses:
                state.facts[FAILED] = "true"  # as by an exception: nobody asks for a commit
            if stmt.value is not None:
                found = self.value(stmt.value, state)
                result = result_of(found, stmt.value, state)
                for part, fact in parts_of(stmt.value, found, state).items():
                    state.facts[_RETURNED + part] = fact
                self.scopes.escapes(stmt.value, found, state, stmt.loc)
                self._returned(found, state, stmt.loc)
                self.tracking.returned(stmt.value, state, stmt.loc)
            keys = state.tied.get(root_name(stmt.value)) if stmt.value is not None and result == "any" else None
            if keys:
                nothing = state.copy()
                nothing.drop(keys)
                self.exits[-1].append(Exit("return", nothing, stmt.loc, "false"))
                result = "true"
            self.exits[-1].append(Exit("return", state, stmt.loc, result))
        return []

    def _returned(self, found: v.Value, state: State, loc: s.Loc) -> None:
        """What a function that takes a session gives back, for those who ask whether it is built on it."""
        parameters = self.engine.session_parameters(self.function)
        if parameters and isinstance(found, (v.Instance, v.Options)):
            without = frozenset(
                p.name
                for p in parameters
                if state.facts.get(p.name) in {"none", "falsy"} or state.facts.get(f"{p.name}?") == "none"
            )
            self.note(obs.Returned(loc, found, self.infer.holds(found), without))

    def _raise(self, stmt: s.Raise, states: list[State]) -> list[State]:
        if stmt.exception is not None:
            states = self.effects(stmt.exception, states)
        name = sym.last_name(stmt.exception) or ""
        self.exits[-1].extend(Exit("raise", state, stmt.loc, name) for state in states)
        return []

    def _match(self, stmt: s.Match, states: list[State]) -> list[State]:
        states = self.effects(stmt.subject, states)
        out: list[State] = []
        exhaustive = False
        for case in stmt.cases:
            entered = [state.copy() for state in states]
            for state in entered:
                for name in case.captures:
                    forget(state, name)
                    state.env[name] = v.UNKNOWN
            if case.guard is not None:
                entered = self.effects(case.guard, entered)
            out.extend(self.block(entered, case.body))
            exhaustive = exhaustive or case.always
        return out if exhaustive else out + states

    def _loop(self, stmt: s.For | s.While, states: list[State]) -> list[State]:
        endless = isinstance(stmt, s.While) and isinstance(stmt.test, s.Constant) and bool(stmt.test.value)
        done: list[State] = []
        current = states
        self.exits.append([])
        if isinstance(stmt, s.For):
            current = self.iteration.start(stmt, self.effects(stmt.iterable, states, stmt.is_async))
            for state in states:
                skipped = state.copy()
                over = sym.dotted_text(stmt.iterable)
                if over and skipped.facts.get(over) == "true":
                    continue
                if over:
                    skipped.facts[over] = "falsy"
                done.append(skipped)
        self._loops += 1
        self.looping.enter(stmt)
        self._forgetting.enter_loop(stmt)
        # two rounds reach the fixed point; deeper loops get one, or the rounds would multiply
        for _ in range(2 if self._loops <= _LOOPS_TWICE else 1):
            entered = []
            if isinstance(stmt, s.While):
                current = self.effects(stmt.test, current)
                for state in current:
                    yes = assume(self, stmt.test, state.copy(), True)
                    no = assume(self, stmt.test, state.copy(), False)
                    if yes is not None:
                        entered.append(yes)
                    if no is not None and not endless:
                        done.append(no)
            else:
                for state in current:
                    inner = state.copy()
                    self.iteration.bind_item(stmt, inner)
                    self.tracking.item(stmt, inner)
                    entered.append(inner)
            after = self.block(entered, stmt.body)
            after += [e.state for e in self.exits[-1] if e.kind == "continue"]
            self.exits[-1] = [e for e in self.exits[-1] if e.kind != "continue"]
            self.looping.turned(stmt, after)
            current = settle(after)
            if isinstance(stmt, s.For):
                done.extend(state.copy() for state in current)
        self._loops -= 1
        self.looping.leave(stmt)
        self._forgetting.leave_loop()
        inner_exits = self.exits.pop()
        if isinstance(stmt, s.For):
            for exit_ in inner_exits:
                if exit_.kind in {"return", "break"}:
                    self.scopes.abandon(stmt, exit_.state, exit_.loc)
        broken = [e.state for e in inner_exits if e.kind == "break"]
        self.exits[-1].extend(e for e in inner_exits if e.kind != "break")
        if isinstance(stmt, s.For):
            done, broken = self.iteration.end(stmt, done, broken)
        elif not endless:
            for state in current:
                no = assume(self, stmt.test, state, False)
                if no is not None:
                    done.append(no)
        done = settle(done)
        if stmt.orelse:
            done = self.block(done, stmt.orelse)
        return settle(done + broken)

    # ---- expressions -----------------------------------------------------------------------------------------------

    def effects(self, expr: s.Expr, states: list[State], awaited: bool = False) -> list[State]:
        """Evaluate an expression for what it does, in evaluation order, on every path."""
        kind = type(expr)
        if kind is s.Name or kind is s.Constant or kind is s.Lambda:
            if awaited and kind is s.Name:
                return self.calls.await_value(expr, states)
            return states
        if isinstance(expr, s.Await):
            return self.effects(expr.value, states, awaited=True)
        if isinstance(expr, s.Call):
            states = self.effects(expr.func, states) if not isinstance(expr.func, s.Name) else states
            for argument in expr.args:
                states = self.effects(argument, states)
            for keyword in expr.keywords:
                states = self.effects(keyword.value, states)
            out: list[State] = []
            for state in states:
                out.extend(self.calls.apply(expr, state, awaited))
            return settle(out)
        if isinstance(expr, s.Attribute):
            states = self.effects(expr.value, states)
            for state in states:
                self.tracking.read(expr, state)
            return states
        if isinstance(expr, s.Choice):
            return self._choice(expr, states, awaited)
        if isinstance(expr, s.Yield):
            if expr.value is not None:
                states = self.effects(expr.value, states)
            for state in states:
                self.scopes.suspend(expr, state)
            return states
        if isinstance(expr, s.YieldFrom):
            states = self.effects(expr.value, states)
            return self.iteration.yield_from(expr, states)
        if isinstance(expr, s.Comprehension):
            return self._comprehension(expr, states)
        if isinstance(expr, s.Assigned):
            states = self.effects(expr.value, states)
            for state in states:
                self._assign_one(expr.target, self.value(expr.value, state), expr.value, state, expr.loc)
            return states
        for child in sym.children(expr):
            states = self.effects(child, states)
        return states

    def _choice(self, expr: s.Choice, states: list[State], awaited: bool) -> list[State]:
        if expr.kind == "if" and expr.test is not None:
            states = self.effects(expr.test, states)
            out: list[State] = []
            for wanted, option in ((True, expr.options[0]), (False, expr.options[1])):
                entered = [x for x in (assume(self, expr.test, st.copy(), wanted) for st in states) if x is not None]
                out.extend(self.effects(option, entered, awaited))
            return settle(out)
        states = self.effects(expr.options[0], states)
        skipped: list[State] = []
        going_on = expr.kind == "and"
        for previous, option in zip(expr.options, expr.options[1:], strict=False):
            if any(isinstance(e, (s.Call, s.Await)) for e in sym.walk(option)):
                skipped.extend(state.copy() for state in states)
                reached = [assume(self, previous, state, going_on) for state in states]
                states = self.effects(option, [state for state in reached if state is not None])
        return settle(states + skipped)

    def _comprehension(self, expr: s.Comprehension, states: list[State]) -> list[State]:
        for clause in expr.clauses[:1]:
            states = self.effects(clause.iterable, states)
        if not any(isinstance(e, (s.Call, s.Await)) for x in expr.elements for e in sym.walk(x)):
            return states
        out = [state.copy() for state in states]
        for state in states:
            outer = dict(state.env)
            inner = self.infer.comprehension_scope(expr, self.scope(state))
            state.env = dict(inner.env or {})
            for element in expr.elements:
                for after in self.effects(element, [state]):
                    after.env = dict(outer)
                    out.append(after)
        return settle(out)


def _refused(state: State, key: v.Origin) -> bool:
    """A handler swallowed a failed flush or commit of the session: what it holds can only be rolled back."""
    broken = state.broken.get(key)
    return broken is not None and broken.statement in {"flush", "commit"}


def _returned_parts(state: State) -> tuple[tuple[str, str], ...]:
    """What is known of the parts of the returned value."""
    return tuple(sorted((k[len(_RETURNED) :], x) for k, x in state.facts.items() if k.startswith(_RETURNED)))


def _normalises(target: s.Expr, expr: s.Expr) -> bool:
    """``row.id = str(row.id)``: the same value in another type, nothing to save."""
    if not isinstance(expr, s.Call) or len(expr.args) != 1 or expr.keywords or not isinstance(expr.func, s.Name):
        return False
    return sym.dotted_text(expr.args[0]) == sym.dotted_text(target) != ""


def result_of(found: v.Value, expr: s.Expr, state: State) -> str:
    """The truth of a returned value: true, false, none, or any."""
    if isinstance(found, v.Literal):
        if found.value is None:
            return "none"
        return "true" if found.value else "false"
    known = truth(expr, state)
    if known is not None:
        return "true" if known else ("none" if state.facts.get(place_text(expr)) == "none" else "false")
    inner = expr.value if isinstance(expr, s.Await) else expr
    return state.results.get((id(inner), ""), "any")


__all__ = ["INJECTED", "Exit", "Frame", "Owned"]
