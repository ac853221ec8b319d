"""The analysis of a whole project: solves every function's summary and answers what rules, ``show`` and ``trace`` ask.

Summaries are worked out on demand along the call graph; a recursion is run a second time with what the first run
gave, which is enough because the sets that can grow are keyed by place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TypeVar

from sessionlint.config.settings import AnalysisSettings
from sessionlint.effects import catalog
from sessionlint.effects.interpreter import Frame
from sessionlint.effects.observations import Committed, DrivenProvider
from sessionlint.effects.scopes import OWN
from sessionlint.effects.state import State, Transaction, Write
from sessionlint.effects.summary import Result
from sessionlint.facts.shape import Call, Expr, FileFacts, Loc
from sessionlint.findings import Beliefs, Place, Unresolved
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.frameworks import sqlalchemy
from sessionlint.project.frameworks.entrypoints import EntryPoints
from sessionlint.project.infer import Inference, Scope
from sessionlint.project.lifetimes import Lifetimes
from sessionlint.project.tables import Tables

Kind = TypeVar("Kind")

_SCRIPT_FOLDERS = frozenset(
    {
        "scripts",
        "script",
        "alembic",
        "migrations",
        "versions",
        "bin",
        "tools",
        "examples",
        "seeds",
        "__main__",
        "manage",
    }
)
_MAX_TIMELINE_DEPTH = 12
_MAX_TIMELINE_LINES = 600
#: kinds of timeline events that concern a session or keep one waiting
_TOUCHING = frozenset({"open", "read", "write", "flush", "commit", "rollback", "close", "await", "stream", "spawn"})


class Engine:
    """Interprets functions and remembers their results."""

    def __init__(self, infer: Inference) -> None:
        self.infer = infer
        self.catalog = catalog.load()
        self._results: dict[str, Result] = {}
        self._running: dict[str, bool] = {}
        self._unresolved: dict[tuple[str, Loc], Unresolved] = {}
        self._at_hand: dict[str, v.Origin | None] = {}
        self._units: dict[str, str] = {}

    def result(self, function: sym.Function) -> Result:
        """The interpretation of a function; of one that is being interpreted, what is known so far."""
        known = self._results.get(function.key)
        if known is not None:
            if function.key in self._running:
                self._running[function.key] = True
            return known
        self._results[function.key] = Result(function)
        self._running[function.key] = False
        result = self._interpret(function)
        if self._running[function.key]:
            self._results[function.key] = result
            result = self._interpret(function)
        del self._running[function.key]
        self._results[function.key] = result
        return result

    def _interpret(self, function: sym.Function) -> Result:
        """Run one function; one that is nested too deeply is given up and said, and the rest goes on."""
        try:
            return Frame(self, function).run()
        except RecursionError:
            key = (function.module.path, function.facts.loc)
            place = Place(function.module.path, *function.facts.loc)
            self._unresolved[key] = Unresolved(place, function.qualname, "it is nested too deeply to be followed")
            return Result(function)

    @property
    def unresolved(self) -> tuple[Unresolved, ...]:
        return tuple(sorted(self._unresolved.values(), key=lambda u: u.place))

    def note_unresolved(self, function: sym.Function, call: Call) -> None:
        """Count a call that was given a session and could not be followed."""
        if function.module.is_test:
            return
        key = (function.module.path, call.loc)
        if key not in self._unresolved:
            text = sym.dotted_text(call.func) or sym.last_name(call.func) or "call"
            self._unresolved[key] = Unresolved(
                Place(function.module.path, *call.loc), f"{text}()", "its target could not be determined"
            )

    # ---- questions about functions and classes ---------------------------------------------------------------------

    def session_parameters(self, function: sym.Function) -> list[v.Origin]:
        """Origins of the parameters that are sessions themselves."""
        return [
            v.Origin("param", p.name)
            for p in function.facts.parameters
            if isinstance(self.infer.parameter(function, p.name), v.Session)
        ]

    def distinct_sessions(self, function: sym.Function) -> bool:
        """Whether a function takes two sessions, which then have to be told apart."""
        return len(self.session_parameters(function)) > 1

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


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """One place where the outside calls in."""

    name: str
    kind: str
    place: Place
    key: str


@dataclass(frozen=True, slots=True)
class TimelineEvent:
    """One line of ``sessionlint trace``; ``depth`` is how many calls below the entry it happens."""

    depth: int
    place: Place
    kind: str
    message: str


class Analysis:
    """All answers about one project. Rules get nothing else."""

    def __init__(self, facts: Sequence[FileFacts], settings: AnalysisSettings) -> None:
        self.settings = settings
        self.table = sym.SymbolTable(facts)
        self.infer = Inference(self.table)
        self.engine = Engine(self.infer)
        self.files = len(facts)
        self.concerned = any(_mentions_sqlalchemy(f) for f in facts)

    # ---- results ---------------------------------------------------------------------------------------------------

    @cached_property
    def functions(self) -> tuple[sym.Function, ...]:
        """Every function outside tests, in a fixed order."""
        if not self.concerned:
            return ()
        return tuple(f for f in self.table.all_functions() if not f.module.is_test)

    @cached_property
    def results(self) -> tuple[Result, ...]:
        """The interpretation of every function outside tests."""
        return tuple(self.engine.result(f) for f in self.functions)

    def result(self, function: sym.Function) -> Result:
        return self.engine.result(function)

    def observations(self, kind: type[Kind]) -> Iterable[tuple[sym.Function, Kind]]:
        """(function, observation) of one kind, over the whole project."""
        for result in self.results:
            for observation in result.observations:
                if isinstance(observation, kind):
                    yield result.function, observation

    @cached_property
    def tables(self) -> Tables:
        return Tables(self.infer)

    @cached_property
    def entries(self) -> EntryPoints:
        return EntryPoints(self.infer)

    @property
    def unresolved(self) -> tuple[Unresolved, ...]:
        _ = self.results
        return self.engine.unresolved

    @cached_property
    def analysed_files(self) -> int:
        """Files with a function that touches, opens or hands on a session."""
        touched = {
            r.function.module.path
            for r in self.results
            if r.summary.touches or r.summary.opens or r.observations or r.summary.exposures
        }
        return len(touched)

    # ---- providers -------------------------------------------------------------------------------------------------

    @cached_property
    def providers(self) -> dict[str, sym.Function]:
        """Functions that yield or return a session they do not merely pass on from a parameter."""
        found = {}
        for function in self.functions:
            value = (
                self.infer.yields(function)
                if function.facts.is_generator
                else (self.infer.returns(function) if not function.is_abstract else v.UNKNOWN)
            )
            if any(isinstance(o, v.Session) and o.origin is not None and o.origin.kind != "param"
                   for o in v.options_of(value)):  # fmt: skip
                found[function.key] = function
        return found

    @cached_property
    def factory_files(self) -> frozenset[str]:
        """Files that define a session factory or a session provider: where sessions may be created."""
        paths = {f.module.path for f in self.providers.values() if f.owner is None and self._owns_factory(f)}
        for module in self.table.modules.values():
            if module.is_test or not self.concerned:
                continue
            for assigned in module.assigned.values():
                for expr, function in assigned:
                    if isinstance(expr, Call):
                        made = self.infer.expr(expr, Scope(module, function))
                        if isinstance(made, v.Factory):
                            paths.add(module.path)
        for cls in self.table.classes.values():
            if cls.module.is_test or not self.concerned:
                continue
            if any(self._makes_factory(cls, attr) for attr in self.infer.classes.assigned(cls)):
                paths.add(cls.module.path)
        return frozenset(paths)

    def _makes_factory(self, cls: sym.Class, attr: str) -> bool:
        """Whether a method of the class calls a sessionmaker and keeps the result in ``attr``."""
        return any(
            isinstance(expr, Call) and isinstance(self.infer.expr(expr, Scope(cls.module, method)), v.Factory)
            for method, expr, _ in self.infer.classes.assigned(cls).get(attr, ())
        )

    def _owns_factory(self, function: sym.Function) -> bool:
        return bool(function.facts.is_generator or "contextmanager" in "".join(function.decorator_names))

    def provider_policy(self, function: sym.Function) -> str:
        """What a provider does after its yield: commit, nothing, maybe, unknown."""
        after = self.result(function).after_yield or {}
        if OWN in after:
            return after[OWN]
        for observation in self.result(function).observations:
            if (
                isinstance(observation, DrivenProvider)
                and observation.forwards
                and observation.provider is not function
            ):
                return self.provider_policy(observation.provider)
        return next(iter(after.values()), "unknown")

    # ---- what rules share ------------------------------------------------------------------------------------------

    @cached_property
    def callers(self) -> dict[str, list[tuple[sym.Function, Loc, str]]]:
        """(caller, place, how) of every resolved call, by the callee's key."""
        found: dict[str, list[tuple[sym.Function, Loc, str]]] = {}
        for result in self.results:
            for edge in result.edges:
                found.setdefault(edge.callee, []).append((result.function, edge.loc, edge.how))
        return found

    @cached_property
    def streamed(self) -> frozenset[str]:
        """Keys of generators whose items go to a client: handed to a streaming response, or iterated by one that is."""
        found: set[str] = set()
        waiting = [e.callee for r in self.results for e in r.edges if e.how == "stream"]
        while waiting:
            key = waiting.pop()
            if key in found:
                continue
            found.add(key)
            function = self.table.functions.get(key)
            if function is not None:
                waiting.extend(e.callee for e in self.result(function).edges if e.how == "iterate")
        return frozenset(found)

    @cached_property
    def lifetimes(self) -> Lifetimes:
        return Lifetimes(self.infer)

    def in_boundary(self, function: sym.Function, seen: frozenset[str] = frozenset()) -> str:
        """The kind of boundary a function is, is nested in, or is a private part of (called from nowhere else)."""
        kind = self.entries.boundary(function)
        if not kind and function.key in self.streamed:
            kind = "stream"
        if kind or function.key in seen:
            return kind
        callers = [(c, how) for c, _, how in self.callers.get(function.key, ()) if not c.module.is_test]
        if not callers or len(seen) > 8:
            return ""
        kinds = {self.in_boundary(c, seen | {function.key}) for c, _ in callers}
        if "" in kinds or kinds & {"route"}:
            return ""
        return next(iter(sorted(kinds)), "")

    def owns_transaction(self, function: sym.Function, origin: v.Origin) -> bool:
        """Whether ending the transaction of a handed-in session is this function's business.

        True at boundaries the framework calls, for what a dependency injects, in units of work and transaction
        managers, and in context managers made for the purpose.
        """
        if self.entries.boundary(function) or function.name in {"main", "run"} or function.name.startswith("run_"):
            return True
        if "owns-transaction" in function.facts.marks or self.is_script(function):
            return True
        if function.facts.is_generator and (
            {"contextmanager", "asynccontextmanager"} & function.decorator_names
            or function.key in self.entries.dependencies
        ):
            return True
        parameter = function.parameters.get(origin.name)
        if parameter is not None and self.infer.dependency(function, parameter) is not None:
            return True
        current: sym.Function | None = function
        while current is not None and current.owner is None:
            current = current.parent
        if current is None or current.owner is None:
            return False
        cls = current.owner
        if self.engine.is_unit_class(cls) or self.is_transaction_manager(cls):
            return True
        return current.name in {"handle", "execute", "__call__"} and cls.name.endswith(
            ("Handler", "Command", "UseCase")
        )

    def is_script(self, function: sym.Function) -> bool:
        """Scripts and migrations are their own boundary."""
        return bool(_SCRIPT_FOLDERS & set(function.module.dotted.split(".")))

    def is_transaction_manager(self, cls: sym.Class) -> bool:
        """A class whose own ``commit`` ends its session's transaction: it is the unit of work, by whatever name."""
        method = self.infer.classes.method(cls, "commit")
        if method is None:
            return False
        return any(isinstance(o, Committed) for o in self.result(method).observations) and not self.is_repository(cls)

    def session_policies(self, function: sym.Function, parameter: str, seen: frozenset[str] = frozenset()) -> set[str]:
        """What the dependencies behind a parameter do with their session after the request: commit, nothing, ..."""
        declared = function.parameters.get(parameter)
        if declared is None:
            return {"unknown"}
        dependency = self.infer.dependency(function, declared)
        if dependency is None:
            return {"unknown"} if not seen else set()
        return self._policies(dependency.target, seen)

    def _policies(self, target: v.Value | None, seen: frozenset[str]) -> set[str]:
        provider: sym.Function | None = None
        if isinstance(target, v.FunctionRef):
            provider = target.function
        elif isinstance(target, v.ClassRef):
            provider = self.infer.classes.method(target.cls, "__init__")
        if provider is None or provider.key in seen:
            return {"unknown"}
        if provider.key in self.providers:
            return {self.provider_policy(provider)}
        found: set[str] = set()
        for name in provider.parameters:
            found |= self.session_policies(provider, name, seen | {provider.key})
        return found

    def request_sessions(
        self, function: sym.Function, parameter: str, seen: frozenset[str] = frozenset()
    ) -> list[tuple[sym.Function, str]]:
        """(provider, scope) of the sessions behind a parameter that a framework fills."""
        declared = function.parameters.get(parameter)
        dependency = self.infer.dependency(function, declared) if declared is not None else None
        if dependency is None:
            return []
        target = dependency.target
        provider: sym.Function | None = None
        if isinstance(target, v.FunctionRef):
            provider = target.function
        elif isinstance(target, v.ClassRef):
            provider = self.infer.classes.method(target.cls, "__init__")
        if provider is None or provider.key in seen:
            return []
        if provider.key in self.providers:
            return [(provider, dependency.scope)]
        return [
            pair
            for name in provider.parameters
            for pair in self.request_sessions(provider, name, seen | {provider.key})
        ]

    def place(self, function: sym.Function, loc: Loc) -> Place:
        return Place(function.module.path, *loc)

    # ---- show, trace -----------------------------------------------------------------------------------------------

    @cached_property
    def beliefs(self) -> Beliefs:
        """What is taken to be true; a false belief is the commonest cause of a false finding."""
        if not self.concerned:
            return Beliefs()
        factories = set()
        for module in self.table.modules.values():
            if module.is_test:
                continue
            for name, assigned in module.assigned.items():
                if any(
                    isinstance(self.infer.expr(e, Scope(module, f)), v.Factory)
                    for e, f in assigned
                    if isinstance(e, Call)
                ):
                    factories.add(name)
        classes = [c for c in self.table.classes.values() if not c.module.is_test]
        for cls in classes:
            for attr in self.infer.classes.assigned(cls):
                if self._makes_factory(cls, attr):
                    factories.add(f"{cls.name}.{attr}")
        return Beliefs(
            tuple(sorted(factories)),
            tuple(sorted(f.qualname for f in self.providers.values())),
            tuple(sorted(c.name for c in classes if self.engine.is_unit_class(c))),
            tuple(sorted(c.name for c in classes if self.is_repository(c))),
            tuple(sorted(c.name for c in self.tables.models.values() if not c.module.is_test)),
            sum(1 for k in self.entries.kinds.values() if k != "test"),
            tuple(str(r) for r in self.settings.versions.values()),
        )

    def is_repository(self, cls: sym.Class) -> bool:
        """A repository by name (configurable) and role: it holds a session."""
        return self.is_repository_name(cls) and self.infer.classes.holds_session(cls)

    def is_repository_name(self, cls: sym.Class) -> bool:
        """Whether a class is called a repository (configurable)."""
        return any(fnmatchcase(cls.name, pattern) for pattern in self.settings.repository_classes)

    def entry_points(self) -> list[EntryPoint]:
        """Every entry point outside tests."""
        out = []
        for key, kind in self.entries.kinds.items():
            function = self.table.functions[key]
            if kind != "test" and not function.module.is_test:
                name = self.entries.names.get(key, function.qualname)
                out.append(EntryPoint(name, kind, self.place(function, function.facts.loc), key))
        return sorted(out, key=lambda e: e.place)

    def timeline(self, entry: str) -> list[TimelineEvent]:
        """The transaction timeline of one function, with the sessions its dependencies open and end around it.

        ``entry`` is ``path:function``, a qualified name, an entry point's name, or a unique end of one. Raises
        ``LookupError`` with the candidates where it is none or several.
        """
        function = self._find(entry)
        opened, ended = self._request_scope(function)
        inner: list[TimelineEvent] = []
        self._expand(function, 0, inner, ())
        return [*opened, *inner, *ended]

    def _request_scope(self, function: sym.Function) -> tuple[list[TimelineEvent], list[TimelineEvent]]:
        """What the session dependencies of an entry point do before and after it."""
        opened, ended = [], []
        providers = [pair for name in function.parameters for pair in self.request_sessions(function, name)]
        for provider, scope in dict.fromkeys(providers):
            place = self.place(provider, provider.facts.loc)
            opened.append(TimelineEvent(0, place, "open", f"session opened by the dependency {provider.name}"))
            policy = {"commit": "commit, then close", "nothing": "close without commit"}.get(
                self.provider_policy(provider), "close"
            )
            when = "before the response body" if scope == "function" else "when the request ends"
            ended.append(TimelineEvent(0, place, "close", f"{policy} in {provider.name}, {when}"))
        return opened, ended

    def _find(self, entry: str) -> sym.Function:
        path, _, name = entry.rpartition(":")
        path = path.rstrip(":")
        candidates = [
            f
            for f in self.table.all_functions()
            if (f.qualname == name or f.name == name or f.qualname.endswith("." + name))
            and (not path or f.module.path.endswith(path))
        ]
        exact = [f for f in candidates if f.qualname == name]
        if len(exact) == 1:
            return exact[0]
        if not candidates:
            candidates = [
                self.table.functions[k] for k, n in self.entries.names.items() if n == entry or n.endswith(entry)
            ]
        if len(candidates) != 1:
            raise LookupError([f"{f.module.path}:{f.qualname}" for f in candidates])
        return candidates[0]

    def _expand(
        self,
        function: sym.Function,
        depth: int,
        out: list[TimelineEvent],
        above: tuple[str, ...],
        told: dict[str, str] | None = None,
    ) -> None:
        """Append the function's events; a function already expanded is told in one line the next time."""
        told = {} if told is None else told
        if function.key in above or depth > _MAX_TIMELINE_DEPTH or len(out) > _MAX_TIMELINE_LINES:
            return
        for event in self.result(function).events:
            inner = self.table.functions.get(event.callee) if event.callee else None
            line = TimelineEvent(depth, self.place(function, event.loc), event.kind, event.text)
            if inner is None:
                last = out[-1] if out else None
                same = last is not None and (last.kind, last.message) == (line.kind, line.message)
                if not same or last is None or last.place.file != line.place.file:
                    out.append(line)
                continue
            if inner.key in told:
                if told[inner.key]:
                    out.append(replace(line, message=f"{line.message}, as above ({told[inner.key]})"))
                continue
            below: list[TimelineEvent] = []
            self._expand(inner, depth + 1, below, (*above, function.key), told)
            wanted = _TOUCHING if event.kind in {"call", "enter"} else _TOUCHING | {"yield"}
            kinds = dict.fromkeys(_brief(e) for e in below if e.kind in wanted)
            told[inner.key] = ", ".join(list(kinds)[:6])
            if kinds:
                out.append(line)
                out.extend(below)


def _brief(event: TimelineEvent) -> str:
    """An event in a word or two, for a function that was shown before."""
    return event.message if event.kind == "write" else event.kind


def _mentions_sqlalchemy(facts: FileFacts) -> bool:
    heads = {b.module.partition(".")[0] for b in facts.imports if b.level == 0}
    return bool(heads & sqlalchemy.PACKAGES) or bool(facts.names & sqlalchemy.PACKAGES)
