"""A retry runs again on the session of the failed attempt: the transaction is aborted, or earlier work is lost with it.

## What it does

Reports a retry (tenacity, stamina, backoff, a decorator of the project that is called a retry) around a function that
uses a session it was handed, or around a block that uses a session opened outside of it, where failures of the database
are among what is retried.

## Why is this bad

After an error PostgreSQL accepts nothing in the transaction but `ROLLBACK`. The second and third attempt fail at once
with `current transaction is aborted` and hide the first error, a deadlock say, which a real retry would have survived.
And if the attempt does roll back, everything the caller did before in the same transaction is gone, although the retry
then succeeds.

## Instead

Retry the whole unit of work, with a session per attempt:

    @retry(stop=stop_after_attempt(3))
    async def transfer(order_id):
        async with maker.begin() as db:
            ...

or give each attempt a savepoint (`async with db.begin_nested():`), which survives errors of the statements in it, though
not a lost connection or a serialization failure.

## When it is silent

The function opens its session itself, works in a savepoint, or rolls back before it raises; what is retried is named
and has nothing to do with the database (`httpx.TimeoutException`); what is retried is decided by a predicate that
cannot be read.

## Fix safety

No fix: the retry has to move up to whoever opens the session.

## Options

None.

## Symptom at run time

`sqlalchemy.exc.DBAPIError: ... InFailedSQLTransactionError: current transaction is aborted, commands ignored until end of
transaction block` (SQLSTATE 25P02) on the second attempt; `PendingRollbackError` where a flush failed.

## References

- https://docs.sqlalchemy.org/en/20/faq/sessions.html#this-session-s-transaction-has-been-rolled-back-due-to-a-previous-exception-during-flush-or-similar
- https://www.postgresql.org/docs/current/mvcc-serialization-failure-handling.html
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import RolledBack
from sessionlint.findings import Severity
from sessionlint.project.retries import Retries, Retry
from sessionlint.project.symbols import Function
from sessionlint.rules.base import Draft

SEVERITY = Severity.WARNING
DEFAULT = True

BAD = (
    """
# --- app/db.py ---
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)

# --- app/stock.py ---
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from tenacity import AsyncRetrying, retry, retry_if_exception_type, stop_after_attempt

from app.db import maker


@retry(stop=stop_after_attempt(3))  # SES415
async def take(db: AsyncSession, key: int) -> None:
    await db.execute(text("update items set quantity = quantity - 1 where id = :key"), {"key": key})


class Stock:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    @retry(retry=retry_if_exception_type(DBAPIError), stop=stop_after_attempt(3))  # SES415
    async def take(self, key: int) -> None:
        await take(self._db, key)


async def take_all(keys: list[int]) -> None:
    async with maker.begin() as db:
        for key in keys:
            async for attempt in AsyncRetrying(stop=stop_after_attempt(3)):  # SES415
                with attempt:
                    await db.execute(text("update items set quantity = quantity - 1 where id = :key"), {"key": key})
""",
)

GOOD = (
    """
# --- app/db.py ---
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)

# --- app/stock.py ---
import httpx
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from tenacity import AsyncRetrying, retry, retry_if_exception, retry_if_exception_type, stop_after_attempt

from app.db import maker


async def take(db: AsyncSession, key: int) -> None:
    await db.execute(text("update items set quantity = quantity - 1 where id = :key"), {"key": key})


@retry(stop=stop_after_attempt(3))
async def take_all(keys: list[int]) -> None:
    # a session per attempt
    async with maker.begin() as db:
        for key in keys:
            await take(db, key)


@retry(stop=stop_after_attempt(3))
async def take_in_savepoint(db: AsyncSession, key: int) -> None:
    async with db.begin_nested():
        await take(db, key)


@retry(stop=stop_after_attempt(3))
async def take_or_roll_back(db: AsyncSession, key: int) -> None:
    try:
        await take(db, key)
    except DBAPIError:
        await db.rollback()
        raise


@retry(retry=retry_if_exception_type(httpx.TimeoutException), stop=stop_after_attempt(3))
async def price(db: AsyncSession, client: httpx.AsyncClient, key: int) -> str:
    # what is retried comes from the network
    name = await db.scalar(text("select name from items where id = :key"), {"key": key})
    return (await client.get(f"https://prices.example/{name}")).text


def _is_busy(error: BaseException) -> bool:
    return "busy" in str(error)


@retry(retry=retry_if_exception(_is_busy), stop=stop_after_attempt(3))
async def take_if_busy(db: AsyncSession, key: int) -> None:
    await take(db, key)


async def session_per_attempt(keys: list[int]) -> None:
    async for attempt in AsyncRetrying(stop=stop_after_attempt(3)):
        with attempt:
            async with maker.begin() as db:
                for key in keys:
                    await take(db, key)


@retry(stop=stop_after_attempt(3))
async def ping(client: httpx.AsyncClient) -> int:
    return (await client.get("https://prices.example/")).status_code
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    retries = Retries(analysis.infer)
    for function in analysis.functions:
        found = retries.decorating(function)
        if found is not None and found.database and _uses_handed_session(analysis, function):
            yield _draft(function, found, "a session it is handed")
        for loop in retries.loops(function):
            if loop.how == "the loop" or not loop.database:
                continue  # a hand-written handler is SES207's and SES208's business
            calls = analysis.session_calls.of(function)
            inside = [c for c in calls if loop.span[0] < c.loc.line <= loop.span[1]]
            opened = [c for c in inside if _opened_inside(c.session.origin, loop)]
            kept = [c for c in inside if c not in opened]
            if kept and not any(c.method in {"begin_nested", "rollback", "close"} for c in inside):
                yield _draft(function, loop, f"`{kept[0].receiver}`, opened outside of the attempt")


def _draft(function: Function, found: Retry, whose: str) -> Draft:
    return Draft(
        function,
        found.loc,
        f"`{found.how}` runs `{function.qualname}` again on {whose}, whose transaction the failure has aborted",
        "retry the whole unit of work, with a session per attempt",
        "the next attempt starts in an aborted transaction",
    )


def _uses_handed_session(analysis: Analysis, function: Function) -> bool:
    """Whether the function works on a session it did not open, without a savepoint or a rollback of its own."""
    result = analysis.result(function)
    handed = {o.name for o in result.summary.touches if o.kind == "param"}
    held = {
        n for n in handed if n in function.parameters and analysis.infer.holds(analysis.infer.parameter(function, n))
    }
    if not held or any(isinstance(o, RolledBack) for o in result.observations):
        return False
    return not any(c.method == "begin_nested" for c in analysis.session_calls.of(function))


def _opened_inside(origin: object, loop: Retry) -> bool:
    kind, name = getattr(origin, "kind", ""), getattr(origin, "name", "")
    return kind == "local" and loop.span[0] < int(str(name).partition(":")[0] or 0) <= loop.span[1]
