"""A unit of work is used without being entered, or entered with the wrong kind of `with`.

## What it does

Reports the first use of a unit of work that needs its session - the session itself, a repository, `commit()` - in a
function that makes the unit and never enters it; and `with` on a unit that only has `__aenter__` (or `async with` on one
that only has `__enter__`).

## Why is this bad

Such a unit gets its session when it is entered. Before that the attribute is missing or None, or a guard raises; nothing
would be committed or closed at the end either.

## Instead

    async with UnitOfWork(maker) as unit:
        unit.session.add(row)

## When it is silent

The unit leaves the function (returned, passed on, put on an `ExitStack`), is entered by hand or by a method of its own,
or has its session from the start.

## Fix safety

No fix: where the block should end is for the author to say.

## Options

None.

## Symptom at run time

`AttributeError: 'UnitOfWork' object has no attribute 'session'` (or `'NoneType' object has no attribute 'add'`);
`TypeError: 'UnitOfWork' object does not support the context manager protocol`.

## References

- https://docs.python.org/3/reference/datamodel.html#asynchronous-context-managers
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.units import Unentered
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, step

SEVERITY = Severity.ERROR
DEFAULT = True

BAD = (
    """
# --- app/units.py ---
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Orders:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, row: object) -> None:
        self._session.add(row)


class Unit:
    def __init__(self, factory: async_sessionmaker[AsyncSession] = maker) -> None:
        self._factory = factory

    async def __aenter__(self) -> "Unit":
        self.session = self._factory()
        self.orders = Orders(self.session)
        return self

    async def __aexit__(self, exc_type, exc, traceback) -> None:
        try:
            if exc_type is None:
                await self.session.commit()
        finally:
            await self.session.close()

    async def flush(self) -> None:
        await self.session.flush()

# --- app/use.py ---
from app.units import Unit


async def rename(row, name: str) -> None:
    unit = Unit()
    unit.session.add(row)  # SES601
    row.name = name
    await unit.session.commit()


async def order(row) -> None:
    unit = Unit()
    unit.orders.add(row)  # SES601


async def flush_only() -> None:
    unit = Unit()
    await unit.flush()  # SES601


def blocking(row) -> None:
    with Unit() as unit:  # SES601
        unit.session.add(row)
""",
)

GOOD = (
    '''
# --- app/units.py ---
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Unit:
    def __init__(self, factory: async_sessionmaker[AsyncSession] = maker) -> None:
        self._factory = factory
        self.name = "unit"

    async def __aenter__(self) -> "Unit":
        self.session = self._factory()
        return self

    async def __aexit__(self, exc_type, exc, traceback) -> None:
        try:
            if exc_type is None:
                await self.session.commit()
        finally:
            await self.session.close()


class Ready:
    """Has its session from the start; entering only promises to close it."""

    def __init__(self) -> None:
        self.session = maker()

    async def __aenter__(self) -> "Ready":
        return self

    async def __aexit__(self, *exc) -> None:
        await self.session.close()


class ByHand(Unit):
    async def start(self) -> None:
        self.session = self._factory()


def make_unit() -> Unit:
    return Unit()

# --- app/use.py ---
from contextlib import AsyncExitStack

from app.units import ByHand, Ready, Unit, make_unit


async def rename(row, name: str) -> None:
    async with make_unit() as unit:
        unit.session.add(row)
        row.name = name


async def later(row) -> None:
    unit = Unit()
    print(unit.name)
    async with unit:
        unit.session.add(row)


async def stacked(row) -> None:
    unit = Unit()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(unit)
        unit.session.add(row)


async def by_dunder(row) -> None:
    unit = Unit()
    await unit.__aenter__()
    try:
        unit.session.add(row)
    finally:
        await unit.__aexit__(None, None, None)


async def by_hand(row) -> None:
    unit = ByHand()
    await unit.start()
    unit.session.add(row)


async def ready(row) -> None:
    unit = Ready()
    unit.session.add(row)
    await unit.session.commit()
    await unit.session.close()


async def given(unit: Unit, row) -> None:
    """Whoever made it has entered it."""
    unit.session.add(row)


async def passed_on(row) -> None:
    unit = Unit()
    await run(unit, row)


async def run(unit: Unit, row) -> None:
    async with unit:
        await given(unit, row)
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function in analysis.functions:
        for found in analysis.units.unentered(function):
            enters = "async with" if found.how != "async" else "with"
            yield Draft(
                function,
                found.loc,
                _message(found),
                f"enter it: `{enters} {found.cls.name}(...) as unit:`",
                "it has no session yet" if found.how == "use" else "",
                (step(found.cls.module.path, found.cls.facts.loc, f"{found.cls.name} opens its session when entered"),),
            )


def _message(found: Unentered) -> str:
    if found.how == "use":
        return f"`{found.text}` is used although the unit of work was never entered"
    wrong, right = ("with", "async with") if found.how == "sync" else ("async with", "with")
    return f"`{found.cls.name}` can only be entered by `{right}`, not by `{wrong}`"
