"""An engine, and with it a connection pool, is made for every request or job.

## What it does

Reports `create_engine()` and `create_async_engine()` in a function that runs per request or job: an endpoint, a task, a
dependency, a session provider, or a function such a one calls directly or through others. Opt-in: whether a function runs
once or often can only be told where its callers are known.

## Why is this bad

An engine is made once per process: it holds the pool. One per call means a new pool per call, with a connection that
outlives every session in it: thirty requests, one after the other and each properly closed, hold thirty connections.

## Instead

Make the engine at module level, in the lifespan, or in a cached function; hand it down. Where a process really needs one
engine for a single use: `poolclass=NullPool`, and `dispose()` in a `finally`.

## When it is silent

Functions that keep the engine (in a global, on an object, returned by a cached function), that dispose of it, or that give
it a `NullPool`; lifespans, commands, scripts, migrations and tests; functions nobody in the project calls.

## Fix safety

There is no fix.

## Options

None.

## Symptom at run time

`FATAL: sorry, too many clients already`.

## References

- https://docs.sqlalchemy.org/en/20/core/connections.html#basic-usage
- https://docs.sqlalchemy.org/en/20/core/pooling.html#switching-pool-implementations
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.often import often
from sessionlint.findings import Severity
from sessionlint.project.constructions import Construction, engines, keyword, passes_on
from sessionlint.project.keeping import disposes, is_cached, keeps
from sessionlint.project.symbols import Function, last_name
from sessionlint.rules.base import Draft, way_steps

SEVERITY = Severity.WARNING
DEFAULT = False

BAD = (
    """
# --- app/db.py ---
import os
from collections.abc import AsyncIterator

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine


def make() -> async_sessionmaker[AsyncSession]:
    engine = create_async_engine(os.environ["DATABASE_URL"])  # SES107
    return async_sessionmaker(engine, expire_on_commit=False)


async def get_db() -> AsyncIterator[AsyncSession]:
    async with make()() as db:
        yield db

# --- app/routes.py ---
import os

from fastapi import APIRouter, Depends
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import get_db

router = APIRouter()


@router.get("/users")
def users() -> list[str]:
    engine = create_engine(os.environ["DATABASE_URL"])  # SES107
    with engine.connect() as connection:
        return list(connection.execute(text("select name from users")).scalars())


@router.get("/orders")
async def orders(db: AsyncSession = Depends(get_db)) -> list[str]:
    return list((await db.scalars(text("select name from orders"))).all())
""",
)

GOOD = (
    '''
# --- app/db.py ---
import os
from collections.abc import AsyncIterator
from functools import lru_cache

from sqlalchemy import Engine, NullPool, create_engine
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

engine = create_async_engine(os.environ["DATABASE_URL"])
maker = async_sessionmaker(engine, expire_on_commit=False)
_late: AsyncEngine | None = None


@lru_cache
def cached() -> Engine:
    return create_engine(os.environ["DATABASE_URL"])


def late() -> AsyncEngine:
    global _late
    if _late is None:
        _late = create_async_engine(os.environ["DATABASE_URL"])
    return _late


async def get_db() -> AsyncIterator[AsyncSession]:
    async with maker() as db:
        yield db


async def once(url: str) -> None:
    """For a single use, and disposed of."""
    own = create_async_engine(url)
    try:
        async with own.connect():
            pass
    finally:
        await own.dispose()


def unpooled(url: str) -> Engine:
    return create_engine(url, poolclass=NullPool)


class Database:
    def __init__(self, url: str) -> None:
        self.engine = create_engine(url)

# --- app/main.py ---
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from sqlalchemy.ext.asyncio import create_async_engine

from app.db import cached, late, once, unpooled


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.engine = create_async_engine(os.environ["DATABASE_URL"])
    yield
    await app.state.engine.dispose()


app = FastAPI(lifespan=lifespan)


@app.get("/check")
async def check(url: str) -> str:
    await once(url)
    return f"{cached()} {late()} {unpooled(url)}"
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for found in engines(analysis.infer) if analysis.concerned else ():
        function = found.function
        if function is None or function.name == "__init__" or _is_settled(found, function):
            continue
        if analysis.is_script(function):
            continue
        way = often(analysis, function)
        if way is None:
            continue
        name = last_name(found.call.func)
        yield Draft(
            function,
            found.call.loc,
            f"`{name}()` in `{function.qualname}` makes a connection pool for every call",
            "make the engine once (module level, lifespan, cached function) and hand it down",
            "each call leaves a connection open",
            way_steps(way),
        )


def _is_settled(found: Construction, function: Function) -> bool:
    """The engine is kept, disposed of, or has no pool to leave behind."""
    pool = keyword(found.call, "poolclass")
    if passes_on(found.call) or (pool is not None and last_name(pool) in {"NullPool", "StaticPool"}):
        return True
    return is_cached(function) or keeps(function, found.call) or disposes(function)
