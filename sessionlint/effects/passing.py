"""Optional sessions and units of work that a call leaves out although one is at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionlint.effects import observations as obs
from sessionlint.effects.state import State
from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.arguments import argument_for
from sessionlint.project.infer import Scope

if TYPE_CHECKING:
    from sessionlint.effects.interpreter import Frame


class Passing:
    """Looks at the calls of one frame for what they do not pass on."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def check(self, target: v.FunctionRef, call: s.Call, state: State) -> None:
        """An optional session or unit parameter without an argument, while one is at hand."""
        frame = self._frame
        function = target.function
        if any(k.name is None for k in call.keywords) or any(isinstance(a, s.Starred) for a in call.args):
            return
        if isinstance(frame.value(call.func, state), v.Options):
            return  # which of several callees is meant is not known
        for parameter in function.facts.parameters:
            if not (isinstance(parameter.default, s.Constant) and parameter.default.value is None):
                continue
            if argument_for(function, call, parameter.name) is not None:
                continue
            if not self._needs(function, parameter.name):
                continue
            wanted = self._frame.infer.parameter(function, parameter.name)
            if not frame.engine.is_transactional(wanted):
                continue
            given = {n for n, x in self._frame.calls.arguments(call, state) if self._frame.infer.holds(x)}
            if given or any(self._frame.infer.holds(frame.value(a, state)) for a in call.args):
                continue
            if target.receiver is not None and self._frame.infer.holds(target.receiver):
                continue
            at_hand = self._at_hand(wanted, state)
            if at_hand:
                frame.note(obs.LeftOut(call.loc, function, parameter.name, at_hand))

    def _needs(self, function: sym.Function, parameter: str) -> bool:
        """Whether leaving the parameter out changes where something is written: another session, or nowhere."""
        summary = self._frame.engine.result(function).summary
        wrote = any(o.name == parameter and t.pending for variant in summary.variants for o, t in variant.transactions)
        return bool(summary.variants) and (summary.opens or wrote or self._decorator_opens(function))

    def _decorator_opens(self, function: sym.Function) -> bool:
        """Whether a decorator of the project opens a session around the function."""
        for decorator in function.facts.decorators:
            inner = decorator.func if isinstance(decorator, s.Call) else decorator
            value = self._frame.infer.expr(inner, Scope(function.module, function.parent))
            if isinstance(value, v.FunctionRef):
                wrappers = [f for f in value.function.nested.values() if isinstance(f, sym.Function)]
                if any(self._frame.engine.result(f).summary.opens for f in wrappers):
                    return True
        return False

    def _at_hand(self, wanted: v.Value, state: State) -> str:
        frame = self._frame
        held = frame.engine.session_at_hand(frame.function)
        if isinstance(wanted, v.Session) and held is not None and held.path:
            return str(held)
        names = [*frame.function.parameters, *(n for n in state.env if "." not in n)]
        for name in dict.fromkeys(names):
            if name == frame.function.receiver or state.facts.get(name) in {"none", "falsy"}:
                continue
            value = state.env.get(name)
            if value is None:
                value = self._frame.infer.name(name, frame.scope(state))
            if isinstance(wanted, v.Session) and isinstance(value, v.Session) and value.origin is not None:
                if value.origin.kind == "global":
                    continue
                owned = frame.owned.get(value.origin)
                if owned is None or owned.active:
                    return name
            if isinstance(wanted, v.Instance) and isinstance(value, v.Instance):
                if wanted.cls in self._frame.infer.classes.mro(value.cls) and self._is_open(value):
                    return name
        return ""

    def _is_open(self, value: v.Value) -> bool:
        """Whether the block that owns what a value holds has not ended yet."""
        owners = [self._frame.owned.get(o) for o in self._frame.infer.holds(value)]
        return all(owned is None or owned.active for owned in owners)
