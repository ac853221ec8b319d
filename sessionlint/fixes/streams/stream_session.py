"""Moves the session of a request into the stream that uses it: opened there, short, and what is built on it rebuilt.

A nested generator gets blocks around the statements that use the session, without a ``yield`` in them; where a
generator elsewhere does the work, one beside the answer opens the session and reads from it. Refuses with the place
where something is not seen for certain. Collects edits; changes nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sessionlint.findings import Step
from sessionlint.fixes.around import is_docstring
from sessionlint.fixes.edits import Edit, NeededImport, Wrap
from sessionlint.fixes.expiry import keeps_objects
from sessionlint.fixes.leaving import fresh_name
from sessionlint.fixes.program import Program
from sessionlint.fixes.providers import identity
from sessionlint.fixes.rewrite import insert_before, replace
from sessionlint.fixes.signatures import NAMES, written
from sessionlint.fixes.sources import Refused
from sessionlint.fixes.streams.carriers import Carried, physical, renamed, session_names
from sessionlint.fixes.streams.endpoint import leave_endpoint
from sessionlint.fixes.streams.factories import factory_text
from sessionlint.fixes.streams.run_effects import Effects, effects_of, waits_open
from sessionlint.fixes.streams.short_blocks import ShortBlocks
from sessionlint.fixes.streams.stream_entries import StreamEntry
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Scope

#: what no session knows of
_PLAIN = (v.Literal, v.ExternalObject, v.FunctionRef, v.ClassRef)


@dataclass
class StreamSession:
    """The edits of one stream."""

    program: Program
    entry: StreamEntry
    edits: list[Edit] = field(default_factory=list)
    blocks: list[Wrap] = field(default_factory=list)
    imports: list[NeededImport] = field(default_factory=list)
    released: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        self.endpoint, self.generator = self.entry.function, self.entry.generator
        self.document = self.program.document(self.endpoint.module.path)
        self.node = self.document.function(self.endpoint.facts)
        self.name = self._session_name()
        self.carried = Carried(self.program, self.endpoint, self.name)

    def build(self) -> None:
        """Collect the edits. Raises ``Refused``."""
        if len(self.entry.generators) > 1:
            raise Refused("the response may get one of several streams", Step(self.entry.place, "it answers here"))
        if not self.generator.facts.is_async:
            raise Refused("the generator is not `async`", self._of(self.generator))
        if self.generator.parent is self.endpoint:
            self._inside()
        else:
            self._beside()

    def _session_name(self) -> str:
        """The name of the session inside the stream: the one the endpoint has for it."""
        given = {o.name for o in self.program.analysis.engine.session_parameters(self.endpoint)}
        return sorted(given)[0] if len(given) == 1 else fresh_name(self.node, NAMES)

    # ---- a generator inside the endpoint ---------------------------------------------------------------------------

    def _inside(self) -> None:
        document = self.document
        node = document.function(self.generator.facts)
        self.carried.take([n for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)])
        factory = self._factory()
        names = self.carried.sessions | self.carried.carriers
        cut = ShortBlocks(document, node, names, self.carried.sessions)
        try:
            cut.cut()
        except Refused as refused:
            self._around(node, names, factory, refused)
        else:
            self._in_blocks(cut, factory)
        for name in session_names(node, self.carried.sessions - {self.name}):
            self.edits.append(replace(document, name, self.name))
        self._leave_endpoint([node])

    def _in_blocks(self, cut: ShortBlocks, factory: sym.Global) -> None:
        """Short blocks, none of which waits for the reader."""
        if not cut.runs and not cut.hoisted:
            raise Refused("it is not seen where the stream uses the session", self._of(self.generator))
        self._may_leave(cut)
        for run in cut.runs:
            effects = effects_of(self.program.analysis, self.generator, run.lines)
            footer = f"await {self.name}.commit()" if effects.ends and effects.pending else ""
            self.blocks.append(self._block(run.stmts, factory, effects, footer))
        self.edits.extend(cut.edits)
        if cut.hoisted:
            self.edits.extend(cut.written(self._opening(factory, Effects(False, False, False)), self._lines))

    def _around(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef, names: set[str], factory: sym.Global, refused: Refused
    ) -> None:
        """One block around all that uses the session, for a stream that hands on what a service streams."""
        body = [stmt for stmt in node.body if not is_docstring(stmt)]
        used = [stmt for stmt in body if session_names(stmt, names)]
        region = body[body.index(used[0]) : body.index(used[-1]) + 1]
        calls_only = all(isinstance(stmt, (ast.AsyncFor, ast.Assign, ast.Expr)) for stmt in region)
        if not calls_only or not any(isinstance(stmt, ast.AsyncFor) for stmt in region):
            raise refused
        self._must_not_wait()
        effects = effects_of(self.program.analysis, self.generator)
        footer = f"await {self.name}.commit()" if effects.ends and effects.pending else ""
        self.blocks.append(self._block(region, factory, effects, footer))

    def _block(self, stmts: Sequence[ast.stmt], factory: sym.Global, effects: Effects, footer: str) -> Wrap:
        """Statements in a block that opens the session and makes anew what they use."""
        document = self.document
        space = document.indentation(stmts[0]) + document.unit
        header = "\n".join([self._opening(factory, effects), *(f"{space}{line}" for line in self._lines(stmts))])
        return Wrap(document.file, document.start(stmts[0]), document.start(stmts[-1]), header, footer)

    def _may_leave(self, cut: ShortBlocks) -> None:
        """Objects that leave their block are read only, and a commit must not expire them. Raises ``Refused``."""
        keeps = keeps_objects(self.program)
        infer, scope = self.program.analysis.infer, Scope(self.generator.module, self.generator)
        for use, in_another in cut.kept():
            options = v.options_of(infer.name(use.id, scope))
            if all(isinstance(o, _PLAIN) for o in options) or not self._is_local(use.id):
                continue
            around = self.document.parent(use)
            reads = isinstance(around, ast.Attribute) and isinstance(around.ctx, ast.Load)
            above = self.document.parent(around) if around is not None else None
            called = isinstance(above, ast.Call) and above.func is around
            if in_another and (not reads or called):
                raise Refused(
                    f"`{use.id}` belongs to one block of the session and is used in another",
                    Step(self.document.place(use), "here"),
                )
            if not keeps:
                raise Refused(
                    f"`{use.id}` is read behind the block, and a factory has no `expire_on_commit=False`",
                    Step(self.document.place(use), "here"),
                )

    def _is_local(self, name: str) -> bool:
        """Whether a name is bound in the stream or the endpoint, other than by what a client sends."""
        if name in self.generator.bindings or name in self.endpoint.bindings:
            return True
        parameter = self.endpoint.parameters.get(name)
        infer = self.program.analysis.infer
        return parameter is not None and infer.dependency(self.endpoint, parameter) is not None

    def _lines(self, nodes: Iterable[ast.AST]) -> list[str]:
        """What must be made anew in a block, in order: what it uses, and what that is made of."""
        wanted = {n.id for one in nodes for n in ast.walk(one) if isinstance(n, ast.Name)}
        found: list[str] = []
        for line in reversed(self.carried.lines):
            name = line.partition(" = ")[0]
            if name in wanted:
                found.insert(0, line)
                wanted |= {n.id for n in ast.walk(ast.parse(line)) if isinstance(n, ast.Name)}
        return found

    # ---- a generator elsewhere -------------------------------------------------------------------------------------

    def _beside(self) -> None:
        """A generator beside the answer opens the session and reads from the one that was there."""
        document = self.document
        start, stmt = self._start()
        self._must_not_wait()
        self.carried.take([n for n in ast.walk(start) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)])
        factory = self._factory()
        call = renamed(document, start, self.carried.sessions, self.name)
        if "\n" in call:
            raise Refused("the stream is started over several lines", Step(document.place(start), "here"))
        effects = effects_of(self.program.analysis, self.generator)
        name = fresh_name(self.node, ("stream", "body", "events"))
        item, items = fresh_name(self.node, ("item", "part")), fresh_name(self.node, ("items", "parts"))
        closing = written(document, "contextlib", "aclosing", self.imports)
        unit = document.unit
        inner = [
            *physical(self.carried.lines),
            f"async with {closing}({call}) as {items}:",
            f"{unit}async for {item} in {items}:",
            f"{unit}{unit}yield {item}",
            *([f"await {self.name}.commit()"] if effects.ends and effects.pending else []),
        ]
        lines = [
            *([""] if document.block(stmt)[0] is not stmt else []),
            f"async def {name}():",
            f"{unit}{self._opening(factory, effects)}",
            *(f"{unit}{unit}{line}" for line in inner),
            "",
        ]
        self.edits.append(insert_before(document, stmt, lines))
        self.edits.append(replace(document, start, f"{name}()"))
        self._leave_endpoint([start])

    def _must_not_wait(self) -> None:
        """One block for the whole stream is no better than the request's session if it waits like that."""
        if waits_open(self.program.analysis, self.generator) is not None:
            raise Refused(
                "it would wait for the reader with a transaction open: `migrate unit-of-work` is for that",
                self._of(self.generator),
            )

    def _start(self) -> tuple[ast.Call, ast.stmt]:
        """The call that starts the stream, and the statement that answers with it."""
        document = self.document
        outer = document.spanning(self.entry.streamed.loc, ast.Call)
        given = [*outer.args, *(k.value for k in outer.keywords)] if outer is not None else []
        starts = [one for one in (self._made(g) for g in given) if _called(one) == self.generator.name]
        stmt = document.statement(outer) if outer is not None else None
        if len(starts) != 1 or not isinstance(starts[0], ast.Call) or not isinstance(stmt, (ast.Return, ast.Assign)):
            raise Refused(
                "the stream is not started inside the call of the response", Step(self.entry.place, "it answers here")
            )
        return starts[0], document.statement(starts[0])

    def _made(self, given: ast.expr) -> ast.expr:
        """What a name was given by the one assignment it has in the endpoint."""
        if not isinstance(given, ast.Name) or len(self.endpoint.bindings.get(given.id, ())) != 1:
            return given
        for stmt in self.node.body:
            if isinstance(stmt, ast.Assign) and len(stmt.targets) == 1:
                target = stmt.targets[0]
                if isinstance(target, ast.Name) and target.id == given.id:
                    return stmt.value
        return given

    # ---- both ------------------------------------------------------------------------------------------------------

    def _factory(self) -> sym.Global:
        found = {identity(f): f for f in self.carried.factories}
        if len(found) != 1:
            raise Refused("it is not certain which factory makes the session of the stream", self._of(self.generator))
        return next(iter(found.values()))

    def _opening(self, factory: sym.Global, effects: Effects) -> str:
        begin = ".begin" if effects.writes and not effects.ends else ""
        return f"async with {factory_text(self.program, self.document, factory, self.imports)}{begin}() as {self.name}:"

    def _leave_endpoint(self, gone: list[ast.AST]) -> None:
        left = leave_endpoint(self.carried, gone)
        self.edits.extend(left.edits)
        self.released = left.released

    def _of(self, function: sym.Function) -> Step:
        return Step(self.program.analysis.place(function, function.facts.loc), f"`{function.qualname}`")


def _called(call: ast.expr) -> str:
    return ast.unparse(call.func).rpartition(".")[2] if isinstance(call, ast.Call) else ""
