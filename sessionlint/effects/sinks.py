"""Outside callables that run what they are given somewhere else: gather, tasks, groups, background jobs, streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionlint.effects import observations as obs
from sessionlint.effects.state import State
from sessionlint.effects.summary import Exposure, Summary
from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v

if TYPE_CHECKING:
    from sessionlint.effects.calls import Calls
    from sessionlint.effects.interpreter import Frame


class Sinks:
    """One call of such a callable."""

    def __init__(self, frame: Frame, calls: Calls) -> None:
        self._frame = frame
        self._calls = calls
        self._infer = frame.infer

    def run(self, kind: str, dotted: str, call: s.Call, state: State, awaited: bool) -> list[State]:
        """The paths after the call; ``kind`` is the catalogue's word."""
        if kind == "concurrent":
            return self._concurrent(call, state, awaited)
        if kind in {"task", "group"}:
            return self._task(kind, call, state, awaited)
        if kind == "background":
            self._background(call, state)
            return [state]
        if kind == "stream":
            self._stream(call, state)
            if dotted.endswith(("EventSourceResponse", "EventStreamResponse")):  # lasts as long as its client
                self._frame.waiting.here("stream", f"{sym.last_name(call.func) or dotted}()", call.loc, state)
            return [state]
        self._thread(call, state, awaited)
        return [state]

    # ---- threads ---------------------------------------------------------------------------------------------------

    def _thread(self, call: s.Call, state: State, awaited: bool) -> None:
        """Work for another thread: no place for an async session, nor for a sync one that others use meanwhile."""
        frame = self._frame
        flavours: dict[v.Origin, bool | None] = {}
        for argument in (*call.args, *(k.value for k in call.keywords)):
            value = frame.value(argument, state)
            receiver = value.receiver if isinstance(value, v.Method) else value
            for origin in self._infer.holds(receiver):
                flavours[origin] = self._is_async(origin, state)
        for is_async in (True, False):
            origins = tuple(sorted(o for o, flavour in flavours.items() if flavour is is_async))
            if origins and (is_async or (not awaited and frame.in_loop)):
                text = _work_text(call.args[0]) if call.args else "work"
                kind = "thread-async" if is_async else "thread"
                frame.note(obs.Spawned(call.loc, kind, origins, text, awaited))
        for origin in flavours:
            frame.update(state, origin, frame.transaction(state, origin).give_away())

    def _is_async(self, origin: v.Origin, state: State) -> bool | None:
        """The kind of the session at an origin of this function."""
        frame = self._frame
        names = (*frame.function.parameters, *(n for n in state.env if "." not in n))
        for name in names:
            value = state.env.get(name) or frame.infer.name(name, frame.scope(state))
            if isinstance(value, v.Session) and value.origin == origin:
                return value.is_async
        binding = {n: self._infer.parameter(frame.function, n) for n in frame.function.parameters}
        found = self._infer.resolve_origin(origin, binding) if origin.kind == "param" else v.UNKNOWN
        return found.is_async if isinstance(found, v.Session) else None

    # ---- concurrency -----------------------------------------------------------------------------------------------

    def uses(self, value: v.Value) -> frozenset[v.Origin]:
        """The sessions a piece of work will touch when it runs."""
        if isinstance(value, v.Running):
            summary = self._frame.engine.result(value.function).summary
            binding = value.arguments()
            found: frozenset[v.Origin] = frozenset()
            for origin in summary.touches - _only_added(summary):
                found |= self._calls.resolve(origin, binding)
            for given in binding.values():  # a coroutine that is handed to another one is awaited there
                if isinstance(given, (v.Running, v.Task)) and given is not value:
                    found |= self.uses(given)
            return frozenset(o for o in found if self._is_async_session(o))
        if isinstance(value, v.Task):
            return frozenset().union(*(self.uses(w) for w in value.work), frozenset())
        if isinstance(value, v.Sequence):
            return self.uses(value.item)
        if isinstance(value, v.Options):
            return frozenset().union(*(self.uses(o) for o in value.options), frozenset())
        if isinstance(value, v.Tuple):
            return frozenset().union(*(self.uses(o) for o in value.items), frozenset())
        return frozenset()

    def _is_async_session(self, origin: v.Origin) -> bool:
        """Rows handed in are no session, and a sync one is not given up in the middle of a call."""
        frame = self._frame
        if origin.kind != "param":
            return True
        if origin.name in frame.function.parameters:
            held = self._infer.parameter(frame.function, origin.name)
            if not self._infer.holds(held):
                return False
        binding = {n: self._infer.parameter(frame.function, n) for n in frame.function.parameters}
        value = self._infer.resolve_origin(origin, binding)
        return not (isinstance(value, v.Session) and value.is_async is False)

    def _argument_uses(self, expr: s.Expr, state: State) -> tuple[frozenset[v.Origin], bool]:
        """(sessions an argument's work touches, whether the argument stands for several pieces of work)."""
        frame = self._frame
        many = isinstance(expr, s.Starred)
        inner = expr.value if isinstance(expr, s.Starred) else expr
        value = frame.value(inner, state)
        found = self.uses(value)
        if isinstance(inner, s.Call):
            target = frame.value(inner.func, state)
            if isinstance(target, v.Method) and isinstance(target.receiver, v.Session) and target.receiver.origin:
                found |= {target.receiver.origin}
            else:
                found |= self._handed(inner, state)
        if many and isinstance(inner, s.Name) and inner.id in frame.scopes.grown:
            many = len({loc for loc, _ in frame.scopes.grown[inner.id]}) > 1 or frame.scopes.grown_in_loop(inner.id)
        if many and isinstance(value, v.Tuple):
            many = len(value.items) > 1
        if isinstance(inner, s.Comprehension):
            each = inner.elements[-1].value if isinstance(inner.elements[-1], s.Await) else inner.elements[-1]
            found |= self._handed(each, state) if isinstance(each, s.Call) else frozenset()
            found = frozenset(o for o in found if not _inside(o, inner.loc))
        return found, many

    def _handed(self, call: s.Call, state: State) -> frozenset[v.Origin]:
        """The sessions that are arguments of a call which cannot be followed."""
        if isinstance(self._frame.value(call.func, state), (v.FunctionRef, v.ClassRef)):
            return frozenset()
        given = (self._frame.value(argument, state) for argument in call.args)
        return frozenset(x.origin for x in given if isinstance(x, v.Session) and x.origin is not None)

    def _concurrent(self, call: s.Call, state: State, awaited: bool) -> list[State]:
        counts: dict[v.Origin, list[str]] = {}
        for argument in call.args:
            inner = argument
            if isinstance(argument, s.Collection):
                parts: tuple[s.Expr, ...] = argument.items
            else:
                parts = (inner,)
            for part in parts:
                found, many = self._argument_uses(part, state)
                text = _work_text(part)
                for origin in found:
                    counts.setdefault(origin, []).extend([text, text] if many else [text])
        for origin, users in counts.items():
            if len(users) > 1 and not self._own_each(origin, call):
                how = sym.dotted_text(call.func) or "gather"
                self._frame.note(obs.Shared(call.loc, origin, tuple(users[:4]), how))
        if awaited:
            return self._calls.awaits_inside(call, state)
        return [state]

    def _own_each(self, origin: v.Origin, call: s.Call) -> bool:
        owned = self._frame.owned.get(origin)
        return owned is not None and call.loc.line <= owned.opened.line <= call.loc.end_line

    # ---- tasks -----------------------------------------------------------------------------------------------------

    def _task(self, kind: str, call: s.Call, state: State, awaited: bool) -> list[State]:
        frame = self._frame
        scopes = frame.scopes
        values = [value for _, value in self._calls.arguments(call, state)]
        work = values[0] if values else v.UNKNOWN
        if isinstance(work, v.FunctionRef):
            binding = self._infer.bind(work, values[1:], [])
            work = v.Running(work.function, tuple(binding.items()))
        if isinstance(work, v.Running):
            self._calls.spawn(work.function, call.loc, state)
        used = self.uses(work) | frozenset(
            x.origin for n, x in (work.binding if isinstance(work, v.Running) else ())
            if isinstance(x, v.Session) and x.origin is not None
        )  # fmt: skip
        reach = self._infer.holds(work) if used else frozenset()
        held = reach & used | frozenset(o for o in used if o.root in reach and self._is_injected(o))
        joined = awaited or (kind == "group" and not _is_kept_elsewhere(call)) or scopes.is_joined(call)
        text = _work_text(call.args[0]) if call.args else ""
        if joined:
            if not awaited:
                for origin in used:
                    scopes.concurrent_use(origin, call, text, state)
            if awaited and isinstance(work, v.Running):
                return self._calls.run(work.function, work.arguments(), call.loc, None, state)
        elif held - self._closed_by(work):
            frame.note(obs.Spawned(call.loc, "task", tuple(sorted(held - self._closed_by(work))), text, False))
        for origin in held:
            if not awaited:
                frame.update(state, origin, frame.transaction(state, origin).give_away())
        return [state]

    def _is_injected(self, origin: v.Origin) -> bool:
        """Whether a framework fills the parameter, and so ends what its object holds when the call is over."""
        function = self._frame.function
        parameter = function.parameters.get(origin.name)
        return parameter is not None and self._infer.dependency(function, parameter) is not None

    def _closed_by(self, work: v.Value) -> frozenset[v.Origin]:
        """Sessions that a piece of work closes whatever way it ends: they are handed over, not lent."""
        if not isinstance(work, v.Running):
            return frozenset()
        binding, variants = work.arguments(), self._frame.engine.result(work.function).summary.variants
        closed = [{o for o, transaction in variant.transactions if transaction.closed} for variant in variants]
        everywhere = set[v.Origin].intersection(*closed) if closed else set[v.Origin]()
        return frozenset().union(*(self._calls.resolve(origin, binding) for origin in everywhere), frozenset())

    def _background(self, call: s.Call, state: State) -> None:
        frame = self._frame
        held: frozenset[v.Origin] = frozenset()
        arguments = self._calls.arguments(call, state)
        unread = self._unread(arguments)
        for _, value in arguments:
            if not any(value is x for x in unread):
                held |= self._infer.holds(value)
            if isinstance(value, v.FunctionRef):
                frame.edge(value.function, call.loc, "spawn")
                frame.event(call.loc, "spawn", value.function.qualname, value.function.key)
        if held:
            text = _work_text(call.args[0]) if call.args else ""
            frame.note(obs.Spawned(call.loc, "background", tuple(sorted(held)), text, False))

    def _unread(self, arguments: list[tuple[str, v.Value]]) -> list[v.Value]:
        """Arguments of a background job that its function never looks at."""
        job = arguments[0][1] if arguments else v.UNKNOWN
        if not isinstance(job, v.FunctionRef) or job.function.owner is not None:
            return []  # another class may define the method again
        given = [value for name, value in arguments[1:] if not name]
        binding = self._infer.bind(job, given, [(name, value) for name, value in arguments if name])
        read = _names_read(job.function)
        return [x for n, x in binding.items() if n in job.function.parameters and n not in read]

    # ---- streams ---------------------------------------------------------------------------------------------------

    def _stream(self, call: s.Call, state: State) -> None:
        frame = self._frame
        for _, value in self._calls.arguments(call, state):
            for option in v.options_of(value):
                function, binding = self._generator_of(option)
                if function is None:
                    continue
                summary = frame.engine.result(function).summary
                origins: frozenset[v.Origin] = frozenset()
                for origin in summary.touches:
                    origins |= self._calls.resolve(origin, binding)
                frame.edge(function, call.loc, "stream")
                frame.event(call.loc, "stream", function.qualname, function.key)
                frame.note(obs.Streamed(call.loc, function, tuple(sorted(origins)), tuple(sorted(binding.items()))))
                here = frozenset(o for o, t in state.sessions.items() if t.committed or t.rolled_back)
                frame.expose(Exposure("stream", frame.function.module.path, call.loc, function.qualname, here), state)
                for origin in origins:
                    frame.update(state, origin, frame.transaction(state, origin).give_away())

    def _generator_of(self, value: v.Value) -> tuple[sym.Function | None, dict[str, v.Value]]:
        """What is run to get the items of a value, and with which arguments."""
        if isinstance(value, v.Running) and value.function.facts.is_generator and not value.wrapper:
            return value.function, value.arguments()
        if isinstance(value, v.Instance):
            for name in ("__aiter__", "__iter__"):
                method = self._infer.classes.method(value.cls, name)
                if method is not None and method.facts.is_generator and method.receiver is not None:
                    return method, {method.receiver: value}
        return None, {}


def _only_added(summary: Summary) -> frozenset[v.Origin]:
    """Sessions that a function does nothing to but ``add()``: it never waits for the database there."""
    kept: dict[v.Origin, bool] = {}
    for variant in summary.variants:
        for origin, transaction in variant.transactions:
            sent = transaction.committed or transaction.rolled_back or transaction.closed or transaction.unknown
            silent = not (sent or transaction.flushed or transaction.open) and bool(transaction.pending)
            kept[origin] = kept.get(origin, True) and silent
    return frozenset(origin for origin, silent in kept.items() if silent)


def _names_read(function: sym.Function) -> set[str]:
    """Names a function uses, those of functions written inside it included."""
    inner = (f for f in function.module.functions.values() if f is function or f.parent is function)
    bodies = (top for f in inner for stmt in f.statements for top in sym.statement_expressions(stmt))
    return {e.id for top in bodies for e in sym.walk(top) if isinstance(e, s.Name)}


def _is_kept_elsewhere(call: s.Call) -> bool:
    """``app.state.tasks.start_soon(...)``: the group is the application's, and is not left with this function."""
    return ".state." in sym.dotted_text(call.func)


def _work_text(expr: s.Expr) -> str:
    inner = expr.value if isinstance(expr, (s.Starred, s.Await)) else expr
    if isinstance(inner, s.Comprehension):
        inner = inner.elements[-1]
    if isinstance(inner, s.Call):
        return f"{sym.dotted_text(inner.func) or 'call'}()"
    return sym.dotted_text(inner) or "work"


def _inside(origin: v.Origin, loc: s.Loc) -> bool:
    if origin.kind != "local":
        return False
    line = int(origin.name.partition(":")[0] or 0)
    return loc.line <= line <= loc.end_line
