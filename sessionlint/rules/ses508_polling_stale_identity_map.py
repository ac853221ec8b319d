"""A loop that waits for a row to change reads it again and again through one session, and never sees the change.

## What it does

Reports a `while` loop that sleeps or yields, and in every turn reads the same kind of object through a session opened
before the loop, with nothing in the loop that would make the object fresh.

## Why is this bad

A session keeps one object per row (its identity map). The second SELECT does go to the database, but the columns of an
object that is already there are left as they are: the loop compares the old value for ever. `db.get()` does not even ask
the database. A progress stream shows 0 % to the end.

## Instead

One short session per turn, or fresh columns:

    while True:
        async with maker() as db:
            progress = await db.scalar(select(Job.progress).where(Job.id == job_id))
        yield progress
        await asyncio.sleep(1)

or `select(Job).execution_options(populate_existing=True)`, or `await db.refresh(job)`.

## When it is silent

The session is opened in the loop; columns are selected, not objects; the loop refreshes, expires or rolls back; it
commits, and not every session factory of the project has `expire_on_commit=False`, with which a commit refreshes nothing;
the query asks for `populate_existing` or locks the row.

## Fix safety

Safe where a fix is offered: `populate_existing` only makes the object fresh.

## Options

None.

## Symptom at run time

No error: the loop sees `0, 0, 0, 0, 0` while the database says 100.

## References

- https://docs.sqlalchemy.org/en/20/orm/queryguide/api.html#populate-existing
- https://docs.sqlalchemy.org/en/20/orm/session_state_management.html#refreshing-expiring
- https://github.com/sqlalchemy/sqlalchemy/issues/4700
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
# --- app/progress.py ---
import asyncio
import time
from collections.abc import AsyncIterator

from sqlalchemy import create_engine, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)
engine = create_engine("postgresql+psycopg://app@db/app")


class Base(DeclarativeBase):
    pass


class Job(Base):
    __tablename__ = "jobs"
    id: Mapped[int] = mapped_column(primary_key=True)
    progress: Mapped[int]


async def progress(job_id: int) -> AsyncIterator[int]:
    async with maker() as db:
        while True:
            job = (await db.scalars(select(Job).where(Job.id == job_id))).one()  # SES508
            yield job.progress
            if job.progress == 100:
                return
            await asyncio.sleep(1)


async def wait_until_done(db: AsyncSession, job_id: int) -> None:
    while True:
        job = await db.get(Job, job_id)  # SES508
        if job is None or job.progress == 100:
            return
        await asyncio.sleep(1)


def wait_sync(job_id: int) -> int:
    with Session(engine) as db:
        done = False
        while not done:
            job = db.query(Job).filter(Job.id == job_id).first()  # SES508
            done = job.progress == 100
            time.sleep(1)
        return job.progress
""",
)

GOOD = (
    '''
# --- app/progress.py ---
import asyncio
from collections.abc import AsyncIterator

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Job(Base):
    __tablename__ = "jobs"
    id: Mapped[int] = mapped_column(primary_key=True)
    progress: Mapped[int]


async def session_per_turn(job_id: int) -> AsyncIterator[int]:
    while True:
        async with maker() as db:
            job = (await db.scalars(select(Job).where(Job.id == job_id))).one()
        yield job.progress
        await asyncio.sleep(1)


async def columns(db: AsyncSession, job_id: int) -> AsyncIterator[int]:
    while True:
        progress = await db.scalar(select(Job.progress).where(Job.id == job_id))
        yield progress or 0
        await asyncio.sleep(1)


async def refreshed(db: AsyncSession, job_id: int) -> None:
    job = (await db.scalars(select(Job).where(Job.id == job_id))).one()
    while job.progress < 100:
        await asyncio.sleep(1)
        await db.refresh(job)


async def asked_for(db: AsyncSession, job_id: int) -> None:
    query = select(Job).where(Job.id == job_id).execution_options(populate_existing=True)
    while True:
        job = (await db.scalars(query)).one()
        if job.progress == 100:
            return
        await asyncio.sleep(1)


async def rolled_back(db: AsyncSession, job_id: int) -> None:
    while True:
        job = await db.get(Job, job_id)
        if job.progress == 100:
            return
        await db.rollback()
        await asyncio.sleep(1)


async def pages(db: AsyncSession) -> list[Job]:
    """No waiting: every turn reads other rows."""
    found: list[Job] = []
    last = 0
    while True:
        row = (await db.scalars(select(Job).where(Job.id > last).limit(1))).first()
        if row is None:
            return found
        found.append(row)
        last = row.id
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function in analysis.functions:
        for poll in analysis.row_loops.polls(function):
            yield Draft(
                function,
                poll.loc,
                f"`{function.qualname}` waits for `{poll.name}` to change, but its session never reads a "
                f"`{poll.model.name}` it already holds anew",
                "open a session in every turn, select the columns, or ask for `populate_existing`",
                "gives the same object with the same values",
                (step(function.module.path, poll.loop, "the session outlives the turns of this loop"),),
            )
