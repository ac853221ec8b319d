"""A session opened here is committed, then written to again, and the later write is never committed.

## What it does

In the function that owns a session, or in an entry point whose session nobody commits afterwards: reports a write that
comes after the last `commit()` on its path. Writes are
`add`, `delete`, `merge`, DML, an attribute set on an object of that session, and calls that do one of these.

## Why is this bad

The first half of the work is saved, the second is rolled back when the session closes. The object in memory shows the
later value (`print(job.state)` says `done`), the row says `running` for ever. Code that commits in small steps
around slow work is where this happens: the last step lost its commit, or an assignment was added below it.

## Instead

Give each step its own transaction, or commit once more:

    job.state = "running"
    await db.commit()
    await do_the_work(job.id)
    job.state = "done"
    await db.commit()

## When it is silent

The object is plain or detached (its session was closed or it was expunged), the session belongs to a caller who
commits, or the commit stands in a `finally`.

## Fix safety

No fix: only the author knows whether the write should be saved or should not be there.

## Options

None.

## Symptom at run time

No error; the row keeps the value of the last commit.

## References

- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#committing
- https://docs.sqlalchemy.org/en/20/orm/session_transaction.html
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.afterwards import is_lost
from sessionlint.effects.observations import Ended, ScopeEnd
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, described, local_place, step, write_steps

SEVERITY = Severity.ERROR
DEFAULT = True

BAD = (
    """
# --- app/db.py ---
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Job(Base):
    __tablename__ = "jobs"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(default="new")

# --- app/worker.py ---
from app.db import Job, maker


async def run_job(job_id: int) -> str:
    async with maker() as db:
        job = await db.get_one(Job, job_id)
        job.state = "running"
        await db.commit()
        job.state = "done"  # SES304
        return job.state
""",
    """
# --- app/db.py ---
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

Session = sessionmaker(create_engine("postgresql+psycopg://app@db/app"))


class Base(DeclarativeBase):
    pass


class Job(Base):
    __tablename__ = "jobs"
    id: Mapped[int] = mapped_column(primary_key=True)


class JobLog(Base):
    __tablename__ = "job_logs"
    id: Mapped[int] = mapped_column(primary_key=True)
    line: Mapped[str]

# --- app/worker.py ---
from app.db import Job, JobLog, Session


def finish(job_id: int) -> None:
    with Session() as db:
        db.delete(db.get_one(Job, job_id))
        db.commit()
        db.add(JobLog(line=f"job {job_id} finished"))  # SES304
""",
    """
# --- app/db.py ---
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Job(Base):
    __tablename__ = "jobs"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(default="new")

# --- app/marks.py ---
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Job


async def mark(db: AsyncSession, job_id: int, state: str) -> None:
    await db.execute(update(Job).where(Job.id == job_id).values(state=state))

# --- app/worker.py ---
from app.db import maker
from app.marks import mark


async def run_job(job_id: int) -> None:
    async with maker() as db:
        await mark(db, job_id, "running")
        await db.commit()
        await mark(db, job_id, "done")  # SES304
""",
)

GOOD = (
    '''
# --- app/db.py ---
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Job(Base):
    __tablename__ = "jobs"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(default="new")

# --- app/marks.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Job


async def mark(db: AsyncSession, job_id: int, state: str) -> None:
    """Writes in the caller's transaction; the caller commits."""
    job = await db.get_one(Job, job_id)
    job.state = state
    await db.flush()

# --- app/worker.py ---
from dataclasses import dataclass

from app.db import Job, maker
from app.marks import mark


@dataclass
class Outcome:
    state: str = "new"


async def run_job(job_id: int) -> None:
    async with maker() as db:
        await mark(db, job_id, "running")
        await db.commit()
        await mark(db, job_id, "done")
        await db.commit()


async def run_in_steps(job_id: int) -> None:
    async with maker() as db:
        async with db.begin():
            await mark(db, job_id, "running")
        async with db.begin():
            await mark(db, job_id, "done")


async def run_with_outcome(job_id: int) -> Outcome:
    """A plain object and a detached one: neither belongs to the session any more."""
    outcome = Outcome()
    async with maker() as db:
        job = await db.get_one(Job, job_id)
        job.state = "done"
        await db.commit()
        outcome.state = "done"
    job.state = "shown as done"
    return outcome


async def run_guarded(job_id: int) -> None:
    """The commit in `finally` comes after every write."""
    async with maker() as db:
        job = await db.get_one(Job, job_id)
        job.state = "running"
        await db.commit()
        try:
            job.state = "done"
        finally:
            await db.commit()
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    told = set()
    for function, seen in analysis.observations(ScopeEnd):
        if not seen.earlier or seen.hands_out_object:
            continue
        write = seen.writes[0]
        place = local_place(write)
        if (function.key, place) in told:
            continue
        told.add((function.key, place))
        yield Draft(
            function,
            place,
            f"{described(write)} comes after the last commit of its session and is lost",
            "commit again after this line, or move it before the commit",
            "rolled back when the session closes",
            (
                step(function.module.path, seen.opened, "the session is opened"),
                *write_steps(write),
                step(function.module.path, seen.loc, "the session is closed without another commit"),
            ),
        )
    yield from _boundaries(analysis)


def _boundaries(analysis: Analysis) -> Iterator[Draft]:
    """Entry points that write again after their commit, on a session that nobody commits once they have ended."""
    told = set()
    for function, seen in analysis.observations(Ended):
        write = seen.writes[-1]
        place = local_place(write)
        if not seen.earlier or (function.key, place) in told or not is_lost(analysis, function, seen.origin):
            continue
        told.add((function.key, place))
        yield Draft(
            function,
            place,
            f"{described(write)} comes after the last commit of `{function.qualname}` and is lost",
            "commit again after this line, or move it before the commit",
            "rolled back when the request ends",
            (*write_steps(write), step(function.module.path, seen.loc, "nobody commits after this")),
        )
