"""Hands the unit of work down: every function of a stream that ends a transaction takes ``uow``, and its calls pass it.

Callers inside the stream have a unit; what becomes of any other is for a subclass to say.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from sessionlint.fixes import references
from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import Edit
from sessionlint.fixes.hand_down import Plan
from sessionlint.fixes.migrate.unit_class import UNIT, UnitClass
from sessionlint.fixes.sources import Refused
from sessionlint.project import symbols as sym


@dataclass
class UnitPlan(Plan):
    """``path`` are the functions of the streams, ``owners`` those in which a unit is opened."""

    unit: UnitClass = field(default_factory=UnitClass)
    #: whether transactions that only read are ended before a wait, too
    reads: bool = True
    path: dict[str, sym.Function] = field(default_factory=dict)
    owners: set[str] = field(default_factory=set)
    #: (file, name) of imports that may go
    released: list[tuple[str, str]] = field(default_factory=list)
    #: from where to where a unit is open in functions that open one in a block of theirs
    regions: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    #: calls that start a stream and are written anew inside a unit, and whether what they call takes the unit
    starts: dict[ast.Call, bool] = field(default_factory=dict)

    def give(self, function: sym.Function) -> str:
        if function.key in self._inside:
            return self._inside[function.key]
        for member in references.family(self.program.analysis, function):
            node = self._node(member)
            if any(isinstance(n, (ast.Name, ast.arg)) and _named(n) == UNIT for n in ast.walk(node)):
                raise Refused(f"`{UNIT}` means something else there", self._step(member, f"`{member.qualname}`"))
        return super().give(function)

    def _annotation(self, document: Document) -> str:
        return self.unit.written(self.program, document, self.imports)

    def _pass(self, use: references.Use, *, partial: bool = False, made: bool = False) -> None:
        if use.call is not None and self.starts:
            call = self._call_node(self._document(use.module), use.call)
            if call in self.starts:
                self.starts[call] = True
                return
        super()._pass(use, partial=partial, made=made)

    def _supply(self, use: references.Use, document: Document, call: ast.Call, *, made: bool = False) -> str:
        caller = use.caller
        if caller is not None and caller.key in self.owners and self._in_block(caller, document, call):
            return UNIT
        if caller is not None and caller.key in self._inside:
            return self._inside[caller.key]
        if caller is None or caller.key not in self.path or caller.key in self.owners:
            return self.outside(use, document, call)
        return self.give(caller)

    def _in_block(self, caller: sym.Function, document: Document, call: ast.Call) -> bool:
        """Whether a call in a function that opens units stands where one is open."""
        blocks = self.regions.get(caller.key)
        return blocks is None or any(start <= document.start(call) < end for start, end in blocks)

    def outside(self, use: references.Use, document: Document, call: ast.Call) -> str:
        """The unit that a caller outside the streams has. Raises ``Refused``."""
        raise NotImplementedError

    def functions(self) -> list[sym.Function]:
        """The functions that took the unit as a parameter."""
        return [self.program.analysis.table.functions[key] for key in self._inside]

    def commit_through_unit(self, document: Document, call: ast.Call, text: str) -> None:
        """``db.commit()`` becomes ``uow.commit("label")``."""
        self.edits.append(Edit(document.file, document.start(call), document.end(call), text))


def _named(node: ast.Name | ast.arg) -> str:
    return node.id if isinstance(node, ast.Name) else node.arg
