"""A unit of work is optional, and where it is missing another session is committed instead.

## What it does

Reports the commit of a session in the branch where an optional unit of work was not given, opposite to the branch that
commits the unit.

## Why is this bad

Which transaction ends then depends on what a caller happened to pass. A service that was built on another session than
the one committed here saves nothing, or ends a transaction that belongs to somebody else; and both paths have to be
tested wherever the service is used.

## Instead

Make the unit of work a required argument and commit at one boundary.

## When it is silent

Both branches commit through the unit, or only one of them commits.

## Fix safety

No fix: making the unit required changes the callers.

## Options

None.

## Symptom at run time

Rows that are missing only when the service is called without the unit.

## References

- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#when-do-i-construct-a-session-when-do-i-commit-it-and-when-do-i-close-it
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, step

SEVERITY = Severity.WARNING
DEFAULT = True

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

# --- app/service.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.units import Unit


class Names:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def rename(self, row, name: str, unit: Unit | None = None) -> None:
        row.name = name
        if unit:
            await unit.commit()
        else:
            await self._db.commit()  # SES606


async def save(db: AsyncSession, row, unit: Unit | None = None) -> None:
    if unit is None:
        db.add(row)
        await db.commit()  # SES606
    else:
        unit.session.add(row)
        await unit.commit()
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

# --- app/service.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.units import Unit


async def required(unit: Unit, row, name: str) -> None:
    unit.session.add(row)
    row.name = name
    await unit.commit()


async def announced(db: AsyncSession, row, unit: Unit | None = None) -> None:
    """Without a unit the caller commits."""
    if unit:
        unit.session.add(row)
        await unit.commit()
    else:
        db.add(row)


async def by_flag(db: AsyncSession, row, save: bool) -> None:
    if save:
        db.add(row)
        await db.commit()
    else:
        await db.rollback()
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function in analysis.functions:
        for found in analysis.detours.fallbacks(function):
            yield Draft(
                function,
                found.loc,
                f"`{function.qualname}` ends one of two transactions: `{found.unit_text}`, or without a unit `{found.text}`",
                "make the unit of work a required argument",
                "taken where no unit of work was given",
                (step(function.module.path, found.unit, f"{found.unit_text} where one was given"),),
            )
