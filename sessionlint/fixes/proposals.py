"""Ask every fixer about one state of the project: groups and refusals in a fixed order; a crash is a refusal."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sessionlint.findings import Finding, FixSafety
from sessionlint.fixes.document import Uneditable
from sessionlint.fixes.edits import Group, Refusal
from sessionlint.fixes.program import Program
from sessionlint.fixes.registry import Fixer, all_fixers


@dataclass(frozen=True)
class Proposals:
    """What could be done about the findings of one state."""

    groups: tuple[Group, ...]
    refusals: tuple[Refusal, ...]


def propose(program: Program, wanted: Callable[[Finding], bool]) -> Proposals:
    """Proposals for the wanted findings."""
    groups: list[Group] = []
    refusals: list[Refusal] = []
    for fixer in all_fixers():
        findings = [f for f in program.findings if f.code in fixer.codes and wanted(f)]
        if not findings:
            continue
        for proposal in _asked(fixer, program, findings):
            if isinstance(proposal, Refusal):
                refusals.append(proposal)
            elif proposal.edits or proposal.imports or proposal.blocks:
                groups.append(proposal)
    return Proposals(tuple(groups), tuple(refusals))


def _asked(fixer: Fixer, program: Program, findings: Sequence[Finding]) -> list[Group | Refusal]:
    """What one fixer says; where it stumbles it is asked about each finding alone."""
    try:
        return list(fixer.propose(program, findings))
    except Exception as error:
        if os.environ.get("SESSIONLINT_DEBUG") == "1" and not isinstance(error, Uneditable):
            raise
        if len(findings) > 1:
            return [p for finding in findings for p in _asked(fixer, program, [finding])]
        if isinstance(error, Uneditable):
            return [Refusal(tuple(findings), fixer.summary, f"`{findings[0].place.file}`: {error}")]
        fault = f"the fixer {fixer.name} failed: {type(error).__name__}: {error}"
        return [Refusal(tuple(findings), fixer.summary, fault)]


def offers(program: Program) -> dict[Finding, FixSafety]:
    """Findings that some fixer has an edit for, with the safest kind of it: what ``check`` marks."""
    found: dict[Finding, FixSafety] = {}
    for group in propose(program, lambda _finding: True).groups:
        for finding in group.findings:
            if found.get(finding) is not FixSafety.SAFE:
                found[finding] = group.safety
    return found
