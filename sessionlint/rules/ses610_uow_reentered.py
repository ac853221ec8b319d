"""A unit of work is entered again inside its own block.

## What it does

Reports `async with unit:` inside a block that has entered the same `unit`, where entering replaces the unit's session
without asking whether there is one. Off by default: it is rare, and some units are made to be entered twice.

## Why is this bad

The inner entry opens a second session and forgets the first one. What the outer block had added is lost with it, its
connection is never given back, and after the inner block the outer one works on a closed session.

## Instead

Pass the open unit on and enter it once; for a part that may fail alone use a savepoint. A unit can protect itself:

    async def __aenter__(self):
        if self.session is not None:
            raise RuntimeError("already entered")

## When it is silent

The entry looks before it opens, the inner unit is another object, or it has its session from the start.

## Fix safety

No fix.

## Options

None.

## Symptom at run time

Rows of the outer block are missing; a connection stays checked out.

## References

- https://docs.python.org/3/library/contextlib.html#reentrant-context-managers
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, step

SEVERITY = Severity.WARNING
DEFAULT = False

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


async def both(first, second) -> None:
    unit = Unit()
    async with unit:
        unit.session.add(first)
        async with unit:  # SES610
            unit.session.add(second)


class Service:
    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def save(self, rows: list[object]) -> None:
        async with self._unit:
            for row in rows:
                async with self._unit:  # SES610
                    self._unit.session.add(row)
""",
)

GOOD = (
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


class Guarded(Unit):
    session: AsyncSession | None = None

    async def __aenter__(self) -> "Guarded":
        if self.session is not None:
            raise RuntimeError("already entered")
        self.session = maker()
        return self

# --- app/use.py ---
from app.units import Guarded, Unit


async def one_after_the_other(first, second) -> None:
    unit = Unit()
    async with unit:
        unit.session.add(first)
    async with unit:
        unit.session.add(second)


async def two_units(first, second) -> None:
    outer, inner = Unit(), Unit()
    async with outer:
        outer.session.add(first)
        async with inner:
            inner.session.add(second)


async def savepoint(first, second) -> None:
    async with Unit() as unit:
        unit.session.add(first)
        async with unit.session.begin_nested():
            unit.session.add(second)


async def guarded(first) -> None:
    unit = Guarded()
    async with unit:
        async with unit:
            unit.session.add(first)
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function in analysis.functions:
        for found in analysis.units.reentered(function):
            yield Draft(
                function,
                found.loc,
                f"`{found.text}` is entered again inside its own block: the session of the outer block is lost",
                "enter it once, and use a savepoint for the inner part",
                "replaces the session",
                (step(function.module.path, found.outer, f"{found.text} is entered"),),
            )
