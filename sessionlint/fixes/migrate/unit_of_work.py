"""Opens an ``SSEUnitOfWork`` inside each streaming generator and commits through it on the whole path of the stream.

One group of edits for each entry. Whatever is not seen for certain refuses the entry, with the place.
"""

from __future__ import annotations

import ast
from collections.abc import Callable

from sessionlint.findings import FixSafety, Step
from sessionlint.fixes.document import Uneditable
from sessionlint.fixes.edits import Group, Refusal
from sessionlint.fixes.migrate.outside_callers import SharedUnitPlan
from sessionlint.fixes.migrate.stream_migration import TITLE, StreamMigration
from sessionlint.fixes.migrate.unit_class import UNIT, unit_class
from sessionlint.fixes.program import Program
from sessionlint.fixes.proposals import Proposals
from sessionlint.fixes.sources import Refused, Source
from sessionlint.fixes.streams.stream_entries import StreamEntry, reached, stream_entries, yielding_endpoints
from sessionlint.project import symbols as sym


def propose(program: Program, wanted: Callable[[StreamEntry], bool]) -> Proposals:
    """Groups and refusals for the wanted entries that stream with a session and have no unit of work yet.

    Streams that share a function which ends transactions move together or not at all.
    """
    groups: list[Group] = []
    refusals: list[Refusal] = []
    ready: list[StreamMigration] = []
    entries = list(stream_entries(program))
    for entry in entries:
        if wanted(entry):
            migration = StreamMigration(program, entry)
            refused = _refusal(migration.prepare, [migration])
            refusals.extend(refused)
            if not refused and migration.kind:
                ready.append(migration)
    refusals.extend(_yields_itself(entry) for entry in yielding_endpoints(program) if wanted(entry))
    for together in _sharing(ready):
        proposal = _together(program, together, entries)
        groups.extend([proposal] if isinstance(proposal, Group) else [])
        refusals.extend(proposal if isinstance(proposal, list) else [])
    return Proposals(tuple(groups), tuple(refusals))


def _yields_itself(entry: StreamEntry) -> Refusal:
    """An endpoint that FastAPI iterates has its session from the signature that the framework reads."""
    title = f"{entry.place.file}:{entry.place.line} `{entry.function.qualname}`: {TITLE}"
    reason = "the endpoint yields itself: open the unit inside it by hand, and decorate it with `safe_stream`"
    return Refusal((), title, reason, (Step(entry.place, "FastAPI hands what it yields to the client"),))


def _together(program: Program, migrations: list[StreamMigration], entries: list[StreamEntry]) -> Group | list[Refusal]:
    """The group of some entries, or why each is refused: the unit goes wherever a transaction is to be ended, and only
    to what writes where that cannot be done."""
    refused: list[Refusal] = []
    for reads in (True, False):
        fresh = [StreamMigration(program, m.entry) for m in migrations]
        for migration in fresh:
            migration.prepare()
        plan = _plan(program, fresh, entries, reads)

        def build(fresh: list[StreamMigration] = fresh, plan: SharedUnitPlan = plan) -> None:
            for migration in fresh:
                migration.open(plan)
            for migration in fresh:
                migration.hand_down()
            for migration in fresh:
                migration.close()
            plan.finish()

        refused = _refusal(build, fresh)
        if not refused:
            return _group(plan, fresh)
    return refused


def _refusal(step: Callable[[], None], migrations: list[StreamMigration]) -> list[Refusal]:
    """Take a step for some entries; why they are refused, if they are."""
    try:
        step()
    except Refused as refused:
        return [Refusal((), m.title, refused.reason, refused.trace) for m in migrations]
    except (Uneditable, LookupError) as error:
        return [Refusal((), m.title, str(error)) for m in migrations]
    return []


def _sharing(migrations: list[StreamMigration]) -> list[list[StreamMigration]]:
    """Entries sorted into sets that share nothing which must take the unit."""
    found: list[list[StreamMigration]] = []
    for migration in migrations:
        mine = migration.ending
        joined = [one for one in found if any(m.ending & mine for m in one)]
        found = [one for one in found if one not in joined]
        found.append([*(m for one in joined for m in one), migration])
    return found


def _plan(program: Program, together: list[StreamMigration], entries: list[StreamEntry], reads: bool) -> SharedUnitPlan:
    endpoint = together[0].endpoint
    source = Source(endpoint, ast.Name(UNIT), sym.Global(endpoint.module, UNIT), True, UNIT, False)
    plan = SharedUnitPlan(program, source, unit=unit_class(program), reads=reads)
    others = [e for e in entries if e not in [m.entry for m in together]]
    plan.elsewhere = frozenset(key for e in others for g in e.generators for key in reached(program.analysis, g))
    for migration in together:
        plan.path.update(migration.path)
        plan.owners |= migration.owners
        plan.starts.update(dict.fromkeys(migration.starts, False))
    return plan


def _group(plan: SharedUnitPlan, together: list[StreamMigration]) -> Group:
    imports = [*plan.imports, *(i for m in together for i in m.carried.imports)]
    notes = dict.fromkeys(note for m in together for note in m.notes)
    title = "\n".join(m.title for m in together)
    edits, blocks = tuple(dict.fromkeys(plan.edits)), tuple(dict.fromkeys(plan.blocks))
    return Group(
        title,
        (),
        FixSafety.UNSAFE,
        edits,
        tuple(dict.fromkeys(imports)),
        tuple(dict.fromkeys(plan.released)),
        tuple(notes),
        blocks,
    )
