"""One session is used by several tasks that run at the same time.

## What it does

Reports `asyncio.gather`, `asyncio.wait`, `TaskGroup.create_task`, `create_task` and `ensure_future` when two or more of
the tasks they start use the same session: passed as an argument, held by an object (`self._db`), or captured by a
closure. A comprehension or a loop counts as several tasks. The finding stands at the call that makes them concurrent.

## Why is this bad

A session is one conversation with one connection, and is not made to be shared by tasks. What happens depends on
timing: with a warm pool the driver may quietly run the statements one after the other, so it works on the developer's
machine and wins no time; with a cold pool, `pool_pre_ping`, or two flushes that meet, it raises, and the writes are
lost. When one task fails, the block closes the session under the others, and the error that is shown is not the one
that happened.

## Instead

Give every task a session of its own, bounded by a semaphore or the size of the pool:

    async def load(key):
        async with maker() as db:
            return await db.get(Item, key)

    await asyncio.gather(*[load(key) for key in keys])

or await one after the other: on one connection nothing runs in parallel anyway. Rows that must share a transaction
have to be written by one task.

## When it is silent

Only one of the tasks uses the session, the tasks are given the factory and not a session, or the calls are awaited one
after the other.

## Fix safety

No fix: separate sessions are separate transactions.

## Options

None.

## Symptom at run time

One of these, or nothing at all:

- `sqlalchemy.exc.InvalidRequestError: Session is already flushing`
- `sqlalchemy.exc.InvalidRequestError: This session is provisioning a new connection; concurrent operations are not
  permitted`
- `sqlalchemy.exc.IllegalStateChangeError: Method 'commit()' can't be called here; ...`
- `sqlalchemy.exc.InterfaceError: ... cannot perform operation: another operation is in progress`

## References

- https://docs.sqlalchemy.org/en/20/orm/extensions/asyncio.html#using-asyncsession-with-concurrent-tasks
- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#session-faq-threadsafe
- https://docs.sqlalchemy.org/en/20/errors.html#error-isce
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import Shared
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, spelled

SEVERITY = Severity.ERROR
DEFAULT = True

BAD = (
    """
# --- app/dashboard.py ---
import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


async def count_users(db: AsyncSession) -> int:
    return await db.scalar(text("select count(*) from users")) or 0


async def count_orders(db: AsyncSession) -> int:
    return await db.scalar(text("select count(*) from orders")) or 0


async def overview(db: AsyncSession) -> tuple[int, int]:
    return await asyncio.gather(count_users(db), count_orders(db))  # SES401


async def prices(db: AsyncSession, keys: list[int]) -> list[int]:
    async def one(key: int) -> int:
        return await db.scalar(text("select price from items where id = :k"), {"k": key}) or 0

    return await asyncio.gather(*[one(key) for key in keys])  # SES401
""",
    """
# --- app/measurements.py ---
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Measurement(Base):
    __tablename__ = "measurements"
    id: Mapped[int] = mapped_column(primary_key=True)
    sensor: Mapped[str]


class MeasurementRepository:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def insert(self, sensor: str) -> None:
        self._db.add(Measurement(sensor=sensor))
        await self._db.flush()

# --- app/collect.py ---
import asyncio

from app.measurements import MeasurementRepository, maker


async def collect(sensors: list[str]) -> None:
    async with maker.begin() as db:
        measurements = MeasurementRepository(db)
        async with asyncio.TaskGroup() as group:
            for sensor in sensors:
                group.create_task(measurements.insert(sensor))  # SES401
""",
)

GOOD = (
    '''
# --- app/dashboard.py ---
import asyncio

import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


async def count(db: AsyncSession, table: str) -> int:
    return await db.scalar(text(f"select count(*) from {table}")) or 0


async def count_alone(factory: async_sessionmaker[AsyncSession], table: str) -> int:
    async with factory() as db:
        return await count(db, table)


async def overview(tables: list[str]) -> list[int]:
    """A session per task; the semaphore keeps them below the size of the pool."""
    limit = asyncio.Semaphore(4)

    async def one(table: str) -> int:
        async with limit, maker() as db:
            return await count(db, table)

    return await asyncio.gather(*[one(table) for table in tables])


async def overview_by_factory(tables: list[str]) -> list[int]:
    """What the tasks share is the factory."""
    return await asyncio.gather(*[count_alone(maker, table) for table in tables])


async def overview_in_turn(db: AsyncSession, tables: list[str]) -> list[int]:
    return [await count(db, table) for table in tables]


async def overview_with_rates(db: AsyncSession, client: httpx.AsyncClient) -> tuple[int, int]:
    """Only one of the two uses the session."""
    orders, response = await asyncio.gather(count(db, "orders"), client.get("https://rates.example/today"))
    return orders, response.status_code


async def ping(client: httpx.AsyncClient, hosts: list[str]) -> list[httpx.Response]:
    """No session at all."""
    return await asyncio.gather(*[client.get(host) for host in hosts])
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function, seen in analysis.observations(Shared):
        if seen.origin.kind == "global":
            continue
        users = " and ".join(dict.fromkeys(f"`{u}`" for u in seen.users[:2]))
        whose = "one session" if seen.origin.kind == "local" else f"the session `{spelled(seen.origin)}`"
        yield Draft(
            function,
            seen.loc,
            f"{users} run concurrently on {whose}",
            "give every task a session of its own, or await them one after the other",
            "a session is not safe for concurrent tasks",
        )
