"""A factory opens a session, hands out a service on it, and nobody commits what the service writes.

## What it does

Reports a context manager (an `@asynccontextmanager` or `@contextmanager` function, or a class with `__aenter__` or
`__enter__`) that opens its own session and hands out an object built on it, when a user of that object writes and
neither the factory nor the user commits. The finding stands at the factory's `yield` (for a class: at the `return` of
`__aenter__`); the trace leads to the write.

## Why is this bad

The factory owns the session, and its users cannot reach it to commit: they hold a service. So the session is closed
with the writes pending and rolls them back. The service reports success (`rowcount` was 1), the job logs "1 cleaned",
and the next run cleans the same row again.

## Instead

The owner of the session commits when its user is done:

    @asynccontextmanager
    async def create_cleaner():
        async with maker() as db:
            yield UploadCleaner(UploadRepository(db))
            await db.commit()

or opens it with `maker.begin()`. An exception in the user's block arrives at the `yield`, so the commit is skipped.

## When it is silent

All users only read, the factory commits after its `yield`, or every user that writes commits through the object it was
given.

## Fix safety

Safe: inserts the commit after the single `yield`, or at the start of a class's exit unless an exception leaves it.

## Options

None.

## Symptom at run time

No error; the service reports its work, the rows are unchanged.

## References

- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#framing-out-a-begin-commit-rollback-block
- https://docs.python.org/3/library/contextlib.html#contextlib.asynccontextmanager
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import ScopeEnd
from sessionlint.facts import shape as s
from sessionlint.findings import FixSafety, Severity
from sessionlint.project import symbols as sym
from sessionlint.rules.base import Draft, described, step, write_steps

SEVERITY = Severity.ERROR
DEFAULT = True

BAD = (
    """
# --- app/uploads.py ---
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Upload(Base):
    __tablename__ = "uploads"
    id: Mapped[int] = mapped_column(primary_key=True)
    age_days: Mapped[int]


class UploadRepository:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def delete_older_than(self, days: int) -> int:
        result = await self._db.execute(delete(Upload).where(Upload.age_days > days))
        return result.rowcount

# --- app/cleaning.py ---
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.uploads import UploadRepository, maker


class UploadCleaner:
    def __init__(self, uploads: UploadRepository) -> None:
        self._uploads = uploads

    async def run(self) -> int:
        return await self._uploads.delete_older_than(30)


@asynccontextmanager
async def create_cleaner() -> AsyncIterator[UploadCleaner]:
    async with maker() as db:
        yield UploadCleaner(UploadRepository(db))  # SES321

# --- app/nightly.py ---
import asyncio

from app.cleaning import create_cleaner


async def nightly() -> None:
    async with create_cleaner() as cleaner:
        print(await cleaner.run(), "cleaned")


if __name__ == "__main__":
    asyncio.run(nightly())
""",
    '''
# --- app/uploads.py ---
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

maker = sessionmaker(create_engine("postgresql+psycopg://app@db/app"))


class Base(DeclarativeBase):
    pass


class Upload(Base):
    __tablename__ = "uploads"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class UploadRegister:
    def __init__(self, db: Session) -> None:
        self._db = db

    def enter(self, name: str) -> None:
        self._db.add(Upload(name=name))


class OpenRegister:
    """`with OpenRegister() as register: register.enter(...)`."""

    def __enter__(self) -> UploadRegister:
        self._db = maker()
        return UploadRegister(self._db)  # SES321

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._db.close()

# --- app/scan.py ---
import sys

from app.uploads import OpenRegister


def scan(names: list[str]) -> None:
    with OpenRegister() as register:
        for name in names:
            register.enter(name)


if __name__ == "__main__":
    scan(sys.argv[1:])
''',
)

GOOD = (
    '''
# --- app/uploads.py ---
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Upload(Base):
    __tablename__ = "uploads"
    id: Mapped[int] = mapped_column(primary_key=True)
    age_days: Mapped[int]


class UploadRepository:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def delete_older_than(self, days: int) -> int:
        result = await self._db.execute(delete(Upload).where(Upload.age_days > days))
        return result.rowcount

    async def count(self) -> int:
        return await self._db.scalar(select(func.count()).select_from(Upload)) or 0

# --- app/cleaning.py ---
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.uploads import UploadRepository, maker


class UploadCleaner:
    def __init__(self, uploads: UploadRepository) -> None:
        self._uploads = uploads

    async def run(self) -> int:
        return await self._uploads.delete_older_than(30)

    async def size(self) -> int:
        return await self._uploads.count()


@asynccontextmanager
async def create_cleaner() -> AsyncIterator[UploadCleaner]:
    """Commits when its user is done."""
    async with maker() as db:
        yield UploadCleaner(UploadRepository(db))
        await db.commit()


@asynccontextmanager
async def create_other_cleaner() -> AsyncIterator[UploadCleaner]:
    """`begin()` commits."""
    async with maker.begin() as db:
        yield UploadCleaner(UploadRepository(db))


@asynccontextmanager
async def create_report() -> AsyncIterator[UploadCleaner]:
    """Its only user reads."""
    async with maker() as db:
        yield UploadCleaner(UploadRepository(db))

# --- app/nightly.py ---
import asyncio

from app.cleaning import create_cleaner, create_other_cleaner, create_report


async def nightly() -> None:
    async with create_cleaner() as cleaner:
        await cleaner.run()
    async with create_other_cleaner() as cleaner:
        await cleaner.run()
    async with create_report() as report:
        print(await report.size(), "left")


if __name__ == "__main__":
    asyncio.run(nightly())
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    told = set()
    for function, seen in analysis.observations(ScopeEnd):
        factory = seen.factory
        if factory is None and seen.factory_class is not None:
            classes = analysis.infer.classes
            factory = classes.method(seen.factory_class, "__aenter__") or classes.method(
                seen.factory_class, "__enter__"
            )
        if not seen.hands_out_object or factory is None or seen.earlier or factory.key in told:
            continue
        told.add(factory.key)
        write = seen.writes[-1]
        used = step(function.module.path, seen.opened, f"{function.qualname} uses it")
        yield Draft(
            factory,
            _handing_over(factory),
            f"`{factory.qualname}` hands out an object on its own session and never commits: {described(write)} is lost",
            "`await db.commit()` after the yield",
            "what the user of this object writes is rolled back",
            (used, *write_steps(write)),
            fix=FixSafety.SAFE,
        )


def _handing_over(factory: sym.Function) -> s.Loc:
    """The factory's yield, or the return of its ``__aenter__``."""
    for stmt in factory.statements:
        for top in sym.statement_expressions(stmt):
            for expr in sym.walk(top):
                if isinstance(expr, s.Yield):
                    return expr.loc
        if isinstance(stmt, s.Return) and not factory.facts.is_generator:
            return stmt.loc
    return factory.facts.loc
