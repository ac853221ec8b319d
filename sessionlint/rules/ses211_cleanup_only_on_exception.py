"""A session opened by hand is not closed when the task is cancelled or the generator is dropped.

## What it does

Reports a session that is opened without a `with`, and closed (or rolled back) in an `except` clause and perhaps at the
end of the `try`, but not in a `finally`. In coroutines, async generators and generator providers, which can be left by
`CancelledError` and `GeneratorExit`.

A session that is not closed anywhere is SES103.

## Why is this bad

`except Exception` does not see a cancellation: `CancelledError`, `GeneratorExit` and `KeyboardInterrupt` derive from
`BaseException`. A client that disconnects, or a timeout, leaves the function past both the commit and the handler. The
session keeps its connection, with the transaction open, until the garbage collector finds it.

## Instead

    async with maker() as db:
        ...
        await db.commit()

The block rolls back and closes on every way out. By hand: `close()` in a `finally`, which rolls back as well.

## When it is silent

`close()` in a `finally`, or in a bare `except:` or `except BaseException:` that raises again; a session inside a `with`;
plain functions without `await` and `yield`, which nothing can cancel; a session that leaves the function.

## Fix safety

Unsafe: the body is put into `async with`; an order of commit and close that was deliberate is lost.

## Options

None.

## Symptom at run time

After some disconnected clients: `sqlalchemy.exc.TimeoutError: QueuePool limit of size 5 overflow 10 reached, connection
timed out`, and sessions `idle in transaction` in `pg_stat_activity`.

## References

- https://docs.python.org/3/library/asyncio-exceptions.html#asyncio.CancelledError
- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#closing
- https://github.com/sqlalchemy/sqlalchemy/issues/6652
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import OpenedByHand
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft

SEVERITY = Severity.WARNING
DEFAULT = True

BAD = (
    """
# --- app/db.py ---
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

maker = async_sessionmaker(create_async_engine(os.environ["DATABASE_URL"]), expire_on_commit=False)
SessionLocal = sessionmaker(create_engine(os.environ["DATABASE_URL"]))


async def by_hand() -> None:
    db = maker()  # SES211
    try:
        await db.execute(text("insert into visits default values"))
        await db.commit()
        await db.close()
    except Exception:
        await db.rollback()
        await db.close()
        raise


async def get_db() -> AsyncIterator[AsyncSession]:
    db = maker()  # SES211
    try:
        yield db
        await db.commit()
    except Exception:
        await db.rollback()
        raise
    else:
        await db.close()


@contextmanager
def session_scope() -> Iterator[Session]:
    session = SessionLocal()  # SES211
    try:
        yield session
        session.commit()
    except Exception:
        session.rollback()
        raise
    session.close()
""",
)

GOOD = (
    '''
# --- app/db.py ---
import os
from collections.abc import AsyncIterator, Iterator

from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

maker = async_sessionmaker(create_async_engine(os.environ["DATABASE_URL"]), expire_on_commit=False)
SessionLocal = sessionmaker(create_engine(os.environ["DATABASE_URL"]))


async def in_block() -> None:
    async with maker() as db:
        try:
            await db.execute(text("insert into visits default values"))
            await db.commit()
        except Exception:
            await db.rollback()
            raise


async def by_hand() -> None:
    db = maker()
    try:
        await db.execute(text("insert into visits default values"))
        await db.commit()
    except Exception:
        await db.rollback()
        raise
    finally:
        await db.close()


async def everything() -> None:
    """Not even a cancellation passes this handler."""
    db = maker()
    try:
        await db.execute(text("insert into visits default values"))
        await db.commit()
    except BaseException:
        await db.rollback()
        await db.close()
        raise
    await db.close()


async def get_db() -> AsyncIterator[AsyncSession]:
    db = maker()
    try:
        yield db
        await db.commit()
    except Exception:
        await db.rollback()
        raise
    finally:
        await db.close()


def plain() -> None:
    """Nothing can cancel a plain function."""
    session = SessionLocal()
    try:
        session.execute(text("insert into visits default values"))
        session.commit()
        session.close()
    except Exception:
        session.rollback()
        session.close()
        raise


async def given_to_block() -> None:
    db = maker()
    async with db:
        try:
            await db.execute(text("select 1"))
        except ValueError:
            await db.rollback()
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function, seen in analysis.observations(OpenedByHand):
        if not seen.closed or "final" in seen.closed or not (seen.cleaned or "handler" in seen.closed):
            continue
        if not function.facts.is_async and not function.facts.is_generator:
            continue
        what = "a dropped generator" if function.facts.is_generator else "a cancelled task"
        yield Draft(
            function,
            seen.loc,
            f"{what} leaves `{function.qualname}` past every `close()` of this session: no `finally` has one",
            f"use `{'async ' if seen.is_async else ''}with {seen.text}() as ...:`, or close it in a `finally`",
            "CancelledError and GeneratorExit are no Exception",
        )
