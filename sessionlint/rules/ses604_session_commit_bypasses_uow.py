"""A unit of work's session is committed directly, past the unit's own `commit()`.

## What it does

Reports `unit.session.commit()` outside the unit's class, where the unit has a `commit()` of its own. The message says
whether that does more than commit: counts, publishes events, runs checks or hooks.

## Why is this bad

Two ways to commit mean that nobody can say any more where the transaction ends, and what is added to the unit's own
`commit()`, today or later, does not happen: the metric is short, the events stay unpublished, the lock is kept.

## Instead

    await unit.commit()

## When it is silent

Inside the unit's class and its subclasses; on sessions that are not a unit's; where the unit has no `commit()`.

## Fix safety

Safe where a fix is offered: the unit's `commit()` commits the same session.

## Options

None.

## Symptom at run time

No error; counters, events and hooks that miss some of the commits.

## References

- https://www.cosmicpython.com/book/chapter_06_uow.html
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, step

SEVERITY = Severity.WARNING
DEFAULT = True

_MORE = ", which does more than commit"

BAD = (
    """
# --- app/units.py ---
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Unit:
    def __init__(self) -> None:
        self.commits = 0

    async def __aenter__(self) -> "Unit":
        self.session: AsyncSession = maker()
        return self

    async def __aexit__(self, exc_type, exc, traceback) -> None:
        try:
            if exc_type is None:
                await self.commit()
        finally:
            await self.session.close()

    async def commit(self) -> None:
        await self.session.commit()
        self.commits += 1

# --- app/use.py ---
from app.units import Unit


async def rename(row, name: str) -> None:
    async with Unit() as unit:
        unit.session.add(row)
        row.name = name
        await unit.session.commit()  # SES604


async def handed(unit: Unit, row) -> None:
    session = unit.session
    session.add(row)
    await session.commit()  # SES604
""",
)

GOOD = (
    '''
# --- app/units.py ---
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Unit:
    def __init__(self) -> None:
        self.commits = 0

    async def __aenter__(self) -> "Unit":
        self.session: AsyncSession = maker()
        return self

    async def __aexit__(self, exc_type, exc, traceback) -> None:
        try:
            if exc_type is None:
                await self.commit()
        finally:
            await self.session.close()

    async def commit(self) -> None:
        await self.session.commit()
        self.commits += 1


class Plain:
    """Its commit is the session's, and still the one to call."""

    async def __aenter__(self) -> "Plain":
        self.session: AsyncSession = maker()
        return self

    async def __aexit__(self, *exc) -> None:
        await self.session.close()

    async def commit(self) -> None:
        await self.session.commit()


class Loud(Unit):
    async def commit(self) -> None:
        await self.session.commit()
        print("committed")

# --- app/use.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.units import Loud, Plain, Unit


async def rename(row, name: str) -> None:
    async with Unit() as unit:
        unit.session.add(row)
        row.name = name
        await unit.commit()


async def plain(row) -> None:
    async with Plain() as unit:
        unit.session.add(row)
        await unit.commit()


async def own_session(db: AsyncSession, row) -> None:
    db.add(row)
    await db.commit()


async def loud(row) -> None:
    async with Loud() as unit:
        unit.session.add(row)
        await unit.session.flush()
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function in analysis.functions:
        for found in analysis.detours.bypasses(function):
            yield Draft(
                function,
                found.loc,
                f"`{found.text}` goes past `{found.cls.name}.commit()`{_MORE if found.more else ''}",
                "commit through the unit of work",
                "the unit does not learn of this commit",
                (step(found.cls.module.path, found.cls.facts.loc, f"{found.cls.name} has a commit of its own"),),
            )
