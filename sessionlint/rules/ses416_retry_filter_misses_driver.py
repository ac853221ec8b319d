"""A retry waits for `OperationalError`, which the asyncpg driver does not raise for deadlocks: nothing is ever retried.

## What it does

Reports a retry that names `sqlalchemy.exc.OperationalError` and nothing above it (`DBAPIError`, `SQLAlchemyError`,
`Exception`), in a coroutine that uses a session, where the project's database URLs name asyncpg. Retries are tenacity,
stamina, backoff, decorators of the project that are called a retry, and loops with `try ... except OperationalError`
that go on to the next turn.

## Why is this bad

Which class SQLAlchemy raises is up to the driver's own hierarchy. psycopg reports a deadlock (40P01) and a
serialization failure (40001) as `OperationalError`; asyncpg has no such class for them, so they arrive as a bare
`DBAPIError`, and a refused connection as `ConnectionRefusedError` straight from the socket. The filter matches nothing:
the retry that was written for just this case never runs.

## Instead

Ask for the SQLSTATE, which is the same on every driver:

    def is_transient(error: BaseException) -> bool:
        if isinstance(error, OSError):
            return True
        return isinstance(error, DBAPIError) and (
            error.connection_invalidated or getattr(error.orig, "sqlstate", None) in {"40001", "40P01", "55P03"}
        )

    @retry(retry=retry_if_exception(is_transient))

## When it is silent

Projects whose URLs name a psycopg driver beside or instead of asyncpg, or no driver at all; filters that also name
`DBAPIError` or a class above it; functions that use no session; plain functions.

## Fix safety

No fix: what is safe to repeat is a decision.

## Options

None.

## Symptom at run time

`sqlalchemy.exc.DBAPIError: (sqlalchemy.dialects.postgresql.asyncpg.Error) <class
'asyncpg.exceptions.DeadlockDetectedError'>: deadlock detected`, after one attempt.

## References

- https://docs.sqlalchemy.org/en/20/dialects/postgresql.html#module-sqlalchemy.dialects.postgresql.asyncpg
- https://www.postgresql.org/docs/current/errcodes-appendix.html
- https://github.com/CentOS/duffy/pull/922
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.findings import Severity
from sessionlint.project.retries import Retries, Retry
from sessionlint.project.symbols import Function
from sessionlint.rules.base import Draft

SEVERITY = Severity.WARNING
DEFAULT = True

_TOO_NARROW = frozenset({"OperationalError"})
_WIDE = frozenset({"DBAPIError", "StatementError", "SQLAlchemyError", "Exception", "BaseException"})

BAD = (
    """
# --- app/db.py ---
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)

# --- app/stock.py ---
import asyncio

from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from tenacity import retry, retry_if_exception_type, stop_after_attempt

from app.db import maker


@retry(retry=retry_if_exception_type(OperationalError), stop=stop_after_attempt(3))  # SES416
async def take(key: int) -> None:
    async with maker.begin() as db:
        await db.execute(text("update items set quantity = quantity - 1 where id = :key"), {"key": key})


async def take_by_hand(key: int) -> None:
    for _ in range(3):
        try:
            async with maker.begin() as db:
                await db.execute(text("update items set quantity = quantity - 1 where id = :key"), {"key": key})
            return
        except OperationalError:  # SES416
            await asyncio.sleep(0.1)
""",
)

GOOD = (
    """
# --- app/db.py ---
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)

# --- app/stock.py ---
import asyncio

import httpx
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError
from tenacity import retry, retry_if_exception, retry_if_exception_type, stop_after_attempt

from app.db import maker


def is_transient(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return True
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in {"40001", "40P01"}


@retry(retry=retry_if_exception(is_transient), stop=stop_after_attempt(3))
async def take(key: int) -> None:
    async with maker.begin() as db:
        await db.execute(text("update items set quantity = quantity - 1 where id = :key"), {"key": key})


@retry(retry=retry_if_exception_type((OperationalError, DBAPIError)), stop=stop_after_attempt(3))
async def take_on_any(key: int) -> None:
    async with maker.begin() as db:
        await db.execute(text("update items set quantity = quantity - 1 where id = :key"), {"key": key})


@retry(retry=retry_if_exception_type(httpx.HTTPError), stop=stop_after_attempt(3))
async def fetch(client: httpx.AsyncClient) -> str:
    return (await client.get("https://prices.example/")).text


async def is_up() -> bool:
    # no retry: a health check that says no
    try:
        async with maker() as db:
            await db.execute(text("select 1"))
    except OperationalError:
        return False
    return True


async def take_by_hand(key: int) -> None:
    for _ in range(3):
        try:
            async with maker.begin() as db:
                await db.execute(text("update items set quantity = quantity - 1 where id = :key"), {"key": key})
            return
        except OperationalError:
            await asyncio.sleep(0.1)
        except DBAPIError:
            await asyncio.sleep(0.2)
""",
    """
# --- app/psycopg_stock.py ---
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from tenacity import retry, retry_if_exception_type, stop_after_attempt

maker = async_sessionmaker(create_async_engine("postgresql+psycopg://app@db/app"), expire_on_commit=False)


@retry(retry=retry_if_exception_type(OperationalError), stop=stop_after_attempt(3))
async def take(key: int) -> None:
    async with maker.begin() as db:
        await db.execute(text("update items set quantity = quantity - 1 where id = :key"), {"key": key})
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    retries = Retries(analysis.infer)
    drivers: frozenset[str] | None = None
    for function in analysis.functions:
        if not function.facts.is_async:
            continue
        decorating = retries.decorating(function)
        for found in (*([decorating] if decorating else []), *retries.loops(function)):
            if not _is_too_narrow(found) or not _uses_session(analysis, function):
                continue
            drivers = retries.drivers() if drivers is None else drivers
            if "asyncpg" in drivers and not drivers & {"psycopg", "psycopg_async"}:
                yield Draft(
                    function,
                    found.loc,
                    f"{found.how} retries on `OperationalError`, which asyncpg does not raise for a deadlock",
                    "decide by the SQLSTATE of a `DBAPIError`",
                    "deadlocks and serialization failures pass by",
                )


def _is_too_narrow(found: Retry) -> bool:
    names = {n.rpartition(".")[2] for n in found.exceptions if n.startswith(("sqlalchemy.", "builtins."))}
    return not found.opaque and bool(names & _TOO_NARROW) and not names & _WIDE


def _uses_session(analysis: Analysis, function: Function) -> bool:
    summary = analysis.result(function).summary
    return summary.opens or bool(summary.touches)
