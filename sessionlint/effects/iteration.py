"""Loops over generators: the body runs at their yields, with what they did up to there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sessionlint.effects.conditions import forget
from sessionlint.effects.state import State
from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v

if TYPE_CHECKING:
    from sessionlint.effects.interpreter import Frame

#: implementations of an abstract generator that are looked at
_MAX_TARGETS = 3


class Iteration:
    """Runs the loops of one frame."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def start(self, stmt: s.For, states: list[State]) -> list[State]:
        """Begin a loop: over a generator the body sees what the generator did up to its yields."""
        out: list[State] = []
        for state in states:
            value = self._frame.value(stmt.iterable, state)
            generator = _generator(value)
            if generator is None:
                if stmt.is_async and isinstance(value, (v.Unknown, v.ExternalObject)):
                    self._frame.event(stmt.loc, "await", f"async for over {_iterated_text(stmt.iterable)}")
                out.append(state)
                continue
            if self._frame.scopes.drive(stmt, generator, state):
                out.append(state)
                continue
            out.extend(self._iterate(generator, stmt.loc, state))
        return out

    def _iterate(self, generator: v.Running, loc: s.Loc, state: State) -> list[State]:
        frame = self._frame
        paths: list[State] = []
        for function in self._implementations(generator.function):
            summary = frame.engine.result(function).summary
            frame.edge(function, loc, "iterate")
            frame.event(loc, "iterate", function.qualname, function.key)
            for path in self._frame.calls.instantiate(
                summary, function, generator.arguments(), loc, None, state.copy(), variants=summary.yields
            ):
                for key, transaction in path.sessions.items():
                    shown = tuple(
                        w._replace(exposed=True) if w.chain and w.chain[0].loc == loc else w
                        for w in transaction.pending
                    )
                    # what the generator opened is its own to answer for at its own yields
                    was_open = state.sessions[key].open if key in state.sessions else False
                    path.sessions[key] = replace(transaction, pending=shown, open=was_open)
                paths.append(path)
        return paths or [state]

    def _implementations(self, function: sym.Function) -> list[sym.Function]:
        if function.is_abstract and function.owner is not None:
            return self._frame.infer.classes.implementations(function.owner, function.name)[:_MAX_TARGETS]
        return [function]

    def bind_item(self, stmt: s.For, state: State) -> None:
        """Bind the loop variable for one round."""
        frame = self._frame
        value = self._frame.infer.iterate(frame.value(stmt.iterable, state))
        over = sym.dotted_text(stmt.iterable)
        if over:
            state.facts[over] = "true"  # a loop body runs only where there is something to run over
        names: dict[str, v.Value] = {}
        self._frame.infer.bind_target(stmt.target, value, names)
        for name, found in names.items():
            forget(state, name)
            state.env[name] = found

    def end(self, stmt: s.For, done: list[State], broken: list[State]) -> tuple[list[State], list[State]]:
        """Finish a loop: a generator that was exhausted ran to its end, one that was left did not."""
        finished: list[State] = []
        for state in done:
            generator = _generator(self._frame.value(stmt.iterable, state))
            driven = any(o.driven and o.opened == stmt.loc for o in self._frame.owned.values())
            finished.extend([state] if generator is None or driven else self._exhaust(generator, stmt.loc, state))
        for state in (*finished, *broken):
            self._frame.scopes.abandon(stmt, state)
        return finished, broken

    def _exhaust(self, generator: v.Running, loc: s.Loc, state: State) -> list[State]:
        """What a generator did by the time it ended, behind its last yield included."""
        paths: list[State] = []
        for function in self._implementations(generator.function):
            summary = self._frame.engine.result(function).summary
            paths.extend(self._frame.calls.finished(summary, function, generator.arguments(), loc, state))
        return paths or [state]

    def yield_from(self, expr: s.YieldFrom, states: list[State]) -> list[State]:
        out: list[State] = []
        for state in states:
            generator = _generator(self._frame.value(expr.value, state))
            if generator is None:
                self._frame.scopes.suspend(s.Yield(None, expr.loc), state)
                out.append(state)
                continue
            for path in self._iterate(generator, expr.loc, state):
                self._frame.scopes.suspend(s.Yield(None, expr.loc), path)
                out.append(path)
        return out


def _generator(value: v.Value) -> v.Running | None:
    for option in v.options_of(value):
        if isinstance(option, v.Running) and option.function.facts.is_generator and not option.wrapper:
            return option
        if isinstance(option, v.Running) and option.function.is_abstract and not option.wrapper:
            return option
    return None


def _iterated_text(expr: s.Expr) -> str:
    if isinstance(expr, s.Call):
        return f"{sym.dotted_text(expr.func) or sym.last_name(expr.func) or 'call'}()"
    return sym.dotted_text(expr) or "a stream"
