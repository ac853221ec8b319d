"""Callers outside the streams of what takes a unit: each gets one of its own, around the session it has.

A function that opens its session itself opens the unit instead. A boundary (route, dependency, job, test) puts a unit
around the statement that calls. Anybody else takes the unit in turn.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from sessionlint.facts import shape as s
from sessionlint.findings import Step
from sessionlint.fixes import references, signatures
from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import Wrap
from sessionlint.fixes.migrate.path_commits import commit_there, commits
from sessionlint.fixes.migrate.unit_block import converted, plain_factory
from sessionlint.fixes.migrate.unit_class import UNIT, is_unit
from sessionlint.fixes.migrate.unit_parameter import UnitPlan
from sessionlint.fixes.migrate.waits import head_of
from sessionlint.fixes.program import Program
from sessionlint.fixes.sessions import named_session, spelled_session
from sessionlint.fixes.sources import Refused
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Scope

_UNSEEN = "it cannot be seen which session it works on when called outside the stream"
_UNCERTAIN = "it is not certain which session it works on when called outside the stream"


@dataclass
class SharedUnitPlan(UnitPlan):
    """A plan that also serves callers outside its streams. ``elsewhere`` runs in streams that are not migrated."""

    elsewhere: frozenset[str] = frozenset()
    _blocks: set[tuple[str, int]] = field(default_factory=set)
    _statements: dict[tuple[str, str], list[ast.stmt]] = field(default_factory=dict)
    _texts: dict[tuple[str, str], str] = field(default_factory=dict)
    _asked_for: dict[str, str] = field(default_factory=dict)

    def outside(self, use: references.Use, document: Document, call: ast.Call) -> str:
        caller = use.caller
        if caller is None:
            raise Refused("it is called while a module is imported", use.step("here"))
        known = self._unit_there(caller, document, call)
        if known:
            return known
        if caller.key in self.elsewhere:
            raise Refused(
                "another stream calls it that is not migrated", use.step(f"`{caller.qualname}` calls it here")
            )
        session, text = self._session_of(caller, document, use, call)
        if session.kind != "local" and not self._is_boundary(caller):
            return self.give(caller)
        if not caller.facts.is_async:
            raise Refused("it is called from a function that is not `async`, which cannot open a unit", _called(use))
        self._name_is_free(document, caller)
        if session.kind == "local" and self._opened_by(caller, document, call, text):
            return UNIT
        if not self.unit.takes_sessions:
            reason = "it is also called on a session that is there, and the project's unit of work opens its own"
            raise Refused(reason, _called(use))
        if not text:
            text = self._asked_session(caller, session, use)
        key = (caller.key, text)
        self._texts[key] = f'{self._annotation(document)}.around({text}, name="{caller.name}")'
        self._statements.setdefault(key, []).append(head_of(document, document.statement(call)))
        return UNIT

    def finish(self) -> None:
        """Commit through the unit wherever it was handed on to, and put it around the statements that need it.

        One block for all statements of a list, none inside another.
        """
        for function in self.functions():
            if function.key not in self.path:
                for seen in commits(self.program, function):
                    commit_there(self, function, seen)
        for (key, text), stmts in self._statements.items():
            caller = self.program.analysis.table.functions[key]
            document = self.program.document(caller.module.path)
            for first, last in _spans(document, stmts):
                start, end = document.start(first), document.start(last)
                header = f"async with {self._texts[(key, text)]} as {UNIT}:"
                self.blocks.append(Wrap(document.file, start, end, header, ""))

    def _session_of(
        self, caller: sym.Function, document: Document, use: references.Use, call: ast.Call
    ) -> tuple[v.Origin, str]:
        """The session that a call works on, and how its caller writes it (empty: it cannot). Raises ``Refused``."""
        assert use.call is not None
        infer, scope = self.program.analysis.infer, Scope(caller.module, caller)
        parts: list[s.Expr] = [*use.call.args, *(k.value for k in use.call.keywords)]
        if isinstance(use.call.func, s.Attribute):
            parts.append(use.call.func.value)
        found = frozenset().union(*(infer.holds(infer.expr(part, scope)) for part in parts))
        if len(found) == 1:
            session = next(iter(found))
            return session, _spelled(self.program, caller, session)
        if found and all(origin.kind == "local" for origin in found):
            for name in _bound_around(
                document, call
            ):  # one name for several blocks: it is the block around that counts
                if _origins(infer.name(name, scope)) >= found:
                    return next(iter(found)), name
        raise Refused(_UNCERTAIN if found else _UNSEEN, _called(use))

    def _is_boundary(self, caller: sym.Function) -> bool:
        analysis = self.program.analysis
        if caller.module.is_test or analysis.entries.boundary(caller) or analysis.is_script(caller):
            return True
        if caller.key in analysis.entries.dependencies or caller.key in analysis.streamed:
            return True
        return not references.of_functions(analysis, references.family(analysis, caller)).calls

    def _unit_there(self, caller: sym.Function, document: Document, call: ast.Call) -> str:
        """A unit of work that the place of the call has already."""
        infer, scope = self.program.analysis.infer, Scope(caller.module, caller)
        for around in document.ancestors(call):
            if isinstance(around, (ast.FunctionDef, ast.AsyncFunctionDef)):
                break
            if isinstance(around, ast.AsyncWith):
                for item in around.items:
                    target = item.optional_vars
                    if isinstance(target, ast.Name) and is_unit(self.program, infer.name(target.id, scope)):
                        return target.id
        names = [n for n in caller.parameters if n != caller.receiver]
        return next((n for n in names if is_unit(self.program, infer.name(n, scope))), "")

    def _name_is_free(self, document: Document, caller: sym.Function) -> None:
        for node in ast.walk(document.function(caller.facts)):
            if (isinstance(node, ast.Name) and node.id == UNIT) or (isinstance(node, ast.arg) and node.arg == UNIT):
                raise Refused(f"`{UNIT}` means something else there", Step(document.place(node), "here"))

    def _opened_by(self, caller: sym.Function, document: Document, call: ast.Call, text: str) -> bool:
        """Make the block in which the caller opens the session the block of a unit, where it is a plain one."""
        for around in document.ancestors(call):
            if isinstance(around, ast.AsyncWith):
                target = around.items[0].optional_vars
                if isinstance(target, ast.Name) and target.id == text and plain_factory(self, caller, around):
                    return self._is_converted(caller, document, around)
        return False

    def _is_converted(self, caller: sym.Function, document: Document, block: ast.AsyncWith) -> bool:
        key = (document.file, document.start(block))
        if key not in self._blocks:
            edits, blocks, imports = len(self.edits), len(self.blocks), len(self.imports)
            try:
                converted(self, caller, block, caller.name)
            except Refused:
                del self.edits[edits:], self.blocks[blocks:], self.imports[imports:]
                return False
            self._blocks.add(key)
        return True

    def _asked_session(self, caller: sym.Function, session: v.Origin, use: references.Use) -> str:
        """The session behind something that a framework gave the caller: asked for, too."""
        if caller.key in self._asked_for:
            return self._asked_for[caller.key]
        providers = self.program.analysis.request_sessions(caller, session.name)
        if not providers:
            raise Refused(_UNSEEN, _called(use))
        if len({p.key for p, _ in providers}) != 1:
            raise Refused(
                "its session is hidden inside what it was handed", use.step(f"`{caller.qualname}` calls it here")
            )
        provider, scope = providers[0]
        for name in caller.parameters:
            held = named_session(self.program, caller, name)
            if held is not None and self.program.analysis.request_sessions(caller, name) == [(provider, scope)]:
                return held.text
        asked = signatures.depends(self.program, caller, provider, scope)
        if isinstance(asked, str):
            raise Refused(asked, _called(use))
        held, edits, imports = asked
        self.edits.extend(edits)
        self.imports.extend(imports)
        self._asked_for[caller.key] = held.text
        return held.text


def _spelled(program: Program, caller: sym.Function, session: v.Origin) -> str:
    """How the caller writes the session; empty where it cannot."""
    infer, scope = program.analysis.infer, Scope(caller.module, caller)
    for name in _names_in_scope(caller):
        value = infer.name(name, scope)
        if isinstance(value, v.Session) and value.origin == session and value.is_async:
            return name
    if session.kind == "param":
        held = spelled_session(program, caller, ast.parse(str(session), mode="eval").body)
        return held.text if held is not None and held.is_async else ""
    return ""


def _origins(value: v.Value) -> frozenset[v.Origin]:
    return frozenset(o.origin for o in v.options_of(value) if isinstance(o, v.Session) and o.origin is not None)


def _bound_around(document: Document, call: ast.Call) -> Iterator[str]:
    """Names that the ``async with`` blocks around a call bind, innermost first."""
    for around in document.ancestors(call):
        if isinstance(around, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return
        if isinstance(around, ast.AsyncWith):
            yield from (i.optional_vars.id for i in around.items if isinstance(i.optional_vars, ast.Name))


def _names_in_scope(caller: sym.Function) -> Iterator[str]:
    current: sym.Function | None = caller
    while current is not None:
        yield from current.parameters
        yield from current.bindings
        current = current.parent


def _called(use: references.Use) -> Step:
    return use.step(f"`{use.caller.qualname if use.caller else 'the module'}` calls it here")


def _spans(document: Document, stmts: list[ast.stmt]) -> Iterator[tuple[ast.stmt, ast.stmt]]:
    """First and last of the statements of each list; statements inside others left out."""
    wanted = set(stmts)
    outer = [x for x in dict.fromkeys(stmts) if not any(around in wanted for around in document.ancestors(x))]
    by_block: dict[int, list[ast.stmt]] = {}
    for stmt in outer:
        by_block.setdefault(id(document.block(stmt)), []).append(stmt)
    for together in by_block.values():
        ordered = sorted(together, key=document.start)
        yield ordered[0], ordered[-1]
