"""A session is handed to another thread: an async one cannot work there, a sync one must not be used by two at once.

## What it does

Reports `asyncio.to_thread`, `run_in_threadpool`, `anyio.to_thread.run_sync`, `loop.run_in_executor`, `Executor.submit`
and `threading.Thread` that are given an `AsyncSession` (as an argument, captured, or in an object); and, for a sync
`Session`, those that are started in a loop without being waited for.

Off by default: whether two threads meet in one session depends on what they do, which is not followed.

## Why is this bad

An `AsyncSession` belongs to the event loop it was first used in; from another thread its driver fails, or corrupts what
the loop is doing. A `Session` is one conversation: two threads in it interleave their statements, and a flush that meets
another raises, after rows were lost.

## Instead

A session per thread, opened in the work itself; or `await db.run_sync(work)`, which runs plain code on an async session
without another thread.

## When it is silent

A sync session whose work is awaited at once (`await run_in_threadpool(db.commit)`): one thread after the other.

## Fix safety

No fix.

## Options

None.

## Symptom at run time

`sqlalchemy.exc.MissingGreenlet`, `RuntimeError: ... attached to a different loop`; for sync sessions
`sqlalchemy.exc.InvalidRequestError: Session is already flushing`.

## References

- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#session-faq-threadsafe
- https://docs.sqlalchemy.org/en/20/orm/extensions/asyncio.html#sqlalchemy.ext.asyncio.AsyncSession.run_sync
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import Spawned
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft

SEVERITY = Severity.WARNING
DEFAULT = False

BAD = (
    """
# --- app/report.py ---
import asyncio
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

pool = ThreadPoolExecutor(4)


def count(db: AsyncSession) -> None:
    asyncio.run(db.execute(text("select 1")))


async def report(db: AsyncSession) -> None:
    await asyncio.to_thread(count, db)  # SES404


def record(db: Session, kind: str) -> None:
    db.execute(text("insert into events (kind) values (:kind)"), {"kind": kind})


def record_all(db: Session, kinds: list[str]) -> None:
    for kind in kinds:
        pool.submit(record, db, kind)  # SES404
""",
)

GOOD = (
    """
# --- app/report.py ---
import asyncio

from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, sessionmaker
from starlette.concurrency import run_in_threadpool

maker = sessionmaker(create_engine("postgresql+psycopg://app@db/app"))


def count(db: Session) -> int:
    return db.scalar(text("select count(*) from events")) or 0


def count_alone() -> int:
    with maker() as db:
        return count(db)


async def report() -> int:
    return await asyncio.to_thread(count_alone)


async def report_on(db: AsyncSession) -> int:
    return await db.run_sync(count)


async def save(db: Session) -> None:
    # one thread after the other
    await run_in_threadpool(db.commit)
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function, seen in analysis.observations(Spawned):
        if seen.kind == "thread-async":
            yield Draft(
                function,
                seen.loc,
                f"`{seen.work}` is given an async session in another thread",
                "open a session in the thread, or use `await db.run_sync(...)`",
                "the session belongs to this event loop",
            )
        elif seen.kind == "thread":
            yield Draft(
                function,
                seen.loc,
                f"`{seen.work}` is started in several threads that share one session",
                "open a session in each thread",
                "a session is not safe for concurrent threads",
            )
