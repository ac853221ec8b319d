"""What a stream holds of its endpoint: the session itself, objects built on it, and plain data.

A session, or an object that has one, must be made anew inside the stream. What was loaded through the request's
session may be read there, and nothing else.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from sessionlint.findings import Step
from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import NeededImport
from sessionlint.fixes.program import Program
from sessionlint.fixes.rewrite import kept_comment
from sessionlint.fixes.sources import Refused
from sessionlint.fixes.streams.factories import factory_of
from sessionlint.fixes.streams.rebuilt import Rebuilt
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Scope


@dataclass
class Carried:
    """Collected for one endpoint. ``sessions`` are names of the request's session, ``lines`` what is made anew."""

    program: Program
    function: sym.Function
    #: how the session is written where everything is made anew
    spelling: str
    sessions: set[str] = field(default_factory=set)
    #: statements, those over several lines without the indentation of the first
    lines: list[str] = field(default_factory=list)
    #: statements of the endpoint that are made anew
    moved: list[ast.Assign] = field(default_factory=list)
    parameters: set[str] = field(default_factory=set)
    imports: list[NeededImport] = field(default_factory=list)
    factories: list[sym.Global] = field(default_factory=list)
    _done: set[str] = field(default_factory=set)

    @cached_property
    def _rebuilt(self) -> Rebuilt:
        return Rebuilt(self.program, self.function, self.spelling, self.imports)

    @property
    def carriers(self) -> set[str]:
        """Names of what is made anew."""
        return {line.partition(" = ")[0] for line in self.lines}

    @property
    def document(self) -> Document:
        return self.program.document(self.function.module.path)

    def take(self, names: Iterable[ast.Name]) -> None:
        """Sort the names that a stream uses. Raises ``Refused``."""
        for node in names:
            self._take(node)

    def _take(self, node: ast.Name) -> None:
        name, function = node.id, self.function
        if name not in function.parameters and name not in function.bindings:
            return
        infer = self.program.analysis.infer
        value = infer.name(name, Scope(function.module, function))
        options = v.options_of(value)
        if any(isinstance(o, v.Session) for o in options):
            if name not in self._done:
                self._session(name, options, node)
        elif infer.holds(value) and not self._is_kept(name):
            if name not in self._done:
                self._done.add(name)
                self._carrier(name, node)
        elif not self._is_kept(name) and self._may_be_loaded(name, value) and not self._only_read(node):
            raise Refused(
                f"`{name}` may belong to the request's session, and the stream does more than read it",
                self._step(node, f"`{name}` is used here"),
            )
        self._done.add(name)

    def _is_kept(self, name: str) -> bool:
        """Whether a dependency gives an object that is not made for the request: it needs no session of it."""
        infer = self.program.analysis.infer
        parameter = self.function.parameters.get(name)
        dependency = infer.dependency(self.function, parameter) if parameter is not None else None
        if dependency is None or not isinstance(dependency.target, v.FunctionRef):
            return False
        lifetimes = self.program.analysis.lifetimes
        return not self.program.analysis.request_sessions(self.function, name) and all(
            isinstance(o, v.Instance) and lifetimes.process_long(o.cls.key) is not None
            for o in v.options_of(infer.parameter(self.function, name))
        )

    def _session(self, name: str, options: tuple[v.Value, ...], node: ast.Name) -> None:
        self._done.add(name)
        if not all(isinstance(o, v.Session) and o.is_async for o in options):
            raise Refused(f"`{name}` is not certainly an async session", self._step(node, "here"))
        if name not in self.function.parameters:
            raise Refused(f"`{name}` is a session that the endpoint opens itself", self._step(node, "it is used here"))
        self._behind(name, node)
        self.sessions.add(name)

    def _behind(self, name: str, node: ast.AST) -> None:
        providers = self.program.analysis.request_sessions(self.function, name)
        if not providers:
            raise Refused(f"it cannot be seen where the session of `{name}` comes from", self._step(node, "here"))
        for provider, _scope in providers:
            self.factories.append(factory_of(self.program, provider))

    def _carrier(self, name: str, node: ast.Name) -> None:
        if name in self.function.parameters:
            dependency = self.program.analysis.infer.dependency(self.function, self.function.parameters[name])
            if dependency is None or dependency.target is None:
                raise Refused(f"it cannot be seen how `{name}` is made", self._step(node, "it is used here"))
            self._behind(name, node)
            self.parameters.add(name)
            self.lines.extend(self._rebuilt.lines(name, dependency.target, node))
            return
        outer = self.document.function(self.function.facts)
        stmts = [
            stmt
            for stmt in outer.body
            if isinstance(stmt, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in stmt.targets)
        ]
        if len(stmts) != 1 or len(self.function.bindings[name]) != 1 or len(stmts[0].targets) != 1:
            raise Refused(f"`{name}` is not made by one plain assignment", self._step(node, "it is used here"))
        made = stmts[0]
        if not isinstance(made.value, ast.Call):
            raise Refused(f"`{name}` is not made by a call", self._step(made, "here"))
        self.take([n for n in ast.walk(made.value) if isinstance(n, ast.Name)])
        self.moved.append(made)
        comment = kept_comment(self.document, made.end_lineno or made.lineno)
        text = renamed(self.document, made, self.sessions, self.spelling) + (f"  {comment}" if comment else "")
        self.lines.append(textwrap.dedent(self.document.indentation(made) + text))

    # ---- data ------------------------------------------------------------------------------------------------------

    def _may_be_loaded(self, name: str, value: v.Value) -> bool:
        """Whether a value may be an object of the request's session."""
        options = v.options_of(value)
        parameter = self.function.parameters.get(name)
        plain = parameter is not None and self.program.analysis.infer.dependency(self.function, parameter) is None
        classes = self.program.analysis.infer.classes  # an object of a model is perhaps added to the session since
        made = any(isinstance(o, v.Entity) or (isinstance(o, v.Instance) and classes.is_model(o.cls)) for o in options)
        if plain or not (made or self._from_request(name, set())):
            return False
        return not all(isinstance(o, (v.Literal, v.ExternalObject, v.FunctionRef, v.ClassRef)) for o in options)

    def _from_request(self, name: str, seen: set[str]) -> bool:
        """Whether a name comes from a dependency or a session, through any number of assignments."""
        function, infer = self.function, self.program.analysis.infer
        parameter = function.parameters.get(name)
        if parameter is not None:
            return infer.dependency(function, parameter) is not None
        seen.add(name)
        sources = [source for target, source in _bindings(self.document.function(function.facts)) if name in target]
        names = {n.id for source in sources for n in ast.walk(source) if isinstance(n, ast.Name)}
        return any(self._from_request(other, seen) for other in sorted(names) if other not in seen)

    def _only_read(self, node: ast.Name) -> bool:
        """``user.id`` and nothing more; a bound name that is no object of a model reads alike."""
        around = self.document.parent(node)
        if not isinstance(around, ast.Attribute) or not isinstance(around.ctx, ast.Load):
            return False
        above = self.document.parent(around)
        return not (isinstance(above, ast.Call) and above.func is around) and not isinstance(above, ast.Attribute)

    def _step(self, node: ast.AST, text: str) -> Step:
        return Step(self.document.place(node), text)


def renamed(document: Document, node: ast.AST, sessions: Iterable[str], spelling: str) -> str:
    """The text of a node with the names of sessions replaced."""
    text, start = document.code(node), document.start(node)
    for name in sorted(session_names(node, sessions), key=document.start, reverse=True):
        at = document.start(name) - start
        text = f"{text[:at]}{spelling}{text[at + len(name.id) :]}"
    return text


def session_names(node: ast.AST, sessions: Iterable[str]) -> list[ast.Name]:
    """Where a node reads one of some names."""
    wanted = set(sessions)
    return [n for n in ast.walk(node) if isinstance(n, ast.Name) and n.id in wanted]


def physical(statements: Iterable[str], space: str = "") -> list[str]:
    """The lines of some statements, each behind ``space``."""
    return [f"{space}{line}" if line else line for one in statements for line in one.splitlines()]


def _bindings(function: ast.AST) -> Iterator[tuple[set[str], ast.expr]]:
    """(names, value) of everything in a function that binds names to a value."""
    for node in ast.walk(function):
        pairs: list[tuple[ast.expr | None, ast.expr | None]] = []
        if isinstance(node, ast.Assign):
            pairs = [(target, node.value) for target in node.targets]
        elif isinstance(node, (ast.AnnAssign, ast.AugAssign, ast.NamedExpr)):
            pairs = [(node.target, node.value)]
        elif isinstance(node, (ast.For, ast.AsyncFor)):
            pairs = [(node.target, node.iter)]
        elif isinstance(node, ast.withitem):
            pairs = [(node.optional_vars, node.context_expr)]
        for target, value in pairs:
            if target is not None and value is not None:
                yield {n.id for n in ast.walk(target) if isinstance(n, ast.Name)}, value
