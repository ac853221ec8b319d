"""One pooled async engine is used from one event loop after another.

## What it does

Reports `asyncio.run()` (`anyio.run()`, `async_to_sync()`) in a function that runs per job or request, where the
coroutine opens sessions and the engine of the project is made once, with a pool. Opt-in: which engine a session uses,
and whether a worker process runs more than one job, is decided outside of the code.

## Why is this bad

A connection of an async driver belongs to the event loop it was opened in. `asyncio.run()` makes a loop, and closes it
at the end; the pool keeps the connection. The next `asyncio.run()` gets that connection from the pool and fails, or
hangs, although the first job went well.

## Instead

One loop for the life of the worker process; or an engine without a pool for such workers
(`create_async_engine(url, poolclass=NullPool)`); or `await engine.dispose()` at the end of each run, inside the same loop.

## When it is silent

Scripts and commands, which run one loop; engines with `NullPool`, or with options that are not known; runs whose
coroutine, or the function around it, disposes of the engine.

## Fix safety

There is no fix.

## Options

None.

## Symptom at run time

`RuntimeError: ... got Future ... attached to a different loop`, then
`asyncpg.exceptions.InterfaceError: cannot perform operation: another operation is in progress`.

## References

- https://docs.sqlalchemy.org/en/20/orm/extensions/asyncio.html#using-multiple-asyncio-event-loops
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.loops import runs
from sessionlint.effects.often import often
from sessionlint.findings import Severity
from sessionlint.project import values as v
from sessionlint.project.constructions import Construction, engines, keyword, passes_on
from sessionlint.project.keeping import disposes, is_cached, keeps
from sessionlint.project.symbols import last_name
from sessionlint.rules.base import Draft, step, way_steps

SEVERITY = Severity.WARNING
DEFAULT = False

BAD = (
    """
# --- app/db.py ---
import os

from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

engine = create_async_engine(os.environ["DATABASE_URL"])
maker = async_sessionmaker(engine, expire_on_commit=False)

# --- app/tasks.py ---
import asyncio

from asgiref.sync import async_to_sync
from celery import shared_task
from sqlalchemy import text

from app.db import maker


async def _clean_up(days: int) -> None:
    async with maker.begin() as db:
        await db.execute(text("delete from events where age > :days"), {"days": days})


def run_now(days: int) -> None:
    asyncio.run(_clean_up(days))  # SES413


@shared_task
def clean_up(days: int) -> None:
    run_now(days)


@shared_task
def clean_up_all() -> None:
    async_to_sync(_clean_up)(0)  # SES413
""",
)

GOOD = (
    """
# --- app/db.py ---
import os

from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

engine = create_async_engine(os.environ["DATABASE_URL"], poolclass=NullPool)
maker = async_sessionmaker(engine, expire_on_commit=False)

# --- app/tasks.py ---
import asyncio

from celery import shared_task
from sqlalchemy import text

from app.db import maker


async def _clean_up(days: int) -> None:
    async with maker.begin() as db:
        await db.execute(text("delete from events where age > :days"), {"days": days})


@shared_task
def clean_up(days: int) -> None:
    asyncio.run(_clean_up(days))
""",
    '''
# --- app/db.py ---
import os

from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

engine = create_async_engine(os.environ["DATABASE_URL"])
maker = async_sessionmaker(engine, expire_on_commit=False)

# --- app/tasks.py ---
import asyncio

from celery import shared_task
from sqlalchemy import text

from app.db import engine, maker


async def _clean_up(days: int) -> None:
    try:
        async with maker.begin() as db:
            await db.execute(text("delete from events where age > :days"), {"days": days})
    finally:
        await engine.dispose()


async def _ping() -> None:
    await asyncio.sleep(0)


@shared_task
def clean_up(days: int) -> None:
    asyncio.run(_clean_up(days))


@shared_task
def ping() -> None:
    """Opens no session."""
    asyncio.run(_ping())

# --- app/main.py ---
import asyncio

from sqlalchemy import text

from app.db import maker


async def main() -> None:
    async with maker() as db:
        print(await db.scalar(text("select count(*) from events")))


if __name__ == "__main__":
    asyncio.run(main())
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    made = list(engines(analysis.infer)) if analysis.concerned else []
    pooled = [e for e in made if isinstance(e.made, v.Engine) and e.made.is_async and _outlives_its_users(e)]
    if not pooled or any(_is_unpooled(e) for e in made):
        return
    for run in runs(analysis):
        if not analysis.result(run.work).summary.opens or disposes(run.work) or disposes(run.function):
            continue
        way = often(analysis, run.function)
        if way is None:
            continue
        engine = pooled[0]
        yield Draft(
            run.function,
            run.loc,
            f"`{run.text}` runs `{run.work.qualname}` in a new event loop each time, on the pool of one engine",
            "keep one loop per worker, or use an engine with `NullPool` here, or dispose of it inside the run",
            "the pool hands out connections of a loop that is closed",
            (step(engine.module.path, engine.call.loc, "the engine and its pool outlive each loop"), *way_steps(way)),
        )


def _outlives_its_users(found: Construction) -> bool:
    """Made once: at module level, or kept by the function that makes it."""
    return found.function is None or is_cached(found.function) or keeps(found.function, found.call)


def _is_unpooled(found: Construction) -> bool:
    pool = keyword(found.call, "poolclass")
    return passes_on(found.call) or (pool is not None and last_name(pool) != "AsyncAdaptedQueuePool")
