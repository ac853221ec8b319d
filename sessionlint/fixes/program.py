"""All that a fixer may ask: the analysis, the findings, and the documents of one state of the sources.

Read only; a repair is an answer, not an action.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from sessionlint.effects import Analysis
from sessionlint.findings import Finding
from sessionlint.fixes.document import Document, Uneditable
from sessionlint.project import symbols as sym
from sessionlint.source.read import lines_of
from sessionlint.source.suppressions import Suppression, suppressions

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Program:
    """One state of a project. ``findings`` are all that would be reported, sorted by place."""

    sources: Mapping[str, bytes]
    analysis: Analysis
    findings: tuple[Finding, ...]
    _documents: dict[str, Document] = field(default_factory=dict)

    def document(self, file: str) -> Document:
        """A file to be edited. Raises ``Uneditable``."""
        known = self._documents.get(file)
        if known is None:
            if file not in self.sources:
                raise Uneditable("it is not among the project's files")
            known = self._documents[file] = Document(file, self.sources[file])
        return known

    def module(self, file: str) -> sym.Module:
        return self.analysis.table.modules[file]

    def function(self, finding: Finding) -> sym.Function:
        """The function a finding stands in. Raises ``LookupError`` for one at module level."""
        return self.function_at(finding.place.file, finding.function, finding.place.line)

    def function_at(self, file: str, qualname: str, line: int) -> sym.Function:
        """The function ``qualname`` of a file that covers a line; two may share a name."""
        named = [f for f in self.module(file).functions.values() if f.qualname == qualname]
        around = [f for f in named if f.facts.loc.line <= line <= f.facts.end_line]
        if not around and not named:
            raise LookupError(f"{file}: no function {qualname or 'at module level'}")
        return (around or named)[0]

    def observed(self, finding: Finding, kind: type[Kind]) -> list[Kind]:
        """What the analysis observed of one kind in the function of a finding."""
        return self.observations(self.function(finding), kind)

    def observations(self, function: sym.Function, kind: type[Kind]) -> list[Kind]:
        return [o for o in self.analysis.result(function).observations if isinstance(o, kind)]

    def suppressions(self, file: str) -> tuple[Suppression, ...]:
        """The suppression comments of a file."""
        return suppressions("\n".join(lines_of(self.sources[file])))

    @cached_property
    def own_packages(self) -> frozenset[str]:
        """First words of the absolute imports by which the project imports itself."""
        table = self.analysis.table
        heads: dict[str, bool] = {}
        for module in table.modules.values():
            for binding in module.facts.imports:
                head = binding.module.partition(".")[0]
                if not binding.level and not heads.get(head):
                    heads[head] = table.find_module(binding.module, module) is not None
        return frozenset(head for head, own in heads.items() if own)

    # ---- who needs a name ------------------------------------------------------------------------------------------

    def released(self, file: str, names: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """Of module-level names an edit stops using, those whose import may go: nobody imports or patches them here."""
        return tuple((file, name) for name in names if not self._reached_from_outside(file, name))

    def _reached_from_outside(self, file: str, name: str) -> bool:
        module = self.module(file)
        return (file, name) in self._imported or f"{module.dotted}.{name}".encode() in self._quoted(module.dotted)

    @cached_property
    def _imported(self) -> frozenset[tuple[str, str]]:
        """(file, name) of every name that some file imports from another file of the project."""
        table = self.analysis.table
        found = set()
        for module in table.modules.values():
            for binding in module.facts.imports:
                if binding.name is None:
                    continue
                dotted = table.relative(module, binding) if binding.level else binding.module
                target = table.find_module(dotted, module) if dotted else None
                if target is not None:
                    found.add((target.path, binding.name))
        return frozenset(found)

    def _quoted(self, dotted: str) -> frozenset[bytes]:
        """Dotted paths below a module that some file holds as text: targets of ``patch``."""
        import re

        tail = re.compile(re.escape(dotted.encode()) + rb"\.\w+")
        return frozenset(
            match for source in self.sources.values() if dotted.encode() in source for match in tail.findall(source)
        )
