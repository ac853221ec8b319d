"""The exit of a unit of work can be left with its session still open.

## What it does

Looks at `__aexit__` and `__exit__` of every class whose entering opens a session. Reports an exit that never closes it,
one that closes it only with or only without an exception, and the commit, rollback or flush that, when it fails, keeps
the close from being reached.

## Why is this bad

A commit fails: a deferred constraint, a serialization conflict, a lost connection, a cancelled request. The `close()`
that stands after it does not run then, the connection stays checked out with its transaction open, and the pool has one
connection less until the garbage collector finds the session. Without any close that happens every time.

## Instead

    async def __aexit__(self, exc_type, exc, traceback):
        try:
            if exc_type is None:
                await self.session.commit()
            else:
                await self.session.rollback()
        finally:
            await self.session.close()

`close()` rolls back what is open; a rollback of its own only says so aloud.

## When it is silent

The session was handed to the unit (its owner closes it), the close stands in a `finally`, before the risky call or
around it (`async with self.session:`), or the end is delegated: an `AsyncExitStack`, `super().__aexit__()`, the exit of
the context manager that opened the session.

## Fix safety

Unsafe where a fix is offered: wrap what comes before the close in `try`/`finally`.

## Options

None.

## Symptom at run time

The failing commit's error, then `SAWarning: The garbage collector is trying to clean up non-checked-in connection`, and
in the end `sqlalchemy.exc.TimeoutError: QueuePool limit of size 5 overflow 10 reached`.

## References

- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#closing
- https://docs.sqlalchemy.org/en/20/errors.html#error-3o7r
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft

SEVERITY = Severity.WARNING
DEFAULT = True

BAD = (
    """
# --- app/units.py ---
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)
sync_maker = sessionmaker(create_engine("postgresql+psycopg://app@db/app"))


class Leaky:
    async def __aenter__(self) -> "Leaky":
        self.session: AsyncSession = maker()
        return self

    async def __aexit__(self, exc_type, exc, traceback) -> None:
        if exc_type is None:
            await self.session.commit()  # SES602
        else:
            await self.session.rollback()
        await self.session.close()


class Open:
    def __enter__(self) -> "Open":
        self.session: Session = sync_maker()
        return self

    def __exit__(self, exc_type, exc, traceback) -> None:  # SES602
        if exc_type is None:
            self.session.commit()
        else:
            self.session.rollback()


class Base:
    def rollback(self) -> None:
        raise NotImplementedError

    def __exit__(self, *exc: object) -> None:
        self.rollback()


class OnTop(Base):
    def __init__(self, factory: sessionmaker[Session] = sync_maker) -> None:
        self._factory = factory

    def __enter__(self) -> "OnTop":
        self.session: Session = self._factory()
        return self

    def rollback(self) -> None:
        self.session.rollback()

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)  # SES602
        self.session.close()


class Helped:
    async def __aenter__(self) -> "Helped":
        self.session: AsyncSession = maker()
        return self

    async def _finish(self) -> None:
        await self.session.commit()

    async def _close(self) -> None:
        await self.session.close()

    async def __aexit__(self, exc_type, exc, traceback) -> None:
        try:
            if exc_type is None:
                await self._finish()  # SES602
        except ValueError:
            await self._close()
            raise
        await self._close()
""",
)

GOOD = (
    '''
# --- app/units.py ---
from contextlib import AsyncExitStack, suppress

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


class Around(Unit):
    async def __aexit__(self, exc_type, exc, traceback) -> None:
        async with self.session:
            if exc_type is None:
                await self.session.commit()


class ThroughOwnMethods(Unit):
    async def _close(self) -> None:
        if self.session is not None:
            await self.session.close()

    async def commit(self) -> None:
        await self.session.commit()

    async def __aexit__(self, exc_type, exc, traceback) -> None:
        try:
            await self.commit() if exc_type is None else None
        except BaseException:
            await self._close()
            raise
        await self._close()


class Inherited(Unit):
    async def __aexit__(self, exc_type, exc, traceback) -> None:
        await super().__aexit__(exc_type, exc, traceback)


class OnlyCloses(Unit):
    """Closing rolls back; committing is the user's business."""

    async def __aexit__(self, *exc) -> None:
        await self.session.close()


class Tolerant(Unit):
    async def __aexit__(self, *exc) -> None:
        with suppress(Exception):
            await self.session.rollback()
        await self.session.close()


class Stacked:
    async def __aenter__(self) -> "Stacked":
        self._stack = AsyncExitStack()
        self.session = await self._stack.enter_async_context(maker())
        return self

    async def __aexit__(self, exc_type, exc, traceback) -> None:
        await self._stack.aclose()


class Wrapped:
    async def __aenter__(self) -> AsyncSession:
        self._scope = maker()
        self.session = await self._scope.__aenter__()
        return self.session

    async def __aexit__(self, *exc) -> None:
        await self._scope.__aexit__(*exc)


class Borrowed:
    """The session belongs to whoever made this unit."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def __aenter__(self) -> "Borrowed":
        return self

    async def __aexit__(self, exc_type, exc, traceback) -> None:
        if exc_type is None:
            await self.session.commit()
        else:
            await self.session.rollback()
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    told = set()
    for unit in analysis.unit_exits:
        if not unit.opens or unit.method.key in told:
            continue
        if not unit.closes:
            told.add(unit.method.key)
            yield Draft(
                unit.method,
                unit.method.facts.loc,
                f"`{unit.method.qualname}` never closes the session that entering `{unit.cls.name}` opens",
                "close it in a `finally`",
                "ends with the session open",
            )
        elif unit.only:
            told.add(unit.method.key)
            yield Draft(
                unit.method,
                unit.method.facts.loc,
                f"`{unit.method.qualname}` closes the session of `{unit.cls.name}` only when it is left {unit.only}",
                "close it in a `finally`",
                "may end with the session open",
            )
        elif unit.skipped is not None:
            told.add(unit.method.key)
            yield Draft(
                unit.method,
                unit.skipped,
                f"`{unit.method.qualname}` does not close its session when this call fails",
                "put the close into a `finally`",
                "a failure here skips the close",
            )
