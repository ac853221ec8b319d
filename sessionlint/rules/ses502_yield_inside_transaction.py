"""A generator hands out values while its session has a transaction open.

## What it does

Reports a `yield` in a generator or async generator that is reached with a transaction open on a session the generator
opened: after a query, a flush, DML, or in the middle of a streamed result.

## Why is this bad

A generator stops at its `yield` until its consumer asks for more. Behind an HTTP response the consumer is a client
with a slow line, or one that went away: the transaction, its locks and its pooled connection last as long as the
client likes. Two idle readers exhaust a pool of two, and every other request waits for the pool. A generator that is
abandoned is not closed before the garbage collector finds it. PostgreSQL shows the connections as `idle in
transaction`; they also keep vacuum from cleaning up.

## Instead

Fetch, leave the block, then hand out:

    async with maker() as db:
        rows = (await db.execute(query)).all()
    for row in rows:
        yield row

For results that do not fit into memory: page by key, one short session per page.

## When it is silent

The generator is a context manager (`@asynccontextmanager`, `@contextmanager`), a dependency or a fixture: there the
`yield` is the point. Also where no transaction is open at the `yield`: right after `commit()` or `rollback()`, before
the first statement, or after the block. A stream on the *request's* session is SES501; a parent row that is not
committed at the `yield` is SES320.

## Fix safety

No fix: fetching everything changes the use of memory, committing changes the transaction.

## Options

None.

## Symptom at run time

Connections `idle in transaction`, and for the others `sqlalchemy.exc.TimeoutError: QueuePool limit of size 2 overflow
0 reached, connection timed out`.

## References

- https://docs.sqlalchemy.org/en/20/errors.html#error-3o7r
- https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-IDLE-IN-TRANSACTION-SESSION-TIMEOUT
- https://github.com/apache/airflow/pull/65179
- https://peps.python.org/pep-0525/#finalization
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import Suspended
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, described, spelled, write_steps

SEVERITY = Severity.WARNING
DEFAULT = True
YIELDS_TO = ("function:SES320", "function:SES501")

BAD = (
    """
# --- app/db.py ---
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Reading(Base):
    __tablename__ = "readings"
    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[int]


class Export(Base):
    __tablename__ = "exports"
    id: Mapped[int] = mapped_column(primary_key=True)

# --- app/export.py ---
from collections.abc import AsyncIterator

from sqlalchemy import select

from app.db import Export, Reading, maker


async def lines() -> AsyncIterator[str]:
    async with maker() as db:
        async for reading in await db.stream_scalars(select(Reading)):
            yield f"{reading.id};{reading.value}"  # SES502


async def numbered_lines(values: list[int]) -> AsyncIterator[str]:
    async with maker() as db:
        export = Export()
        db.add(export)
        await db.flush()
        for value in values:
            yield f"{export.id};{value}"  # SES502
        await db.commit()
""",
    """
# --- app/export.py ---
from collections.abc import Iterator

from sqlalchemy import create_engine, text
from sqlalchemy.orm import sessionmaker

maker = sessionmaker(create_engine("postgresql+psycopg://app@db/app"))


def lines() -> Iterator[str]:
    with maker.begin() as db:
        for row in db.execute(text("select id, value from readings")):
            yield f"{row.id};{row.value}"  # SES502
""",
)

GOOD = (
    '''
# --- app/db.py ---
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)
sync_maker = sessionmaker(create_engine("postgresql+psycopg://app@db/app"))


async def get_db() -> AsyncIterator[AsyncSession]:
    """A dependency: the code after the yield runs when the request is over."""
    async with maker() as db:
        await db.execute(text("set local app.name = 'web'"))
        yield db


@asynccontextmanager
async def locked(key: int) -> AsyncIterator[AsyncSession]:
    """A context manager: its user runs inside the transaction on purpose."""
    async with maker.begin() as db:
        await db.execute(text("select pg_advisory_xact_lock(:k)"), {"k": key})
        yield db


@contextmanager
def locked_sync(key: int) -> Iterator[Session]:
    with sync_maker.begin() as db:
        db.execute(text("select pg_advisory_xact_lock(:k)"), {"k": key})
        yield db

# --- app/routes.py ---
from fastapi import APIRouter, Depends
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import get_db

router = APIRouter()


@router.get("/readings/count")
async def count(db: AsyncSession = Depends(get_db)) -> int:
    return await db.scalar(text("select count(*) from readings")) or 0

# --- app/export.py ---
from collections.abc import AsyncIterator

from sqlalchemy import text

from app.db import maker


async def lines() -> AsyncIterator[str]:
    """Fetched, closed, then handed out."""
    async with maker() as db:
        rows = (await db.execute(text("select id, value from readings"))).all()
    for row in rows:
        yield f"{row.id};{row.value}"


async def pages(size: int) -> AsyncIterator[str]:
    """One short session per page."""
    last = 0
    while True:
        async with maker() as db:
            rows = (
                await db.execute(
                    text("select id, value from readings where id > :last order by id limit :size"),
                    {"last": last, "size": size},
                )
            ).all()
        if not rows:
            return
        for row in rows:
            yield f"{row.id};{row.value}"
        last = rows[-1].id


async def steps(values: list[int]) -> AsyncIterator[int]:
    """No connection is held at a yield: before the first statement, and right after a commit."""
    async with maker() as db:
        yield 0
        for value in values:
            await db.execute(text("insert into readings (value) values (:v)"), {"v": value})
            await db.commit()
            yield value
''',
    """
# --- tests/conftest.py ---
from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

engine = create_engine("postgresql+psycopg://app@db/test")


@pytest.fixture
def seeded() -> Iterator[Session]:
    with Session(engine) as db:
        db.execute(text("insert into readings (value) values (1)"))
        yield db
        db.rollback()
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    first: dict[tuple[str, object], Draft] = {}
    for function, seen in analysis.observations(Suspended):
        if not analysis.hands_out_items(function) or not (seen.owned or function.key in analysis.streamed):
            continue
        whose = "the session it opened" if seen.owned else f"`{spelled(seen.origin)}`"
        if seen.writes:
            message = f"`{function.qualname}` yields with {described(seen.writes[-1])} uncommitted on {whose}"
            trace = write_steps(seen.writes[-1])
        else:
            message = f"`{function.qualname}` yields while a transaction is open on {whose}"
            trace = ()
        draft = Draft(
            function,
            seen.loc,
            message,
            "fetch first and leave the block, or commit before the yield",
            "the reader decides how long the transaction lasts",
            trace,
        )
        key = (function.key, seen.origin)
        if key not in first or draft.loc < first[key].loc:
            first[key] = draft
    yield from first.values()
