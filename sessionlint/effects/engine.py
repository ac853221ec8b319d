"""Interprets functions on demand and remembers their results: the solver of summaries over the call graph.

A recursion is run a second time with what the first run gave, which is enough because the sets that can grow are keyed
by place.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from functools import cached_property

from sessionlint.effects import catalog
from sessionlint.effects.collaborators import Collaborators
from sessionlint.effects.interpreter import Frame
from sessionlint.effects.slow import Slow
from sessionlint.effects.state import State, Transaction, Write
from sessionlint.effects.summary import Result, Summary
from sessionlint.facts.shape import Call, Constant, Expr, Loc, Parameter
from sessionlint.findings import Place, Unresolved
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Inference, Scope


class Engine:
    """Interprets functions and remembers their results."""

    def __init__(self, infer: Inference, slow_awaits: Iterable[str]) -> None:
        self.infer = infer
        self.catalog = catalog.load()
        self.slow = Slow(slow_awaits, self.catalog.slow)
        self._collaborators = Collaborators(infer)
        self._results: dict[Hashable, Result] = {}
        self._running: dict[Hashable, bool] = {}
        self._unresolved: dict[tuple[str, Loc], Unresolved] = {}
        self._at_hand: dict[str, v.Origin | None] = {}
        self._units: dict[str, str] = {}

    def result(self, function: sym.Function) -> Result:
        """The interpretation of a function; of one that is being interpreted, what is known so far."""
        return self._solved(function, function.key, {})

    def summary(self, function: sym.Function, binding: Mapping[str, v.Value]) -> Summary:
        """What a call with these arguments does.

        A method of an object that was built with certain implementations of its interfaces is run with those.
        """
        receiver = binding.get(function.receiver) if function.receiver is not None else None
        built = self._collaborators.of(function, receiver)
        if built is None or function.receiver is None:
            return self.result(function).summary
        return self._solved(function, (function.key, built), {function.receiver: built}).summary

    def _solved(self, function: sym.Function, key: Hashable, env: dict[str, v.Value]) -> Result:
        known = self._results.get(key)
        if known is not None:
            if key in self._running:
                self._running[key] = True
            return known
        self._results[key] = Result(function)
        self._running[key] = False
        result = self._interpret(function, env)
        if self._running[key]:
            self._results[key] = result
            result = self._interpret(function, env)
        del self._running[key]
        self._results[key] = result
        return result

    def _interpret(self, function: sym.Function, env: dict[str, v.Value]) -> Result:
        """Run one function; one that is nested too deeply is given up and said, and the rest goes on."""
        try:
            return Frame(self, function).run(State(dict(env), {}, {}) if env else None)
        except RecursionError:
            key = (function.module.path, function.facts.loc)
            place = Place(function.module.path, *function.facts.loc)
            self._unresolved[key] = Unresolved(place, function.qualname, "it is nested too deeply to be followed")
            return Result(function)

    @property
    def unresolved(self) -> tuple[Unresolved, ...]:
        return tuple(sorted(self._unresolved.values(), key=lambda u: u.place))

    def note_unresolved(self, function: sym.Function, call: Call, package: str = "") -> None:
        """Count a call that was given a session and could not be followed, to a ``package`` or nobody knows where."""
        if function.module.is_test:
            return
        key = (function.module.path, call.loc)
        if key not in self._unresolved:
            text = sym.dotted_text(call.func) or sym.last_name(call.func) or "call"
            reason = f"it leads into the package {package}" if package else "its target could not be determined"
            self._unresolved[key] = Unresolved(Place(function.module.path, *call.loc), f"{text}()", reason, package)

    @cached_property
    def autoflush(self) -> str:
        """Whether sessions of this project flush before queries: on, off, or mixed where factories differ."""
        said = set()
        for maker in ("sessionmaker", "async_sessionmaker", "Session", "AsyncSession"):
            for module, _, call in self.infer.call_sites(maker):
                if module.is_test:
                    continue
                given = next((k.value for k in call.keywords if k.name == "autoflush"), None)
                off = isinstance(given, Constant) and given.value is False
                said.add("off" if off else "on")
        return said.pop() if len(said) == 1 else "mixed" if said else "on"

    # ---- questions about functions and classes ---------------------------------------------------------------------

    def session_parameters(self, function: sym.Function) -> list[v.Origin]:
        """Origins of the parameters that are sessions themselves."""
        return [
            v.Origin("param", p.name)
            for p in function.facts.parameters
            if isinstance(self.infer.parameter(function, p.name), v.Session)
        ]

    def distinct_sessions(self, function: sym.Function) -> dict[str, str]:
        """Of a function that takes two sessions, which have to be told apart: parameter -> the first one that shares
        its session. Empty where all that it is handed counts as one."""
        if len(self.session_parameters(function)) > 1:
            return {p.name: p.name for p in function.facts.parameters}
        sources = {p.name: self._sources(function, p, ()) for p in function.facts.parameters}
        found = {name: source for name, source in sources.items() if source}
        if len(set(found.values())) < 2:
            return {}
        first: dict[frozenset[str], str] = {}
        return {name: first.setdefault(found[name], name) if name in found else name for name in sources}

    def _sources(self, function: sym.Function, parameter: Parameter, above: tuple[sym.Function, ...]) -> frozenset[str]:
        """The dependencies that open what a parameter holds of sessions; empty where that is not known."""
        dependency = self.infer.dependency(function, parameter)
        inner = self.infer.runs(dependency.target) if dependency is not None else None
        if inner is None or inner in above:
            return frozenset()
        made = self.infer.yields(inner) if inner.facts.is_generator else self.infer.returns(inner)
        if any(o.kind != "param" for o in self.infer.holds(made)):
            return frozenset({inner.key})
        return frozenset().union(*(self._sources(inner, p, (*above, inner)) for p in inner.facts.parameters))

    def session_at_hand(self, function: sym.Function) -> v.Origin | None:
        """A session the function was handed: a parameter, or one its object holds."""
        if function.key not in self._at_hand:
            self._at_hand[function.key] = self._find_at_hand(function)
        return self._at_hand[function.key]

    def _find_at_hand(self, function: sym.Function) -> v.Origin | None:
        parameters = self.session_parameters(function)
        if parameters:
            return parameters[0]
        current: sym.Function | None = function
        while current is not None and current.owner is None:
            current = current.parent
        if current is None or current.owner is None or current.receiver is None:
            return None
        classes = self.infer.classes
        for cls in classes.mro(current.owner):
            for attr, assigned in classes.assigned(cls).items():
                if isinstance(classes.attribute_type(cls, attr), v.Session):
                    if any(self._is_handed(method, expr) for method, expr, _ in assigned):
                        return v.Origin("param", current.receiver, (attr,))
        return None

    def _is_handed(self, method: sym.Function, expr: Expr) -> bool:
        """Whether a constructor puts a session it was given into an attribute."""
        if method.name not in {"__init__", "__post_init__"}:
            return False
        value = self.infer.expr(expr, Scope(method.module, method))
        return any(o.kind == "param" for o in self.infer.holds(value))

    def is_unit_class(self, cls: sym.Class) -> bool:
        """A unit of work: a context manager that holds a session."""
        classes = self.infer.classes
        enters = classes.method(cls, "__aenter__") or classes.method(cls, "__enter__")
        return enters is not None and classes.holds_session(cls)

    def is_transactional(self, value: v.Value) -> bool:
        """A session, or a unit of work."""
        if isinstance(value, v.Session):
            return True
        return isinstance(value, v.Instance) and self.is_unit_class(value.cls)

    def unit_exit(self, cls: sym.Class) -> str:
        """What leaving a unit without an exception does to its session: commit, nothing, rollback or unknown."""
        known = self._units.get(cls.key)
        if known is not None:
            return known
        self._units[cls.key] = "unknown"
        method = self.infer.classes.method(cls, "__aexit__") or self.infer.classes.method(cls, "__exit__")
        if method is None or method.is_abstract:
            return "unknown"
        frame = Frame(self, method)
        facts: dict[str, str] = {}
        for parameter in method.facts.parameters[1:4]:
            if parameter.kind in {"positional", "either"}:
                facts[parameter.name] = "none"
        origin = v.Origin("param", method.receiver or "self", ("session",))
        key = frame.key(origin)
        marker = Write("consumer", None, method.module.path, method.facts.loc, origin)
        start = State({}, facts, {key: Transaction((marker,), origin=origin)})
        frame.run(start)
        ends = [e.state for e in frame.exits[-1] if e.kind in {"return", "end"}]
        after = frame.scopes.after_yield(ends)
        self._units[cls.key] = after.get(origin, "unknown")
        return self._units[cls.key]
