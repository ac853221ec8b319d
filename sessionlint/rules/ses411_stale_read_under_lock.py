"""A row is read again under a lock, but the session returns the object with the values it read before the lock.

## What it does

Reports a change that is computed from an object which was read before the function waited for a lock and selected
again inside it, through the same session. The lock may be a `with` block over a lock object, or `with_for_update()`.

## Why is this bad

A session keeps one object per row. A second SELECT finds the object in the identity map and leaves its attributes as
they are, although the database sent newer ones. So the guarded code works on values from before the lock: five
increments under a lock give two.

## Instead

Open the session inside the lock, or ask for the new values:

    async with lock:
        item = await db.scalar(query.execution_options(populate_existing=True))

`await db.refresh(item)` and `db.expire_all()` do the same.

## When it is silent

`populate_existing`, `refresh` or `expire` is used, the first read is the only one, the first read itself locks the row,
or the two reads select different rows.

## Fix safety

Safe: adds `execution_options(populate_existing=True)` to the second read.

## Options

None.

## Symptom at run time

No error; updates are lost under load.

## References

- https://docs.sqlalchemy.org/en/20/orm/queryguide/api.html#populate-existing
- https://github.com/sqlalchemy/sqlalchemy/issues/4774
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.object_observations import EntitySet
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, step

SEVERITY = Severity.ERROR
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
    left: Mapped[int] = mapped_column(default=0)

# --- app/service.py ---
import asyncio

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Item

lock = asyncio.Lock()


async def take(db: AsyncSession, item_id: int) -> None:
    item = await db.scalar(select(Item).where(Item.id == item_id))
    if item is None:
        return
    async with lock:
        item = await db.scalar(select(Item).where(Item.id == item_id))
        item.left -= 1  # SES411
        await db.commit()


async def take_locked(db: AsyncSession, item_id: int) -> None:
    seen = await db.scalar(select(Item).where(Item.id == item_id))
    if seen.left == 0:
        return
    item = await db.scalar(select(Item).where(Item.id == item_id).with_for_update())
    item.left = item.left - 1  # SES411
    await db.commit()
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
    left: Mapped[int] = mapped_column(default=0)

# --- app/service.py ---
import asyncio

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from app.models import Item

lock = asyncio.Lock()
maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"))


async def session_inside(item_id: int) -> None:
    async with lock, maker.begin() as db:
        item = await db.scalar(select(Item).where(Item.id == item_id))
        item.left -= 1


async def populated(db: AsyncSession, item_id: int) -> None:
    query = select(Item).where(Item.id == item_id)
    item = await db.scalar(query)
    async with lock:
        item = await db.scalar(query.execution_options(populate_existing=True))
        item.left -= 1
        await db.commit()


async def refreshed(db: AsyncSession, item_id: int) -> None:
    item = await db.scalar(select(Item).where(Item.id == item_id))
    async with lock:
        item = await db.scalar(select(Item).where(Item.id == item_id))
        await db.refresh(item)
        item.left -= 1
        await db.commit()


async def another_row(db: AsyncSession, item_id: int, other_id: int) -> None:
    item = await db.scalar(select(Item).where(Item.id == item_id))
    async with lock:
        other = await db.scalar(select(Item).where(Item.id == other_id))
        other.left -= item.left
        await db.commit()


async def locked_at_once(db: AsyncSession, item_id: int) -> None:
    item = await db.scalar(select(Item).where(Item.id == item_id).with_for_update())
    item.left -= 1
    await db.commit()


async def a_fixed_value(db: AsyncSession, item_id: int) -> None:
    item = await db.scalar(select(Item).where(Item.id == item_id))
    async with lock:
        item = await db.scalar(select(Item).where(Item.id == item_id))
        item.left = 0
        await db.commit()
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    told = set()
    for function, seen in analysis.observations(EntitySet):
        held = seen.holder
        if held.stale is None or not seen.grown or (function.key, seen.loc) in told:
            continue
        told.add((function.key, seen.loc))
        yield Draft(
            function,
            seen.loc,
            f"`{held.model.name}.{seen.attribute}` is computed from the value read before the lock: "
            "a second SELECT does not refresh an object the session already has",
            "open the session inside the lock, or read with execution_options(populate_existing=True)",
            "works on old values",
            (
                step(function.module.path, held.stale, f"the `{held.model.name}` is read before the lock"),
                step(function.module.path, held.loc, "read again under the lock: the same object, not refreshed"),
            ),
        )
