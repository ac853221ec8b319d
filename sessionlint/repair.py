"""One repair run: gather, analyse, let the engine repair in memory, write what holds.

The counterpart of ``run`` for ``sessionlint fix``. Must not print and must not know the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from sessionlint.extraction import extract_all, with_deep_stack
from sessionlint.findings import Finding
from sessionlint.fixes import disk
from sessionlint.fixes.document import Document, Uneditable
from sessionlint.fixes.engine import Means, Outcome, repair
from sessionlint.fixes.program import Program
from sessionlint.fixes.proposals import Proposals
from sessionlint.fixes.verify import Verifier
from sessionlint.run import Project, Request, gather, in_paths, judged
from sessionlint.selection import CommandLine, is_selected
from sessionlint.source.read import ReadProblem

#: how often a run starts again because files changed under it
_ATTEMPTS = 3


@dataclass(frozen=True)
class Order:
    """What to repair: the findings of ``request`` (its paths and selected rules); ``write`` False changes nothing.

    ``propose`` gives the groups of a migration instead.
    """

    request: Request
    unsafe: bool = False
    write: bool = True
    verify: str = ""
    propose: Callable[[Program], Proposals] | None = None


@dataclass(frozen=True)
class Repaired:
    """A finished repair run. ``untouched`` are files that were left alone although their findings asked for a change,
    with the reason; ``asked`` counts the findings
    that were to be repaired, ``left`` are those still found; ``warnings`` are for stderr."""

    outcome: Outcome
    asked: int
    left: tuple[Finding, ...]
    untouched: tuple[tuple[str, str], ...]
    crashed: tuple[str, ...]
    warnings: tuple[str, ...]


class VerifyFailsBefore(Exception):
    """The command of ``--verify`` fails on the tree as it is, so it can judge nothing."""


def run(order: Order) -> Repaired:
    """Repair a project. Raises ``NothingToCheck``, ``VerifyFailsBefore`` and ``disk.NotWritten``."""
    verifier = Verifier(order.request.root, order.verify) if order.verify else None
    if verifier is not None and order.write:
        reason = verifier.run()
        if reason:
            raise VerifyFailsBefore(f"{reason} before anything was changed; nothing was changed")
    moved: dict[str, str] = {}
    while True:
        done = _attempt(order, verifier, moved)
        if not order.write or verifier is not None:
            return done
        changed = done.outcome.changed
        old = {file: done.outcome.before.sources[file] for file in changed}
        stale = disk.changed_meanwhile(order.request.root, old)
        if not stale or len(moved) >= _ATTEMPTS:
            disk.write(order.request.root, old, changed)
            return done
        moved.update((file, "it changed while it was being worked on") for file in stale)


def _attempt(order: Order, verifier: Verifier | None, moved: Mapping[str, str]) -> Repaired:
    request = order.request
    whole = replace(request, paths=(), command_line=CommandLine(extend_select=request.command_line.select))
    project = gather(request)
    crashed: list[str] = []

    def analysed(sources: Mapping[str, bytes]) -> Program:
        found = judged(whole, overlaid(project, sources))
        crashed.extend(found.crashed)
        return Program(sources, found.analysis, found.verdicts.findings)

    def wanted(finding: Finding) -> bool:
        if not in_paths(finding.place.file, request.paths):
            return False
        return not request.command_line.select or is_selected(
            finding.code, finding.name, False, request.settings, request.command_line
        )

    closed = _closed(request.root, project, moved)

    def work() -> Outcome:
        means = Means(
            analysed,
            wanted,
            order.unsafe,
            closed,
            verifier.confirm if verifier is not None and order.write else None,
            order.propose,
        )
        return repair(analysed(project.sources), means)

    outcome = with_deep_stack(work)
    concerned = {f.place.file for f in outcome.before.findings if wanted(f)}
    untouched = tuple((file, why) for file in sorted(concerned) if (why := closed(file)))
    left = tuple(f for f in outcome.after.findings if wanted(f))
    asked = sum(1 for f in outcome.before.findings if wanted(f))
    return Repaired(outcome, asked, left, untouched, tuple(dict.fromkeys(crashed)), project.warnings)


def overlaid(project: Project, sources: Mapping[str, bytes]) -> Project:
    """The project with some sources changed: only their facts are made anew."""
    changed = {f: s for f, s in sources.items() if project.sources.get(f) != s}
    if not changed:
        return project
    extracted = extract_all(changed, None, 1)
    fresh = {facts.path: facts for facts in extracted.facts}
    facts = tuple(fresh.get(one.path, one) for one in project.facts if one.path not in changed or one.path in fresh)
    return replace(project, sources=sources, facts=facts, unparsed=(*project.unparsed, *extracted.unparsed))


def _closed(root: str, project: Project, moved: Mapping[str, str]) -> Callable[[str], str]:
    """Why a file may not be changed; asked again and again, so remembered."""
    unparsed = {fault.path: fault for fault in project.unparsed}
    known: dict[str, str] = dict(moved)

    def reason(file: str) -> str:
        fault = unparsed.get(file)
        if fault is not None:
            return fault.message if isinstance(fault, ReadProblem) else f"it cannot be parsed: {fault.message}"
        try:
            Document(file, project.sources[file])
        except Uneditable as error:
            return str(error)
        except KeyError:
            return "it is not among the project's files"
        return disk.closed(root, file)

    def closed(file: str) -> str:
        if file not in known:
            known[file] = reason(file)
        return known[file]

    return closed
