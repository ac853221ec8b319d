"""An object of one open session is added to another one.

## What it does

Reports `add` (or a save through a callee) of an object that was loaded from, or added to, another session which is
still open.

## Why is this bad

An object belongs to one session. The second `add` raises; where it happens in a rarely run branch, it is found late.

## Instead

Hand the id over, or take a copy into the second session:

    copy = await second.merge(product)

## When it is silent

The first session is closed, the object was expunged from it, or which session an object belongs to is not known. Off by
default: two names for one session cannot always be told from two sessions.

## Fix safety

No fix.

## Options

None.

## Symptom at run time

`sqlalchemy.exc.InvalidRequestError: Object '<Product ...>' is already attached to session '1' (this is '2')`.

## References

- https://docs.sqlalchemy.org/en/20/orm/session_state_management.html#merging
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.object_observations import AddedElsewhere
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, step

SEVERITY = Severity.ERROR
DEFAULT = False

BAD = (
    """
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Product(Base):
    __tablename__ = "products"
    id: Mapped[int] = mapped_column(primary_key=True)

# --- app/service.py ---
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from app.models import Product

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"))


async def move(product_id: int) -> None:
    async with maker() as first, maker() as second:
        product = await first.get_one(Product, product_id)
        second.add(product)  # SES316
        await second.commit()
""",
)

GOOD = (
    """
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Product(Base):
    __tablename__ = "products"
    id: Mapped[int] = mapped_column(primary_key=True)

# --- app/service.py ---
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from app.models import Product

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"))


async def closed_before(product_id: int) -> None:
    async with maker() as first:
        product = await first.get_one(Product, product_id)
    async with maker() as second:
        second.add(product)
        await second.commit()


async def expunged(product_id: int) -> None:
    async with maker() as first, maker() as second:
        product = await first.get_one(Product, product_id)
        first.expunge(product)
        second.add(product)
        await second.commit()


async def merged(product_id: int) -> None:
    async with maker() as first, maker() as second:
        product = await first.get_one(Product, product_id)
        await second.merge(product)
        await second.commit()


async def the_same_session(db: AsyncSession, product_id: int) -> None:
    product = await db.get_one(Product, product_id)
    db.add(product)
    await db.commit()
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    told = set()
    for function, seen in analysis.observations(AddedElsewhere):
        if seen.holder.made == "returned" or (function.key, seen.loc) in told:
            continue
        told.add((function.key, seen.loc))
        yield Draft(
            function,
            seen.loc,
            f"this `{seen.holder.model.name}` belongs to another open session: adding it here raises",
            "hand its id over, or use merge()",
            "already attached",
            (step(function.module.path, seen.holder.loc, f"the `{seen.holder.model.name}` comes from here"),),
        )
