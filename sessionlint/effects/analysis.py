"""The analysis of a whole project: answers what rules, ``show`` and ``trace`` ask.

Nothing is computed before it is asked for; ``engine`` works out the summaries.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TypeVar

from sessionlint.config.settings import AnalysisSettings
from sessionlint.effects.afterwards import committed_around
from sessionlint.effects.beliefs import beliefs_of
from sessionlint.effects.detours import Detours, Patch
from sessionlint.effects.engine import Engine
from sessionlint.effects.exits import Exits, UnitExit
from sessionlint.effects.generators import Generators
from sessionlint.effects.observations import Committed, DrivenProvider
from sessionlint.effects.request_state import kept_by_middleware, state_session
from sessionlint.effects.results import Results
from sessionlint.effects.scopes import OWN
from sessionlint.effects.session_calls import SessionCalls
from sessionlint.effects.state import Link
from sessionlint.effects.summary import Result
from sessionlint.effects.timeline import Timeline, TimelineEvent
from sessionlint.effects.units import Units
from sessionlint.facts.shape import Call, FileFacts, Loc
from sessionlint.findings import Beliefs, Place, Unresolved
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.frameworks import sqlalchemy
from sessionlint.project.frameworks.entrypoints import EntryPoints
from sessionlint.project.infer import Inference, Scope
from sessionlint.project.lifetimes import Lifetimes
from sessionlint.project.shared import Shared, shared_sessions
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


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """One place where the outside calls in."""

    name: str
    kind: str
    place: Place
    key: str


class Analysis:
    """All answers about one project. Rules get nothing else."""

    def __init__(self, facts: Sequence[FileFacts], settings: AnalysisSettings) -> None:
        self.settings = settings
        self.table = sym.SymbolTable(facts)
        self.infer = Inference(self.table)
        self.engine = Engine(self.infer, settings.slow_awaits)
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
    def session_calls(self) -> SessionCalls:
        return SessionCalls(self.infer)

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

    # ---- units of work ---------------------------------------------------------------------------------------------

    @cached_property
    def unit_exits(self) -> tuple[UnitExit, ...]:
        """How the project's own units of work leave, for every class that can be entered."""
        exits = Exits(self.engine)
        found = (exits.of(c) for c in self.table.classes.values() if self.concerned and not c.module.is_test)
        return tuple(e for e in found if e is not None and not e.method.module.is_test)

    @cached_property
    def units(self) -> Units:
        """How functions use units of work."""
        return Units(self.engine)

    # ---- loops -----------------------------------------------------------------------------------------------------

    @cached_property
    def row_loops(self) -> Results:
        """Loops and the results they read."""
        return Results(self.infer)

    @cached_property
    def detours(self) -> Detours:
        """Commits past those who should make them."""
        return Detours(self.engine)

    def patched_sessions(self) -> Iterable[tuple[sym.Function | sym.Module, Patch]]:
        """Methods of sessions that are replaced, with the function or module that does it."""
        for module in self.table.modules.values():
            if self.concerned and not module.is_test:
                for function, patch in self.detours.patches(module):
                    yield function or module, patch

    # ---- generators ------------------------------------------------------------------------------------------------

    @cached_property
    def generators(self) -> Generators:
        """Where generators stop."""
        return Generators(self.infer)

    def hands_out_items(self, function: sym.Function) -> bool:
        """A generator of items; not a dependency, context manager or fixture, which hand over to a scope on purpose."""
        if not function.facts.is_generator:
            return False
        if {"contextmanager", "asynccontextmanager", "fixture"} & function.decorator_names:
            return False
        if function.key in self.entries.dependencies or function.key in self.providers:
            return False
        if self.entries.kind(function) in {"lifespan", "test"}:
            return False
        return not self.infer.holds(self.infer.yields(function))

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
            if any(isinstance(o, v.Session) and o.origin is not None and o.origin.kind not in {"param", "dependency"}
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
            if any(self.makes_factory(cls, attr) for attr in self.infer.classes.assigned(cls)):
                paths.add(cls.module.path)
        return frozenset(paths)

    def makes_factory(self, cls: sym.Class, attr: str) -> bool:
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

    @cached_property
    def shared_sessions(self) -> tuple[Shared, ...]:
        """Sessions that live as long as the process."""
        if not self.concerned:
            return ()
        serving = {"route", "task", "event", "background"}
        return tuple(shared_sessions(self.infer, self.lifetimes, lambda f: self.entries.kind(f) in serving))

    def in_boundary(self, function: sym.Function) -> str:
        """The kind of boundary a function is, is nested in, or is a private part of (called from nowhere else)."""
        return self._boundaries.get(function.key, "")

    @cached_property
    def _boundaries(self) -> dict[str, str]:
        """Boundaries by function key, spread to what only they call; a route's callees are below it, not part of it."""
        found: dict[str, str] = {}
        for function in self.functions:
            kind = self.entries.boundary(function) or ("stream" if function.key in self.streamed else "")
            if kind:
                found[function.key] = kind
        waiting = list(found)
        while waiting:
            caller = self.table.functions.get(waiting.pop())
            for edge in self.result(caller).edges if caller is not None else ():
                callers = (c for c, _, _ in self.callers.get(edge.callee, ()) if not c.module.is_test)
                kinds = {found.get(c.key, "") for c in callers if c.key != edge.callee}
                if edge.callee not in found and kinds and not kinds & {"", "route"}:
                    found[edge.callee] = min(kinds)
                    waiting.append(edge.callee)
        return found

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
        return self.is_script_module(function.module)

    @staticmethod
    def is_script_module(module: sym.Module) -> bool:
        """Whether a file lies in a folder of scripts or migrations."""
        return bool(_SCRIPT_FOLDERS & set(module.dotted.split(".")))

    def is_transaction_manager(self, cls: sym.Class) -> bool:
        """A class whose own ``commit`` ends its session's transaction: it is the unit of work, by whatever name."""
        method = self.infer.classes.method(cls, "commit")
        if method is None:
            return False
        return any(isinstance(o, Committed) for o in self.result(method).observations) and not self.is_repository(cls)

    def request_sessions(
        self, function: sym.Function, parameter: str, seen: frozenset[str] = frozenset()
    ) -> list[tuple[sym.Function, str]]:
        """(provider, scope) of the sessions behind a parameter that a framework fills."""
        declared = function.parameters.get(parameter)
        dependency = self.infer.dependency(function, declared) if declared is not None else None
        if dependency is None:
            return []
        provider = self.infer.runs(dependency.target)
        if provider is None or provider.key in seen:
            return []
        if provider.key in self.providers:
            return [(provider, dependency.scope)]
        return [
            pair
            for name in provider.parameters
            for pair in self.request_sessions(provider, name, seen | {provider.key})
        ]

    @cached_property
    def committed_around(self) -> frozenset[v.Origin]:
        """Shared sessions that hooks, middleware or decorators of the project may commit around an entry point."""
        return committed_around(self)

    @cached_property
    def state_sessions(self) -> dict[str, sym.Function]:
        """Sessions in the state of a request, by name, with the middleware around the request that opens each."""
        return kept_by_middleware(self)

    def left_open(
        self, function: sym.Function, parameter: str, depth: int = 0
    ) -> Iterator[tuple[sym.Function, sym.Function, Link | None]]:
        """(dependency, session provider, what opened it) of transactions that the dependency behind a parameter, or one
        of its own, certainly leaves open on a session of the request."""
        declared = function.parameters.get(parameter)
        dependency = self.infer.dependency(function, declared) if declared is not None else None
        inner = self.infer.runs(dependency.target) if dependency is not None else None
        if inner is None or inner.key in self.providers or depth > 4:
            return
        variants = self.result(inner).summary.variants
        for origin, transaction in variants[0].transactions if variants else ():
            everywhere = all(dict(x.transactions).get(origin, transaction).open for x in variants)
            if transaction.open and not transaction.unknown and everywhere and origin.kind == "param":
                for provider, scope in self.request_sessions(inner, origin.name):
                    if scope != "function":
                        yield inner, provider, transaction.since
                around = state_session(self, inner, origin.name)
                if around is not None:
                    yield inner, around, transaction.since
        for name in inner.parameters:
            yield from self.left_open(inner, name, depth + 1)

    def function_at(self, path: str, loc: Loc) -> sym.Function | None:
        """The innermost function around a place."""
        module = self.table.modules.get(path)
        around = [
            f for f in (module.functions.values() if module else ()) if f.facts.loc.line <= loc.line <= f.facts.end_line
        ]
        return max(around, key=lambda f: f.facts.loc.line, default=None)

    def place(self, function: sym.Function, loc: Loc) -> Place:
        return Place(function.module.path, *loc)

    # ---- show, trace -----------------------------------------------------------------------------------------------

    @cached_property
    def beliefs(self) -> Beliefs:
        """What is taken to be true; a false belief is the commonest cause of a false finding."""
        if not self.concerned:
            return Beliefs()
        return beliefs_of(self)

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
        """The transaction timeline of one function: see :mod:`sessionlint.effects.timeline`."""
        return Timeline(self).of(entry)


def _mentions_sqlalchemy(facts: FileFacts) -> bool:
    heads = {b.module.partition(".")[0] for b in facts.imports if b.level == 0}
    return bool(heads & sqlalchemy.PACKAGES) or bool(facts.names & sqlalchemy.PACKAGES)
