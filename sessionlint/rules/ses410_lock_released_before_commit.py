"""A lock is let go before what was changed under it is committed: the next one reads the old row.

## What it does

Reports an in-process lock (`asyncio.Lock`, `threading.Lock`, what is called a lock) whose block reads from the database
and writes to it, and ends while the writes are not committed. The commit may stand after the block, or be the caller's.

## Why is this bad

The lock is there so that nobody else reads between this read and this write becoming visible. What others see changes
at the commit, so between the end of the block and the commit they take the lock, read the old value, and overwrite.
With five tasks that each add one, the result is 1.

## Instead

    async with lock:
        item = await db.get(Item, key, populate_existing=True)
        item.quantity += 1
        await db.commit()

or open the session inside the lock, or lock the row instead (`with_for_update()`), which holds until the commit.

## When it is silent

The block commits, or opens and closes the session inside; it only reads, or only writes; its rows are locked with
`with_for_update()`; the lock is one of the database (`pg_advisory_xact_lock`, anything that is handed the session).

## Fix safety

No fix: moving the commit changes what is one transaction.

## Options

None.

## Symptom at run time

No error. Lost updates under load: five increments under the lock give 1.

## References

- https://www.postgresql.org/docs/current/transaction-iso.html#XACT-READ-COMMITTED
- https://docs.sqlalchemy.org/en/20/orm/queryguide/api.html#populate-existing
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import LockReleased
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, described, spelled, write_steps

SEVERITY = Severity.WARNING
DEFAULT = True

BAD = (
    """
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    quantity: Mapped[int]

# --- app/stock.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Item


class Stock:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def take(self, key: int) -> None:
        item = await self._db.get_one(Item, key)
        item.quantity -= 1
        await self._db.flush()

# --- app/counting.py ---
import asyncio
from collections import defaultdict

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from app.models import Item
from app.stock import Stock

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)
lock = asyncio.Lock()
_locks: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)


async def count(key: int) -> None:
    async with maker() as db:
        async with lock:  # SES410
            item = await db.get_one(Item, key)
            item.quantity += 1
        await db.commit()


async def take(db: AsyncSession, key: int) -> None:
    async with _locks[key]:  # SES410
        await Stock(db).take(key)
""",
)

GOOD = (
    """
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    quantity: Mapped[int]

# --- app/counting.py ---
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from app.models import Item

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)
lock = asyncio.Lock()
_cache: dict[int, int] = {}


async def count(key: int) -> None:
    async with maker() as db:
        async with lock:
            item = await db.get_one(Item, key)
            item.quantity += 1
            await db.commit()


async def count_in_own_session(key: int) -> None:
    async with lock, maker.begin() as db:
        item = await db.get_one(Item, key)
        item.quantity += 1


async def count_by_row(db: AsyncSession, key: int) -> None:
    async with lock:
        item = (await db.scalars(select(Item).where(Item.id == key).with_for_update())).one()
        item.quantity += 1
    await db.commit()


async def cached(db: AsyncSession, key: int) -> int:
    # reads only; the lock is the cache's
    async with lock:
        if key not in _cache:
            _cache[key] = (await db.get_one(Item, key)).quantity
        return _cache[key]


async def record(db: AsyncSession, key: int) -> None:
    # the lock is the cache's; what is written does not depend on what was read under it
    async with lock:
        _cache[key] = 0
        db.add(Item(id=key, quantity=0))
    await db.commit()


@asynccontextmanager
async def advisory_lock(db: AsyncSession, key: int) -> AsyncIterator[None]:
    await db.execute(text("select pg_advisory_xact_lock(:key)"), {"key": key})
    yield


async def count_in_database(db: AsyncSession, key: int) -> None:
    async with advisory_lock(db, key):
        item = await db.get_one(Item, key)
        item.quantity += 1
    await db.commit()


class Clock:
    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *exc: object) -> None: ...


async def timed(db: AsyncSession, key: int, clock: Clock) -> None:
    async with clock:
        item = await db.get_one(Item, key)
        item.quantity += 1
    await db.commit()
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function, seen in analysis.observations(LockReleased):
        write = seen.writes[-1]
        yield Draft(
            function,
            seen.loc,
            f"`{seen.text}` is released while {described(write)} under it is not committed",
            f"commit `{spelled(seen.origin)}` inside the lock" if seen.origin.kind == "param" else "commit inside it",
            "the next holder reads the old row",
            write_steps(write),
        )
