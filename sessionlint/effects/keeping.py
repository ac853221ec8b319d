"""What a function keeps of the sessions it works with: on objects, classes, globals, registries, and in lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sessionlint.effects import observations as obs
from sessionlint.effects.conditions import note_growth
from sessionlint.effects.state import State
from sessionlint.effects.summary import Store, Summary
from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.keeping import takes_out
from sessionlint.project.lifetimes import is_application_state, place_of

if TYPE_CHECKING:
    from sessionlint.effects.interpreter import Frame


class Keeping:
    """Watches the stores of one frame."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def stored(self, target: s.Expr, found: v.Value, expr: s.Expr, state: State, loc: s.Loc) -> None:
        """An object that holds a session is assigned to something that may live longer than the session."""
        frame = self._frame
        origins = tuple(sorted(self._frame.infer.holds(found)))
        passed = self._keeps_parameter(target, expr)
        if not origins or passed:
            return
        scoped = False
        if not isinstance(target, s.Name):
            frame.closing.leaves(origins)
        for origin in origins:
            owned = frame.owned.get(origin)
            if owned is not None:
                scoped = scoped or owned.active
                owned.escaped = owned.escaped or not isinstance(target, s.Name)
        if isinstance(target, s.Name):
            holder, attr = f"global:{frame.function.module.dotted}", target.id
        elif isinstance(target, s.Attribute):
            holder_value = frame.value(target.value, state)
            holder, attr = _holder_of(holder_value, target.value, frame.function), target.attr
        elif isinstance(target, s.Subscript):
            state_of_app = is_application_state(frame.infer, target, frame.infer_scope())
            holder, attr = "state" if state_of_app else _registry_of(target.value, frame), ""
            if takes_out(frame.function, sym.dotted_text(target.value)):
                return
        else:
            return
        if not holder:
            return
        text = place_of(target) if isinstance(target, s.Subscript) else sym.dotted_text(target)
        frame.note(obs.Stored(loc, text, holder, attr, origins, found, scoped))

    def _keeps_parameter(self, target: s.Expr, expr: s.Expr) -> bool:
        """A setter: what it is given is kept on its object. Whether that is a fault, the caller's argument decides."""
        function = self._frame.function
        if not isinstance(expr, s.Name) or expr.id not in function.parameters or function.owner is None:
            return False
        inner = target.value if isinstance(target, s.Subscript) else target
        if not isinstance(inner, s.Attribute) or not isinstance(inner.value, s.Name):
            return False
        if inner.value.id != function.receiver or function.name.startswith("__"):
            return False
        self._frame.stores.add(Store(expr.id, f"self:{function.owner.key}", f"{function.owner.name}.{inner.attr}"))
        return True

    def kept_by(self, summary: Summary, binding: Mapping[str, v.Value], loc: s.Loc, state: State) -> None:
        """What a callee keeps of its arguments, seen from here."""
        frame = self._frame
        for store in summary.stores:
            value = binding.get(store.parameter, v.UNKNOWN)
            origins = tuple(sorted(self._frame.infer.holds(value)))
            if origins:
                frame.closing.leaves(origins)
                active = [frame.owned[o].active for o in origins if o in frame.owned]
                frame.note(obs.Stored(loc, store.target, store.holder, "", origins, value, any(active)))

    def put(self, call: s.Call, state: State) -> None:
        """``REGISTRY.setdefault(key, x)``, ``SERVICES.append(x)``: a store into what may live longer than the session.

        Of what is put only objects and sessions count: a task that is kept alive by a set ends by itself.
        """
        if not isinstance(call.func, s.Attribute) or not call.args:
            return
        found = self._frame.value(call.args[-1], state)
        if any(isinstance(option, (v.Instance, v.Session)) for option in v.options_of(found)):
            place = s.Subscript(call.func.value, s.Constant(None, call.loc), call.loc)
            self.stored(place, found, call.args[-1], state, call.loc)

    def grow(self, call: s.Call, state: State) -> None:
        """``items.append(x)``: where ``items`` is a local list, remember what is in it (tasks for gather)."""
        if isinstance(call.func, s.Attribute) and isinstance(call.func.value, s.Name) and call.args:
            name = call.func.value.id
            current = state.env.get(name)
            note_growth(state, call.func.value)
            if isinstance(current, v.Sequence):
                value = self._frame.value(call.args[-1], state)
                self._frame.closing.leaves(self._frame.infer.holds(value))
                self._frame.scopes.grown.setdefault(name, []).append((call.loc, value))
                state.env[name] = v.Sequence(v.union((current.item, value)))


def _holder_of(value: v.Value, expr: s.Expr, function: sym.Function) -> str:
    """What kind of thing an attribute is set on: ``self:KEY``, ``object:KEY``, ``class:KEY``, ``state``, or nothing."""
    if isinstance(value, v.Instance):
        if isinstance(expr, s.Name) and expr.id == function.receiver:
            return f"self:{value.cls.key}"
        if value.root is not None and value.root.kind == "global":
            return f"object:{value.cls.key}"
        return ""
    if isinstance(value, v.ClassRef):
        return f"class:{value.cls.key}"
    if isinstance(value, v.ModuleRef):
        return f"global:{value.module.dotted}"
    text = sym.dotted_text(expr)
    if isinstance(value, (v.ExternalObject, v.Unknown)) and (text.endswith(("app.state", ".app"))):
        return "state"
    return ""


def _registry_of(expr: s.Expr, frame: Frame) -> str:
    """A subscript store counts where the container is a module-level name, or an attribute of the object."""
    if isinstance(expr, s.Attribute):
        return _holder_of(frame.infer.expr(expr.value, frame.infer_scope()), expr.value, frame.function)
    if isinstance(expr, s.Name) and expr.id not in frame.function.bindings and expr.id not in frame.function.parameters:
        symbol = frame.infer.table.lookup(frame.function.module, expr.id)
        if isinstance(symbol, sym.Global):
            return f"global:{symbol.module.dotted}"
    return ""
