"""Which groups of edits hold: applied in memory, analysed again, undone where something new is found.

Rounds against one state of the sources: all groups of a round are computed from the same text; those that hold become
the next state, until a round changes nothing. Must not touch the disk and must not print.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sessionlint.findings import Finding, FixSafety, Step
from sessionlint.fixes.compose import compose
from sessionlint.fixes.document import Uneditable
from sessionlint.fixes.edits import Group, Refusal
from sessionlint.fixes.program import Program
from sessionlint.fixes.proposals import Proposals, propose

MOST_ROUNDS = 25
#: findings that a repair may leave behind, because a later round of the same run repairs them
FOLLOW_UPS = frozenset({"SES002"})
#: how long a chain of consequences one repair may have
MOST_CONSEQUENCES = 12

Key = tuple[str, str, str]
GroupName = tuple[str, tuple[Key, ...]]
#: what speaks against a repair: the reason and the chain that shows it
Fault = tuple[str, tuple[Step, ...]]


@dataclass(frozen=True)
class Means:
    """What the engine works with.

    ``analyse`` gives the program of changed sources; ``closed`` says why a file may not be changed (empty: it may);
    ``confirm`` is asked after every group with the files before and after, and gives the reason against it.
    """

    analyse: Callable[[Mapping[str, bytes]], Program]
    wanted: Callable[[Finding], bool]
    unsafe: bool = False
    closed: Callable[[str], str] = lambda _file: ""
    confirm: Callable[[Mapping[str, bytes], Mapping[str, bytes]], str] | None = None
    #: what is proposed instead of repairs of findings; such a group has no consequences of its own
    propose: Callable[[Program], Proposals] | None = None


@dataclass(frozen=True)
class Applied:
    """One repair: a group, with the groups that its consequences asked for."""

    groups: tuple[Group, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        return self.groups[0].findings

    @property
    def safety(self) -> FixSafety:
        return FixSafety.SAFE if all(g.safety is FixSafety.SAFE for g in self.groups) else FixSafety.UNSAFE

    @property
    def files(self) -> frozenset[str]:
        return frozenset().union(*(g.files for g in self.groups))


@dataclass(frozen=True)
class Outcome:
    """What came of it. ``changed`` are the new bytes of every changed file; ``withheld`` groups need --unsafe-fixes."""

    before: Program
    after: Program
    applied: tuple[Applied, ...]
    refused: tuple[Refusal, ...]
    withheld: tuple[Group, ...]

    @property
    def changed(self) -> dict[str, bytes]:
        before = self.before.sources
        return {f: s for f, s in self.after.sources.items() if before.get(f) != s}


def repair(program: Program, means: Means) -> Outcome:
    """Repair what can be repaired. Deterministic: the same sources give the same outcome."""
    run = _Run(program, means)
    for _ in range(MOST_ROUNDS):
        if not run.round():
            break
    return Outcome(program, run.program, tuple(run.applied), tuple(run.refused), tuple(run.withheld))


class _Run:
    """The state of one repair. ``program`` is the state that all accepted groups have led to."""

    def __init__(self, program: Program, means: Means) -> None:
        self.program = program
        self.means = means
        self.applied: list[Applied] = []
        self.refused: list[Refusal] = []
        self.withheld: list[Group] = []
        #: groups that did not hold: on which program, and why
        self._failed: dict[GroupName, tuple[Program, Refusal]] = {}
        self._known = Counter(_key(f) for f in program.findings if f.code in FOLLOW_UPS)

    def round(self) -> bool:
        """Propose, try, keep what holds. Whether anything changed."""
        own = self.means.propose
        proposals = own(self.program) if own is not None else propose(self.program, self._wanted)
        self.refused = list(proposals.refusals)
        self.withheld = []
        fresh = [g for g in proposals.groups if _name(g) not in self._failed]
        tried = [g for g in proposals.groups if _name(g) in self._failed]
        if self._pass(fresh):
            return True
        # what failed gets another chance when nothing else is left, if the program is another one by now
        again = [g for g in tried if self._failed[_name(g)][0] is not self.program]
        self.refused.extend(self._failed[_name(g)][1] for g in tried if g not in again)
        return self._pass(again)

    def _pass(self, groups: Sequence[Group]) -> bool:
        """Try some groups, keep what holds. Whether anything changed."""
        base = self.program
        kept: list[Group] = []
        waiting = groups
        while waiting and not kept:  # what does not hold stands in nobody's way
            broken: list[tuple[Group, Program | None, Fault]] = []
            candidates, waiting = self._admitted(waiting)
            size = 1 if self.means.confirm is not None else len(candidates)
            for start in range(0, len(candidates), max(size, 1)):
                self._settle(base, kept, candidates[start : start + size], broken)
            for group, after, fault in () if kept else broken:
                # consequences are worked out on the base that the group was tried on, so one such repair ends the round
                missing: list[Refusal] = []
                if self.means.propose is None and after is not None:
                    left = self._completed(group, after, fault, missing)
                    if left is None:
                        return True
                    fault = left
                refusal = Refusal(group.findings, group.title, *_because(fault, missing))
                self._failed[_name(group)] = (base, refusal)
                self.refused.append(refusal)
        self.applied.extend(Applied((group,)) for group in kept)
        return bool(kept)

    def _admitted(self, groups: Sequence[Group]) -> tuple[list[Group], list[Group]]:
        """The groups that may be tried now, in files that may be changed, and those that touch the same text."""
        admitted: list[Group] = []
        waiting: list[Group] = []
        for group in groups:
            if group.safety is not FixSafety.SAFE and not self.means.unsafe and not self._follows_up(group):
                self.withheld.append(group)
                continue
            reason = self._closed(group)
            if reason:
                self.refused.append(Refusal(group.findings, group.title, reason))
            else:
                (waiting if group.conflicts(admitted) else admitted).append(group)
        return admitted, waiting

    def _closed(self, group: Group) -> str:
        for file in sorted(group.files):
            why = self.means.closed(file)
            if why:
                return f"`{file}` is not touched: {why}"
        return ""

    def _wanted(self, finding: Finding) -> bool:
        return self.means.wanted(finding) or (finding.code in FOLLOW_UPS and not self._known[_key(finding)])

    def _follows_up(self, group: Group) -> bool:
        return all(f.code in FOLLOW_UPS for f in group.findings)

    def _settle(
        self,
        base: Program,
        kept: list[Group],
        batch: Sequence[Group],
        broken: list[tuple[Group, Program | None, Fault]],
    ) -> None:
        """Keep the groups of a batch that hold: all together if they do, else by halves."""
        if not batch:
            return
        after, fault = self._tried(base, [*kept, *batch], batch)
        if after is not None and fault is None:
            self.program = after
            kept.extend(batch)
        elif fault is not None and len(batch) == 1:
            broken.append((batch[0], after, fault))
        else:
            for part in _parts(self.program, after, batch):
                self._settle(base, kept, part, broken)

    def _tried(
        self, base: Program, groups: Sequence[Group], batch: Sequence[Group]
    ) -> tuple[Program | None, Fault | None]:
        """Apply and analyse: the program it gives (None where it gives none), and what speaks against the batch."""
        try:
            changed = compose(groups, base.document, base.own_packages)
        except Uneditable as error:
            return None, (f"the result would be wrong: {error}", ())
        after = self.means.analyse({**base.sources, **changed})
        fault = against(self.program, after, batch)
        return after, fault if fault is not None else self._unconfirmed(after)

    def _unconfirmed(self, after: Program) -> Fault | None:
        if self.means.confirm is None:
            return None
        reason = self.means.confirm(self.program.sources, after.sources)
        return (reason, ()) if reason else None

    def _completed(self, group: Group, after: Program, fault: Fault, missing: list[Refusal]) -> Fault | None:
        """Repair the consequences of a group until nothing new is found; all of it is one repair or none.

        None where it is done, else what speaks against it in the end. ``missing`` collects the refusals that stood in
        the way of that.
        """
        groups = [group]
        for _ in range(MOST_CONSEQUENCES):
            fresh = _fresh(self.program, after)
            proposals = propose(after, _among(fresh))
            chosen = self._allowed(proposals.groups)
            if not chosen:
                # the rest of the same fault may be what is new: a second function that opens its own session
                chosen = self._allowed(propose(after, self._alike(group)).groups)
            if not fresh or not chosen:
                missing.extend(proposals.refusals)
                return fault
            try:
                changed = compose(chosen, after.document, after.own_packages)
            except Uneditable:
                return fault
            groups.extend(chosen)
            after = self.means.analyse({**after.sources, **changed})
            left = against(self.program, after, [group]) or self._unconfirmed(after)
            if left is None:
                self.program = after
                self.applied.append(Applied(tuple(groups)))
                return None
            fault = left
        return fault

    def _alike(self, group: Group) -> Callable[[Finding], bool]:
        """The wanted findings of the rules that a group is about."""
        codes = {f.code for f in group.findings}
        return lambda finding: finding.code in codes and self._wanted(finding)

    def _allowed(self, groups: Sequence[Group]) -> list[Group]:
        """Of the repairs of a consequence, those that may be made together."""
        chosen: list[Group] = []
        for one in groups:
            if (one.safety is FixSafety.SAFE or self.means.unsafe) and not self._closed(one):
                if not one.conflicts(chosen):
                    chosen.append(one)
        return chosen


def _parts(before: Program, after: Program | None, batch: Sequence[Group]) -> list[Sequence[Group]]:
    """A batch that does not hold, in parts: together what has nothing to do with what is new, the others alone."""
    middle = len(batch) // 2
    if after is None:
        return [batch[:middle], batch[middle:]]
    fresh = _fresh(before, after)
    places = {s.place.file for f in after.findings if _key(f) in fresh for s in f.trace}
    places |= {f.place.file for f in after.findings if _key(f) in fresh}
    places |= {file for file, _ in _unresolved(after) - _unresolved(before)}
    left = {_key(f) for f in after.findings}
    suspects = [g for g in batch if g.files & places or any(_key(f) in left for f in g.findings)]
    if not suspects:
        return [batch[:middle], batch[middle:]]
    innocent = [g for g in batch if g not in suspects]
    return [*([innocent] if innocent else []), *([one] for one in suspects)]


def against(before: Program, after: Program, groups: Sequence[Group]) -> Fault | None:
    """What the second analysis holds against some groups: (reason, chain), or None."""
    fresh = _fresh(before, after)
    for finding in after.findings:
        if _key(finding) in fresh:
            chain = finding.trace or (Step(finding.place, finding.message),)
            return f"{finding.code} would appear at {finding.place}: {finding.message}", chain
    had, has = _counted(before), _counted(after)
    for group in groups:
        for finding in group.findings:
            promised = sum(_key(f) == _key(finding) for g in groups for f in g.findings)
            if has[_key(finding)] > had[_key(finding)] - promised:
                return f"{finding.code} would still be found in `{finding.function or finding.place.file}`", ()
    lost = _unresolved(after) - _unresolved(before)
    if lost:
        file, call = min(lost)
        return f"the call `{call}` in {file} could no longer be followed", ()
    return None


def _because(fault: Fault, missing: list[Refusal]) -> Fault:
    """What speaks against a repair, with why its consequences cannot be repaired too."""
    if not missing:
        return fault
    reason, chain = fault
    first = missing[0]
    return f"{reason}; and that cannot be repaired: {first.reason}", (*chain, *first.trace)


def _among(keys: frozenset[Key]) -> Callable[[Finding], bool]:
    return lambda finding: _key(finding) in keys


def _fresh(before: Program, after: Program) -> frozenset[Key]:
    """Keys that are found more often than before."""
    grown = _counted(after) - _counted(before)
    return frozenset(key for key in grown if key[0] not in FOLLOW_UPS)


def _counted(program: Program) -> Counter[Key]:
    return Counter(_key(f) for f in program.findings)


def _key(finding: Finding) -> Key:
    """Findings before and after are compared by rule, file and function: lines move."""
    return finding.code, finding.place.file, finding.function


def _name(group: Group) -> GroupName:
    """What makes two groups of different rounds the same repair."""
    return group.title, tuple(_key(f) for f in group.findings)


def _unresolved(program: Program) -> Counter[tuple[str, str]]:
    """Calls that nobody can follow, those left out that lead somewhere at least (a stand-in of a test beside it)."""
    analysis = program.analysis
    followed = {(result.function.module.path, edge.loc.line) for result in analysis.results for edge in result.edges}
    return Counter((u.place.file, u.call) for u in analysis.unresolved if (u.place.file, u.place.line) not in followed)
