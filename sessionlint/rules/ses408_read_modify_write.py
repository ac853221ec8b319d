"""A new value is computed in Python from a value that was read without a lock: concurrent updates are lost.

## What it does

Reports `item.qty += 1`, and `item.qty = item.qty + 1`, on an object loaded in the same function without a row lock.

## Why is this bad

Under READ COMMITTED two transactions read 5, both write 6, and one increment is gone. Nobody gets an error. Five
increments at once give one.

## Instead

Let the database add, lock the row, or version it:

    await db.execute(update(Item).where(Item.id == item_id).values(qty=Item.qty + 1))

    item = await db.get(Item, item_id, with_for_update=True)
    item.qty += 1

    __mapper_args__ = {"version_id_col": version}   # the second writer gets StaleDataError

Assigning an expression (`item.qty = Item.qty + 1`) also leaves the sum to the database.

## When it is silent

The row is read with `with_for_update`, the model has a `version_id_col`, the change stands inside a lock or the
function takes an advisory lock, or the value is a SQL expression. Off by default: whether a second writer exists
cannot be seen in the code.

## Fix safety

No fix: which of the ways fits is a design question.

## Options

None.

## Symptom at run time

No error; counters and balances come out too low.

## References

- https://docs.sqlalchemy.org/en/20/orm/versioning.html
- https://www.postgresql.org/docs/current/transaction-iso.html#XACT-READ-COMMITTED
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.object_observations import EntitySet
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, step

SEVERITY = Severity.WARNING
DEFAULT = False
YIELDS_TO = ("SES411",)

BAD = (
    """
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    qty: Mapped[int] = mapped_column(default=0)

# --- app/service.py ---
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Item


async def receive(db: AsyncSession, item_id: int, count: int) -> None:
    item = (await db.scalars(select(Item).where(Item.id == item_id))).one()
    item.qty += count  # SES408
    await db.commit()


async def send(db: AsyncSession, item_id: int, count: int) -> None:
    item = await db.get_one(Item, item_id)
    item.qty = item.qty - count  # SES408
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
    qty: Mapped[int] = mapped_column(default=0)


class Account(Base):
    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[int] = mapped_column(default=0)
    version: Mapped[int] = mapped_column(default=1)
    __mapper_args__ = {"version_id_col": version}

# --- app/service.py ---
import asyncio

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Account, Item

lock = asyncio.Lock()


async def by_statement(db: AsyncSession, item_id: int) -> None:
    await db.execute(update(Item).where(Item.id == item_id).values(qty=Item.qty + 1))
    await db.commit()


async def by_expression(db: AsyncSession, item_id: int) -> None:
    item = await db.get_one(Item, item_id)
    item.qty = Item.qty + 1
    await db.commit()


async def row_locked(db: AsyncSession, item_id: int) -> None:
    item = (await db.scalars(select(Item).where(Item.id == item_id).with_for_update())).one()
    item.qty += 1
    other = await db.get(Item, item_id + 1, with_for_update=True)
    other.qty -= 1
    await db.commit()


async def versioned(db: AsyncSession, account_id: int) -> None:
    account = await db.get_one(Account, account_id)
    account.balance += 1
    await db.commit()


async def under_a_lock(db: AsyncSession, item_id: int) -> None:
    async with lock:
        item = await db.get_one(Item, item_id)
        item.qty += 1
        await db.commit()


async def new_object(db: AsyncSession) -> None:
    item = Item(qty=1)
    item.qty += 1
    db.add(item)
    await db.commit()
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    told = set()
    for function, seen in analysis.observations(EntitySet):
        held = seen.holder
        if not seen.grown or seen.guarded or held.locked or held.made != "loaded" or held.detached is not None:
            continue
        model = analysis.tables.model(held.model)
        column = model.columns.get(seen.attribute)
        if column is None or model.versioned or (function.key, seen.loc) in told:
            continue
        told.add((function.key, seen.loc))
        yield Draft(
            function,
            seen.loc,
            f"`{held.model.name}.{seen.attribute}` is computed from a value read without a lock: "
            "a concurrent update is lost",
            "compute it in the database (update().values(...)), read with with_for_update(), or add a version_id_col",
            "read, then written",
            (step(function.module.path, held.loc, f"the `{held.model.name}` is read without a lock"),),
        )
