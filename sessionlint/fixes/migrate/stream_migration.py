"""How one stream gets its unit of work: where it is opened, what moves into it, what commits through it.

Refuses with the place where something is not seen for certain. Collects edits in a plan; changes nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import cached_property

from sessionlint.facts import shape as s
from sessionlint.findings import Step
from sessionlint.fixes.around import is_docstring
from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import Wrap
from sessionlint.fixes.leaving import before_return, fresh_name
from sessionlint.fixes.migrate.obstacles import path_is_clear
from sessionlint.fixes.migrate.path_commits import commit_text, commits, end_through_unit, uncommitted_yields
from sessionlint.fixes.migrate.unit_block import converted, inner, through_unit
from sessionlint.fixes.migrate.unit_class import UNIT, is_unit, unit_class
from sessionlint.fixes.migrate.unit_parameter import UnitPlan
from sessionlint.fixes.program import Program
from sessionlint.fixes.providers import identity
from sessionlint.fixes.rewrite import insert_before, replace
from sessionlint.fixes.sessions import inside, named_session
from sessionlint.fixes.signatures import written
from sessionlint.fixes.sources import Refused, Source
from sessionlint.fixes.streams.carriers import Carried, renamed, session_names
from sessionlint.fixes.streams.endpoint import leave_endpoint
from sessionlint.fixes.streams.factories import factory_text
from sessionlint.fixes.streams.stream_entries import StreamEntry, reached
from sessionlint.project import symbols as sym
from sessionlint.project.infer import Scope

TITLE = "open a unit of work inside the stream"


class StreamMigration:
    """The edits of one entry."""

    def __init__(self, program: Program, entry: StreamEntry) -> None:
        self.program, self.entry = program, entry
        self.analysis = program.analysis
        self.endpoint, self.generator = entry.function, entry.generator
        self.document = program.document(self.generator.module.path)
        self.node = self.document.function(self.generator.facts)
        self.path = {k: f for g in entry.generators for k, f in reached(self.analysis, g).items()}
        self.carried = Carried(program, self.endpoint, f"{UNIT}.session")
        self.notes: list[Step] = []
        self.plan = UnitPlan(program, Source(self.endpoint, ast.Name(UNIT), self.endpoint, True, UNIT, False))
        self.title = f"{entry.place.file}:{entry.place.line} `{self.endpoint.qualname}`: {TITLE}"
        #: where the unit is opened, if that is not a new generator; the call that starts the stream, if it is
        self.owners: set[str] = set()
        self.starts: list[ast.Call] = []
        self.write: Callable[[], None] | None = None

    @cached_property
    def ending(self) -> frozenset[str]:
        """Functions on the path that must take the unit, because they end a transaction or wait with one open."""
        others = [f for f in self.path.values() if f.key not in self.owners]
        return frozenset(f.key for f in others if commits(self.program, f) or uncommitted_yields(self.analysis, f))

    def prepare(self) -> None:
        """Choose how the unit is opened; ``write`` stays None where there is nothing to migrate."""
        opened = self._own_blocks()
        summary = self.analysis.result(self.generator).summary
        if not self.entry.streamed.origins and not opened:
            if summary.opens and not self._has_unit():
                raise Refused(
                    "its session is opened deeper down or in another way than by a block of a factory",
                    self._step(self.node, "the stream starts here"),
                )
            return
        if opened and not self.entry.streamed.origins and all(_is_short(block) for block in opened):
            return
        where = self._step(self.node, f"`{self.generator.qualname}`")
        if not self.generator.facts.is_async:
            raise Refused("the generator is not `async`", where)
        if opened and len(self.entry.generators) > 1:
            raise Refused("the response may get one of several streams", where)
        if len(opened) > 1 or (opened and self.entry.streamed.origins):
            raise Refused("the stream uses more than one session", where)
        for document, node in ((self.document, self.node), (self.carried.document, self._endpoint_node())):
            for name in session_names(node, {UNIT}):
                raise Refused(f"`{UNIT}` means something else there", self._step_in(document, name, "here"))
        path_is_clear(self.program, self.path.values(), unit_class(self.program).cls)
        if opened:
            self.owners = {self.generator.key}
            self.write = lambda: self._open_in_place(opened[0])
        elif self.generator.parent is self.endpoint:
            self.owners = {self.generator.key}
            self.write = self._open_around_uses
        else:
            start, stmt = self._start()
            self.starts = [start]
            self.write = lambda: self._open_in_wrapper(start, stmt)

    def build(self, plan: UnitPlan) -> None:
        """Collect the edits in a plan that others may share."""
        assert self.write is not None, "prepared first"
        self.plan = plan
        self.write()

    def _endpoint_node(self) -> ast.FunctionDef | ast.AsyncFunctionDef:
        return self.carried.document.function(self.endpoint.facts)

    # ---- the session of its own ------------------------------------------------------------------------------------

    def _own_blocks(self) -> list[ast.AsyncWith]:
        found = []
        for node in inside(self.node):
            if isinstance(node, ast.AsyncWith):
                for item in node.items:
                    if isinstance(item.optional_vars, ast.Name) and not isinstance(item.context_expr, ast.Attribute):
                        held = named_session(self.program, self.generator, item.optional_vars.id)
                        if held is not None:
                            found.append(node)
        return found

    def _has_unit(self) -> bool:
        scope = Scope(self.generator.module, self.generator)
        names = [
            item.optional_vars.id
            for node in ast.walk(self.node)
            if isinstance(node, ast.AsyncWith)
            for item in node.items
            if isinstance(item.optional_vars, ast.Name)
        ]
        return any(is_unit(self.program, self.analysis.infer.name(name, scope)) for name in names)

    def _open_in_place(self, block: ast.AsyncWith) -> None:
        """``async with maker() as db:`` in the generator becomes the unit's block."""
        self._hand_down(converted(self.plan, self.generator, block, self.endpoint.name))

    # ---- the session of the request --------------------------------------------------------------------------------

    def _open_around_uses(self) -> None:
        """The nested generator captures the session, or what is built on it."""
        self.carried.take([n for n in ast.walk(self.node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)])
        factory = self._factory()
        names = self.carried.sessions | self._carriers()
        body = [stmt for stmt in self.node.body if not is_docstring(stmt)]
        used = [stmt for stmt in body if session_names(stmt, names)]
        if not used:
            raise Refused("it is not seen where the stream uses the session", self._step(self.node, "here"))
        region = body[body.index(used[0]) :]
        if len(region) == 1 and isinstance(region[0], ast.Try) and region[0].handlers:
            region = inner(self.plan, self.document, region[0], names)
        end = self._commit_at_end(region)
        self._wrap(region, factory, end)
        through_unit(self.plan, self.generator, region, self.carried.sessions)
        self._hand_down(factory)
        self._leave_endpoint([self.node])

    def _start(self) -> tuple[ast.Call, ast.stmt]:
        """The call inside the call of the response that starts the stream, and the statement it stands in."""
        document = self.carried.document
        outer = document.spanning(self.entry.streamed.loc, ast.Call)
        starts = [
            argument
            for argument in ([*outer.args, *(k.value for k in outer.keywords)] if outer is not None else [])
            if isinstance(argument, ast.Call) and ast.unparse(argument.func).endswith(self.generator.name)
        ]
        stmt = document.statement(outer) if outer is not None else None
        if len(starts) != 1 or not isinstance(stmt, (ast.Return, ast.Assign)):
            raise Refused(
                "the stream is not started inside the call of the response", Step(self.entry.place, "it answers here")
            )
        return starts[0], stmt

    def _open_in_wrapper(self, start: ast.Call, stmt: ast.stmt) -> None:
        """A generator next to the endpoint's answer opens the unit and reads from the one that was there."""
        document = self.carried.document
        self.carried.take([n for n in ast.walk(start) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)])
        factory = self._factory()
        self._hand_down(factory)
        call = renamed(document, start, self.carried.sessions, self.carried.spelling)
        if self.plan.starts[start]:
            opening = call.index("(", len(document.code(start.func))) + 1
            comma = ", " if start.args or start.keywords else ""
            call = f"{call[:opening]}{UNIT}{comma}{call[opening:]}"
        node = self._endpoint_node()
        name = fresh_name(node, ("stream", "body", "events"))
        item, items = fresh_name(node, ("item", "part")), fresh_name(node, ("items", "parts"))
        unit = document.unit
        closing = written(document, "contextlib", "aclosing", self.plan.imports)
        inner = [
            *self.carried.lines,
            f"async with {closing}({call}) as {items}:",
            f"{unit}async for {item} in {items}:",
            f"{unit}{unit}yield {item}",
            *([self._last_commit(self.generator.facts.end_line + 1)] if self._pending_at_end() else []),
        ]
        lines = [
            *([""] if document.block(stmt)[0] is not stmt else []),
            f"async def {name}():",
            f"{unit}async with {self._opening(document, factory)} as {UNIT}:",
            *(f"{unit}{unit}{line}" for line in inner),
            "",
        ]
        if any("\n" in line for line in lines):
            raise Refused("the stream is started over several lines", self._step_in(document, start, "here"))
        self.plan.edits.append(insert_before(document, stmt, lines))
        self.plan.edits.append(replace(document, start, f"{name}()"))
        self._leave_endpoint([start])

    def _leave_endpoint(self, gone: list[ast.AST]) -> None:
        """What moved into the unit leaves the endpoint, with the parameters that nothing else there needs."""
        self.plan.edits.extend(leave_endpoint(self.carried, gone).edits)

    def _carriers(self) -> set[str]:
        return {line.partition(" = ")[0] for line in self.carried.lines}

    def _factory(self) -> sym.Global:
        found = {identity(f): f for f in self.carried.factories}
        if len(found) != 1:
            raise Refused(
                "it is not certain which factory makes the session of the stream", self._step(self.node, "here")
            )
        return next(iter(found.values()))

    # ---- the unit --------------------------------------------------------------------------------------------------

    def _opening(self, document: Document, factory: sym.Global) -> str:
        text = factory_text(self.program, document, factory, self.plan.imports)
        return self.plan.unit.opening(self.program, document, text, self.endpoint.name, self.plan.imports)

    def _wrap(self, region: list[ast.stmt], factory: sym.Global, end: str) -> None:
        document = self.document
        space = document.indentation(region[0]) + document.unit
        header = "".join(
            [
                f"async with {self._opening(document, factory)} as {UNIT}:",
                *(f"\n{space}{line}" for line in self.carried.lines),
            ]
        )
        first, last = document.start(region[0]), document.start(region[-1])
        self.plan.blocks.append(Wrap(document.file, first, last, header, end))

    def _last_commit(self, line: int) -> str:
        return f"await {commit_text(self.plan, self.generator, s.Loc(line, 1, line, 1))}"

    def _pending_at_end(self) -> bool:
        """Whether the request's dependency would have committed what the stream leaves."""
        variants = [x for g in self.entry.generators for x in self.analysis.result(g).summary.variants]
        for variant in variants:
            for _, transaction in variant.transactions:
                if transaction.pending:
                    return self._dependency_commits()
        return False

    def _dependency_commits(self) -> bool:
        names = self.carried.sessions | self.carried.parameters
        providers = [p for name in names for p, _ in self.analysis.request_sessions(self.endpoint, name)]
        return any(self.analysis.provider_policy(p) == "commit" for p in providers)

    def _commit_at_end(self, region: list[ast.stmt]) -> str:
        if not self._pending_at_end():
            return ""
        text = self._last_commit((region[-1].end_lineno or region[-1].lineno) + 1)
        for stmt in region:
            for node in ast.walk(stmt):
                if isinstance(node, ast.Return) and self.document.function_around(node) is self.node:
                    if node is region[-1]:
                        raise Refused("the stream ends with a return", self._step(node, "here"))
                    self.plan.edits.extend(before_return(self.document, node, text))
        return text

    def _hand_down(self, factory: sym.Global) -> None:
        """Commits of all functions on the path go through the unit, which they take."""
        for function in self.path.values():
            self.notes.extend(end_through_unit(self.program, self.plan, function, factory))

    def _step(self, node: ast.AST, text: str) -> Step:
        return Step(self.document.place(node), text)

    @staticmethod
    def _step_in(document: Document, node: ast.AST, text: str) -> Step:
        return Step(document.place(node), text)


def _is_short(block: ast.AsyncWith) -> bool:
    """A ``maker.begin()`` block that nobody waits in is a unit of work already."""
    call = block.items[0].context_expr
    begins = isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "begin"
    return begins and not any(isinstance(n, (ast.Yield, ast.YieldFrom)) for n in ast.walk(block))
