"""What a framework made for an endpoint, made by hand inside a stream: the same calls, in order.

Each dependency once, as within a request; one that others share, or that needs others, has a line of its own.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from sessionlint.findings import Step
from sessionlint.fixes import signatures
from sessionlint.fixes.edits import NeededImport
from sessionlint.fixes.leaving import fresh_name
from sessionlint.fixes.program import Program
from sessionlint.fixes.sources import Refused
from sessionlint.project import symbols as sym
from sessionlint.project import values as v

_MOST_DEEP = 8
#: a statement longer than this is written over several lines
_LONG = 88


@dataclass
class _Made:
    """One dependency: how it is called, and with what (``None`` stands for the session)."""

    callee: str
    is_async: bool
    given: list[tuple[str, _Made | None]] = field(default_factory=list)
    uses: int = 0
    name: str = ""

    @property
    def needs_others(self) -> bool:
        return any(one is not None for _, one in self.given)


@dataclass
class Rebuilt:
    """For one endpoint; ``spelling`` is how the session is written, ``imports`` collects what its file needs."""

    program: Program
    endpoint: sym.Function
    spelling: str
    imports: list[NeededImport]
    _known: dict[str, _Made] = field(default_factory=dict)
    _names: set[str] = field(default_factory=set)

    def lines(self, name: str, target: v.Value, node: ast.AST) -> list[str]:
        """Statements that make what ``target`` provides, under ``name``. Raises ``Refused``."""
        made = self._made(target, node, 0)
        self._names.add(name)
        lines = list(self._before(made, name))
        if made.name:
            return [*lines, f"{name} = {made.name}"] if made.name != name else lines
        made.name = name
        return [*lines, self._statement(made)]

    def _made(self, target: v.Value, node: ast.AST, depth: int) -> _Made:
        function, symbol = self._maker(target, node)
        known = self._known.get(function.key)
        if known is not None:
            known.uses += 1
            return known
        if depth > _MOST_DEEP or function.facts.is_generator:
            raise Refused(
                f"`{function.qualname}` is run by the framework and cannot simply be called",
                self._step(node, "what it provides is used here"),
            )
        callee = signatures.name_of(self.program, self.endpoint.module, symbol, self.imports)
        made = self._known[function.key] = _Made(callee, function.facts.is_async, uses=1)
        infer = self.program.analysis.infer
        for parameter in function.facts.parameters:
            dependency = infer.dependency(function, parameter) if parameter.name != function.receiver else None
            if dependency is None:
                if parameter.default is None and parameter.name != function.receiver:
                    raise Refused(
                        f"`{function.qualname}` takes `{parameter.name}`, which only the framework can give",
                        self._step(node, "what it provides is used here"),
                    )
                continue
            value = infer.parameter(function, parameter.name)
            if any(isinstance(o, v.Session) for o in v.options_of(value)):
                made.given.append((parameter.name, None))
            elif dependency.target is not None:
                made.given.append((parameter.name, self._made(dependency.target, node, depth + 1)))
            else:
                raise Refused(f"it cannot be seen what `{parameter.name}` is", self._step(node, "it is needed here"))
        return made

    def _before(self, made: _Made, wanted: str) -> Iterator[str]:
        """Lines for what a dependency needs, each once; calls that nobody shares and that need nothing stay inside."""
        for parameter, one in made.given:
            if one is None or one.name or (one.uses == 1 and not one.needs_others):
                continue
            yield from self._before(one, wanted)
            one.name = self._fresh(parameter, wanted)
            yield self._statement(one)

    def _fresh(self, parameter: str, wanted: str) -> str:
        node = self.program.document(self.endpoint.module.path).function(self.endpoint.facts)
        free = [n for n in (parameter, *(f"{parameter}_{i}" for i in range(2, 20))) if n not in self._names | {wanted}]
        name = next(n for n in free if fresh_name(node, (n,)) == n)
        self._names.add(name)
        return name

    def _statement(self, made: _Made) -> str:
        """The assignment, over several lines where one would be long."""
        text = f"{made.name} = {self._call(made)}"
        if len(text) <= _LONG:
            return text
        head = f"{made.name} = {'await ' if made.is_async else ''}{made.callee}(\n"
        return head + "".join(f"    {one},\n" for one in self._given(made)) + ")"

    def _call(self, made: _Made) -> str:
        return f"{'await ' if made.is_async else ''}{made.callee}({', '.join(self._given(made))})"

    def _given(self, made: _Made) -> list[str]:
        given = []
        for parameter, one in made.given:
            if one is None:
                given.append(f"{parameter}={self.spelling}")
            else:
                given.append(f"{parameter}={one.name or self._call(one)}")
        return given

    def _maker(self, target: v.Value, node: ast.AST) -> tuple[sym.Function, sym.Function | sym.Class]:
        if isinstance(target, v.FunctionRef) and target.function.owner is None and target.function.parent is None:
            if not target.function.facts.decorators:
                return target.function, target.function
        if isinstance(target, v.ClassRef):
            init = self.program.analysis.infer.classes.method(target.cls, "__init__")
            if init is not None and target.cls.parent is None and target.cls.facts.owner is None:
                return init, target.cls
        raise Refused("a dependency cannot be called by hand", self._step(node, "what it provides is used here"))

    def _step(self, node: ast.AST, text: str) -> Step:
        return Step(self.program.document(self.endpoint.module.path).place(node), text)
