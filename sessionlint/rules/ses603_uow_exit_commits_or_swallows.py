"""The exit of a unit of work commits although the block raised, or hides the exception.

## What it does

Looks at `__aexit__` and `__exit__` of every class that holds a session. Reports the commit that is passed on every path
when the block raised (also in a method of a subclass that an inherited exit calls), the `return True` that ends every
such path, and a return that hides the database's errors by their class.

## Why is this bad

`async with unit:` promises all or nothing. An exit that commits no matter what saves the half that was done before the
exception; one that returns a true value makes the exception disappear, so the caller goes on as if all had been saved.
Where the commit itself fails on the broken transaction, its error replaces the one that mattered.

## Instead

    async def __aexit__(self, exc_type, exc, traceback):
        try:
            if exc_type is None:
                await self.session.commit()
            else:
                await self.session.rollback()
        finally:
            await self.session.close()

## When it is silent

Some path with an exception does not commit or does not return true: a flag decides, or a class of exceptions that is
the project's own.

## Fix safety

Unsafe where a fix is offered: commit only where `exc_type` is None, drop the `return True`. Callers that relied on the
swallowed exception see it afterwards.

## Options

None.

## Symptom at run time

No exception at all and half of the rows; or `sqlalchemy.exc.PendingRollbackError` from the exit instead of the error of
the block.

## References

- https://docs.python.org/3/reference/datamodel.html#object.__aexit__
- https://docs.sqlalchemy.org/en/20/orm/session_transaction.html
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft

SEVERITY = Severity.ERROR
DEFAULT = True

BAD = (
    """
# --- app/units.py ---
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)
sync_maker = sessionmaker(create_engine("postgresql+psycopg://app@db/app"))


class Eager:
    async def __aenter__(self) -> "Eager":
        self.session: AsyncSession = maker()
        return self

    async def __aexit__(self, *exc: object) -> None:
        try:
            await self.session.commit()  # SES603
        finally:
            await self.session.close()


class Silent:
    def __enter__(self) -> "Silent":
        self.session: Session = sync_maker()
        return self

    def __exit__(self, exc_type, exc, traceback) -> bool:
        try:
            if exc_type is None:
                self.session.commit()
            else:
                self.session.rollback()
        finally:
            self.session.close()
        return True  # SES603


class Indirect:
    async def __aenter__(self) -> "Indirect":
        self.session: AsyncSession = maker()
        return self

    async def save(self) -> None:
        await self.session.commit()

    async def __aexit__(self, exc_type, exc, traceback) -> None:
        try:
            await self.save()  # SES603
        finally:
            await self.session.close()
""",
)

GOOD = (
    '''
# --- app/units.py ---
from contextlib import AsyncExitStack

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Unit:
    async def __aenter__(self) -> "Unit":
        self.session: AsyncSession = maker()
        return self

    async def __aexit__(self, exc_type, exc, traceback) -> None:
        try:
            if exc_type is None:
                await self.session.commit()
            else:
                await self.session.rollback()
        finally:
            await self.session.close()


class ByValue(Unit):
    async def __aexit__(self, exc_type, exc, traceback) -> bool:
        """Asks for the exception itself, and says honestly that it is not handled."""
        if exc:
            await self.session.rollback()
            await self.session.close()
            return False
        await self.session.commit()
        await self.session.close()
        return False


class StopUnit(Exception):
    pass


class Stoppable(Unit):
    async def __aexit__(self, exc_type, exc, traceback) -> bool:
        """Swallows its own signal and nothing else."""
        await super().__aexit__(exc_type, exc, traceback)
        return exc_type is not None and issubclass(exc_type, StopUnit)


class Chosen(Unit):
    def __init__(self, save_anyway: bool = False, quiet: bool = False) -> None:
        self._save_anyway = save_anyway
        self._quiet = quiet

    async def __aexit__(self, exc_type, exc, traceback) -> bool:
        """Flags of the caller decide."""
        try:
            if exc_type is None or self._save_anyway:
                await self.session.commit()
            else:
                await self.session.rollback()
        finally:
            await self.session.close()
        if exc_type is not None and self._quiet:
            return True
        return False


class Packed(Unit):
    async def __aexit__(self, *exc) -> None:
        if exc[0] is None:
            await self.session.commit()
        await self.session.close()


class Delegating:
    async def __aenter__(self) -> AsyncSession:
        self._stack = AsyncExitStack()
        return await self._stack.enter_async_context(maker.begin())

    async def __aexit__(self, *exc) -> bool | None:
        return await self._stack.__aexit__(*exc)


class Journal:
    """No session: what this commits is a file."""

    def __enter__(self) -> "Journal":
        self.lines: list[str] = []
        return self

    def commit(self) -> None:
        self.lines.clear()

    def __exit__(self, *exc) -> bool:
        self.commit()
        return True
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    told = set()
    for unit in analysis.unit_exits:
        for method, loc, what, instead in (
            (
                unit.hook or unit.method,
                unit.commits,
                "commits although the block raised",
                "commit only where no exception came in",
            ),
            (
                unit.method,
                unit.swallows,
                "hides exceptions of the block",
                "return nothing, so that the exception goes on",
            ),
        ):
            if loc is not None and (method.key, loc) not in told:
                told.add((method.key, loc))
                yield Draft(
                    method,
                    loc,
                    f"`{method.qualname}` {what}",
                    instead,
                    "reached with an exception on its way",
                )
