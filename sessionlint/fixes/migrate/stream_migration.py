"""How one stream gets its unit of work: where it is opened, what moves into it, what commits through it.

Refuses with the place where something is not seen for certain. Collects edits in a plan; changes nothing.
"""

from __future__ import annotations

import ast
import re
import textwrap
from functools import cached_property

from sessionlint.effects.observations import Suspended
from sessionlint.facts import shape as s
from sessionlint.findings import Step
from sessionlint.fixes.around import is_docstring
from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import Wrap
from sessionlint.fixes.leaving import before_return, fresh_name
from sessionlint.fixes.migrate.lent_session import captured, is_lent, lent_session
from sessionlint.fixes.migrate.obstacles import nothing_remembered, path_is_clear
from sessionlint.fixes.migrate.own_sessions import OwnBlock, has_unit, own_blocks
from sessionlint.fixes.migrate.path_commits import commit_text, commits, end_through_unit
from sessionlint.fixes.migrate.unit_block import converted, inner, through_unit
from sessionlint.fixes.migrate.unit_class import SESSION, UNIT, unit_class
from sessionlint.fixes.migrate.unit_parameter import UnitPlan
from sessionlint.fixes.migrate.waits import settled, waits_of
from sessionlint.fixes.program import Program
from sessionlint.fixes.providers import identity
from sessionlint.fixes.rewrite import insert_before, replace
from sessionlint.fixes.sessions import inside
from sessionlint.fixes.signatures import written
from sessionlint.fixes.sources import Refused, Source
from sessionlint.fixes.streams.carriers import Carried, physical, renamed, session_names
from sessionlint.fixes.streams.endpoint import leave_endpoint
from sessionlint.fixes.streams.factories import factory_text
from sessionlint.fixes.streams.stream_entries import StreamEntry, reached
from sessionlint.project import symbols as sym

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
        self.carried = Carried(program, self.endpoint, SESSION)
        self.notes: list[Step] = []
        self.plan = UnitPlan(program, Source(self.endpoint, ast.Name(UNIT), self.endpoint, True, UNIT, False))
        self.title = f"{entry.place.file}:{entry.place.line} `{self.endpoint.qualname}`: {TITLE}"
        #: where the unit is opened, if that is no new generator; the call that starts the stream, if it is
        self.owners: set[str] = set()
        self.starts: list[ast.Call] = []
        #: own: blocks of the stream's own sessions; inside: in the endpoint's nested generator; around: a new generator
        self.kind = ""
        self.opened: list[OwnBlock] = []
        self.factories: list[sym.Global] = []
        #: the endpoint's session, where the unit stands around that
        self.lent = ""

    @cached_property
    def ending(self) -> frozenset[str]:
        """Functions on the path that must take the unit, because they end a transaction or wait with one open."""
        others = [f for f in self.path.values() if f.key not in self.owners]
        return frozenset(f.key for f in others if commits(self.program, f) or waits_of(self.program, f, reads=True))

    def prepare(self) -> None:
        """Choose how the unit is opened; ``kind`` stays empty where there is nothing to migrate."""
        opened = own_blocks(self.program, self.entry.generators, self.path.values())
        if not self.entry.streamed.origins and not opened:
            self._nothing_held_open()
            return
        where = self._step(self.node, f"`{self.generator.qualname}`")
        if not opened and has_unit(self.program, [self.generator]):
            if is_lent(self.program, self.generator, self.entry):
                return
            other = str(min(self.entry.streamed.origins)).rpartition(":")[2]
            raise Refused(f"the stream has a unit of work, and reaches another session too, through `{other}`", where)
        if not all(g.facts.is_async for g in self.entry.generators):
            raise Refused("the generator is not `async`", where)
        if opened and self.entry.streamed.origins:
            raise Refused("the stream uses more than one session", where)
        for function in {*(one.function for one in opened), self.generator, self.endpoint}:
            document = self.program.document(function.module.path)
            for name in inside(document.function(function.facts)):
                if isinstance(name, ast.Name) and name.id == UNIT:
                    raise Refused(f"`{UNIT}` means something else there", self._step_in(document, name, "here"))
        path_is_clear(self.program, self.path.values(), unit_class(self.program).cls)
        nothing_remembered(self.program, reached(self.analysis, self.endpoint).values())
        if opened:
            self.kind, self.opened = "own", opened
            self.owners = {one.function.key for one in opened}
            return
        self.lent = lent_session(self.program, self.entry)
        if self.generator.parent is self.endpoint:
            self.kind = "inside"
            self.owners = {self.generator.key}
        else:
            self.kind = "around"
            self.starts = [self._start()[0]]

    def _nothing_held_open(self) -> None:
        """Raises ``Refused`` where a reader is waited for with a session open that no plain block opens."""
        if has_unit(self.program, self.path.values()):
            return
        for function in self.path.values():
            for seen in self.program.observations(function, Suspended):
                if seen.open and self.analysis.hands_out_items(function):
                    raise Refused(
                        "its session is opened in another way than by a block of a factory",
                        Step(self.analysis.place(function, seen.loc), "the reader is waited for here while it is open"),
                    )

    def open(self, plan: UnitPlan) -> None:
        """First: the blocks of units, in a plan that others may share."""
        self.plan = plan
        if self.lent:
            note = f"`{self.lent}` stays the session of the request: what opens it is replaced or does more than that"
            self.notes.append(Step(self.entry.place, note))
        if self.kind == "own":
            for function, block in self.opened:
                name = self.endpoint.name if self.entry.generators == (function,) else function.name
                self.factories.append(converted(plan, function, block, name))
        elif self.kind == "inside":
            self._open_around_uses()
        elif not self.lent:
            self._take_what_starts()

    def hand_down(self) -> None:
        """Then: what commits on the path goes through the unit, which it takes."""
        for function in self.path.values():
            self.notes.extend(end_through_unit(self.program, self.plan, function, self.factories))
            for text, loc in self._locks(function):
                note = (
                    f"`{text}` is held while the reader is waited for: take it per transaction where it may be let go"
                )
                self.notes.append(Step(self.analysis.place(function, loc), note))

    def _locks(self, function: sym.Function) -> list[tuple[str, s.Loc]]:
        """Locks that a function of the stream holds over a yield."""
        if not self.analysis.hands_out_items(function):
            return []
        return sorted({(one.text, one.opened) for one in self.analysis.generators.locked_yields(function)})

    def close(self) -> None:
        """Last: what needs to know who takes the unit."""
        if self.kind == "around":
            self._open_in_wrapper(*self._start())

    def _endpoint_node(self) -> ast.FunctionDef | ast.AsyncFunctionDef:
        return self.carried.document.function(self.endpoint.facts)

    # ---- the session of the request --------------------------------------------------------------------------------

    def _open_around_uses(self) -> None:
        """The nested generator captures the session, or what is built on it."""
        if self.lent:
            region = self._region(captured(self.program, self.endpoint, self.node))
            self._wrap(region, "")
            through_unit(self.plan, self.generator, region, {self.lent}, lent=True)
            return
        self.carried.take([n for n in ast.walk(self.node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)])
        self.factories.append(self._factory())
        names = self.carried.sessions | self.carried.carriers
        region = self._region(names)
        if len(region) == 1 and isinstance(region[0], ast.Try) and region[0].handlers:
            region = inner(self.plan, self.document, region[0], names)
        end = self._commit_at_end(region)
        self._wrap(region, end)
        through_unit(self.plan, self.generator, region, self.carried.sessions)
        self._leave_endpoint([self.node])

    def _region(self, names: set[str]) -> list[ast.stmt]:
        """The statements of the nested generator from the first on that uses some names."""
        body = [stmt for stmt in self.node.body if not is_docstring(stmt)]
        used = [stmt for stmt in body if session_names(stmt, names)]
        if not used:
            raise Refused("it is not seen where the stream uses the session", self._step(self.node, "here"))
        return body[body.index(used[0]) :]

    def _start(self) -> tuple[ast.Call, ast.stmt]:
        """The call that starts the stream, in the call of the response or in front of it, and its statement."""
        document = self.carried.document
        outer = document.spanning(self.entry.streamed.loc, ast.Call)
        given = [*outer.args, *(k.value for k in outer.keywords)] if outer is not None else []
        starts = [one for one in (self._made_before(outer, argument) for argument in given) if one is not None]
        stmt = document.statement(starts[0]) if len(starts) == 1 else None
        if not isinstance(stmt, (ast.Return, ast.Assign)):
            where = Step(self.entry.place, "it answers here")
            raise Refused("the stream is not started by a call of its own for the response", where)
        return starts[0], stmt

    def _made_before(self, outer: ast.Call | None, argument: ast.expr) -> ast.Call | None:
        """The call behind an argument of the response: itself, or the value of a name that is used nowhere else."""
        document = self.carried.document
        if isinstance(argument, ast.Name) and outer is not None:
            uses = [n for n in ast.walk(self._endpoint_node()) if isinstance(n, ast.Name) and n.id == argument.id]
            made = [document.parent(n) for n in uses if isinstance(n.ctx, ast.Store)]
            if len(uses) != 2 or len(made) != 1 or not isinstance(made[0], ast.Assign):
                return None
            if made[0] not in document.block(document.statement(outer)):
                return None
            argument = made[0].value
        if isinstance(argument, ast.Call) and ast.unparse(argument.func).rpartition(".")[2] == self.generator.name:
            return argument
        return None

    def _take_what_starts(self) -> None:
        names = [n for n in ast.walk(self.starts[0]) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]
        self.carried.take(names)
        self.factories.append(self._factory())

    def _open_in_wrapper(self, start: ast.Call, stmt: ast.stmt) -> None:
        """A generator next to the endpoint's answer opens the unit and reads from the one that was there."""
        document = self.carried.document
        call = self._started(start)
        node = self._endpoint_node()
        before = document.block(stmt)[: document.block(stmt).index(stmt)]
        name = fresh_name(node, tuple(n for n in ("stream", "body", "events") if n != node.name))
        item, items = fresh_name(node, ("item", "part")), fresh_name(node, ("items", "parts"))
        unit = document.unit
        closing = written(document, "contextlib", "aclosing", self.plan.imports)
        source = [f"async with {closing}({call}) as {items}:"]
        if "\n" in call:
            source = [*f"{items} = {call}".splitlines(), f"async with {closing}({items}):"]
        body = [
            *physical(self.carried.lines),
            *source,
            f"{unit}async for {item} in {items}:",
            f"{unit}{unit}yield {item}",
            *([self._last_commit(self.generator.facts.end_line + 1)] if self._pending_at_end() else []),
        ]
        lines = [
            *([""] if set(before) - set(self.carried.moved) else []),
            f"async def {name}():",
            f"{unit}async with {self._opening(document)} as {UNIT}:",
            *(f"{unit}{unit}{line}" for line in body),
            "",
        ]
        self.plan.edits.append(insert_before(document, stmt, lines))
        self.plan.edits.append(replace(document, start, f"{name}()"))
        self._leave_endpoint([start])

    def _started(self, start: ast.Call) -> str:
        """The call that starts the stream, with the unit's session, and the unit where it takes one."""
        document = self.carried.document
        call = textwrap.dedent(document.indentation(start) + renamed(document, start, self.carried.sessions, SESSION))
        if self.plan.starts[start]:
            opening = call.index("(", len(document.code(start.func))) + 1
            apart = re.match(r"\s*\n\s*", call[opening:])
            space = apart[0] if apart and (start.args or start.keywords) else ""
            comma = ("," if space else ", ") if start.args or start.keywords else ""
            call = f"{call[:opening]}{space}{UNIT}{comma}{call[opening:]}"
        return call

    def _leave_endpoint(self, gone: list[ast.AST]) -> None:
        if self.lent:
            return
        left = leave_endpoint(self.carried, gone)
        self.plan.edits.extend(left.edits)
        self.plan.released.extend(left.released)

    def _factory(self) -> sym.Global:
        found = {identity(f): f for f in self.carried.factories}
        if len(found) != 1:
            raise Refused(
                "it is not certain which factory makes the session of the stream", self._step(self.node, "here")
            )
        return next(iter(found.values()))

    # ---- the unit --------------------------------------------------------------------------------------------------

    def _opening(self, document: Document) -> str:
        if self.lent:
            written_as = self.plan.unit.written(self.program, document, self.plan.imports)
            return f'{written_as}.around({self.lent}, name="{self.endpoint.name}")'
        text = factory_text(self.program, document, self.factories[0], self.plan.imports)
        return self.plan.unit.opening(self.program, document, text, self.endpoint.name, self.plan.imports)

    def _wrap(self, region: list[ast.stmt], end: str) -> None:
        document = self.document
        space = document.indentation(region[0]) + document.unit
        header = "".join(
            [
                f"async with {self._opening(document)} as {UNIT}:",
                *(f"\n{line}" for line in physical(self.carried.lines, space)),
            ]
        )
        first, last = document.start(region[0]), document.start(region[-1])
        self.plan.blocks.append(Wrap(document.file, first, last, header, end))

    def _last_commit(self, line: int) -> str:
        return f"await {commit_text(self.plan, self.generator, s.Loc(line, 1, line, 1))}"

    def _pending_at_end(self) -> bool:
        """Whether the request's dependency would have committed what the stream, or one below it, leaves."""
        if self.plan.unit.commits_at_exit or self.lent:
            return False
        for generator in self.path.values():
            if generator not in self.entry.generators and not self.analysis.hands_out_items(generator):
                continue
            done = settled(self.program, generator)
            for variant in self.analysis.result(generator).summary.variants:
                for _, transaction in variant.transactions:
                    if any(write.key not in done for write in transaction.pending):
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

    def _step(self, node: ast.AST, text: str) -> Step:
        return Step(self.document.place(node), text)

    @staticmethod
    def _step_in(document: Document, node: ast.AST, text: str) -> Step:
        return Step(document.place(node), text)
