"""What ``sessionlint fix`` says: unified diffs for stdout, and the summary of done, refused and left for stderr."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from sessionlint.findings import Finding, FixSafety
from sessionlint.source.read import ReadProblem, decode

if TYPE_CHECKING:
    from sessionlint.fixes.edits import Group, Refusal
    from sessionlint.fixes.engine import Applied, Outcome
    from sessionlint.repair import Repaired


def difference(outcome: Outcome) -> str:
    """Unified diffs of all changed files, in order."""
    parts = []
    for file, new in sorted(outcome.changed.items()):
        old = outcome.before.sources[file]
        lines = difflib.unified_diff(_lines(file, old), _lines(file, new), f"a/{file}", f"b/{file}")
        for line in lines:
            parts.append(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n")
    return "".join(parts)


def _lines(file: str, source: bytes) -> list[str]:
    text = decode(file, source)
    text = "" if isinstance(text, ReadProblem) else text
    return text.splitlines(keepends=True)


def summary(done: Repaired, diff: bool) -> str:
    """Done, refused, withheld and left, a block each; the last line counts."""
    outcome = done.outcome
    lines: list[str] = []
    if outcome.applied:
        lines.append("Would repair:" if diff else "Repaired:")
        lines.extend(line for repair in outcome.applied for line in _applied(repair))
    if outcome.refused:
        lines.append("Refused:")
        lines.extend(line for refusal in outcome.refused for line in _refused(refusal))
    if outcome.withheld:
        lines.append("Left for --unsafe-fixes:")
        lines.extend(line for group in outcome.withheld for line in _withheld(group))
    if done.untouched:
        lines.append("Not touched:")
        lines.extend(f"  {file}: {why}" for file, why in done.untouched)
    lines.append(_count(done, diff))
    return "".join(line + "\n" for line in lines)


def _applied(done: Applied) -> list[str]:
    first = done.groups[0]
    kind = "" if done.safety is FixSafety.SAFE else " (unsafe)"
    others = sorted(first.files - {f.place.file for f in first.findings})
    also = f"; also {', '.join(others)}" if others else ""
    lines = [f"  {_places(first.findings)}: {first.title}{kind}{also}"]
    lines.extend(f"      and {_places(group.findings)}: {group.title}" for group in done.groups[1:])
    lines.extend(f"      note: {note.place}: {note.message}" for group in done.groups for note in group.notes)
    return lines


def _refused(refusal: Refusal) -> list[str]:
    lines = [f"  {_places(refusal.findings)}: {refusal.title}", f"      because {refusal.reason}"]
    lines.extend(f"      {n}. {step.place} {step.message}" for n, step in enumerate(refusal.trace[:8], 1))
    return lines


def _withheld(group: Group) -> list[str]:
    return [f"  {_places(group.findings)}: {group.title}"]


def _places(findings: tuple[Finding, ...]) -> str:
    by_code: dict[str, list[str]] = {}
    for finding in findings:
        by_code.setdefault(finding.code, []).append(f"{finding.place.file}:{finding.place.line}")
    return "; ".join(f"{code} {', '.join(places)}" for code, places in sorted(by_code.items()))


def _count(done: Repaired, diff: bool) -> str:
    outcome = done.outcome
    fixed = max(done.asked - len(done.left), len(outcome.applied))
    files = len(outcome.changed)
    verb = "Would repair" if diff else "Repaired"
    left = f", {_number(len(done.left), 'finding')} left" if done.left else ", none left"
    if not done.left and not fixed:
        return "Nothing to repair."
    if not fixed:
        return f"{verb} nothing{left}."
    return f"{verb} {_number(fixed, 'finding')} in {_number(files, 'file')}{left}."


def _number(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
