"""A detached object is changed, or the argument of `merge()` instead of its result: the change is lost.

## What it does

Reports an attribute set on an object that no session watches any more, where the function means to save it:

- the object was handed to `merge()` whose result was thrown away: the session has a copy, the original stays detached;
- its session was closed, or it was expunged, and afterwards another session works in the same function.

## Why is this bad

Only objects in a session are saved. The assignment succeeds, the commit succeeds, and the row keeps its value. The
object in memory shows the new one.

## Instead

Go on with what `merge()` returns, or load the object in the session that saves it:

    product = await db.merge(product)
    product.name = "x"

## When it is silent

The result of `merge()` is used, the object is added to or merged into a session afterwards, nothing is set on it, or
no other session works in the function (a detached object that is only filled for display).

## Fix safety

Safe for `merge()`: `p = await db.merge(p)`. No fix for detached objects.

## Options

None.

## Symptom at run time

No error; the row keeps its old value.

## References

- https://docs.sqlalchemy.org/en/20/orm/session_state_management.html#merging
- https://docs.sqlalchemy.org/en/20/orm/session_state_management.html#quickie-intro-to-object-states
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


class Product(Base):
    __tablename__ = "products"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]

# --- app/service.py ---
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from app.models import Product

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


async def rename(db: AsyncSession, product: Product, name: str) -> None:
    await db.merge(product)
    product.name = name  # SES310
    await db.commit()


async def rename_in_steps(product_id: int, name: str) -> None:
    async with maker() as db:
        product = await db.get_one(Product, product_id)
    async with maker() as db:
        product.name = name  # SES310
        await db.commit()
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
    name: Mapped[str]

# --- app/service.py ---
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from app.models import Product

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


async def result_used(db: AsyncSession, product: Product, name: str) -> None:
    product = await db.merge(product)
    product.name = name
    await db.commit()


async def set_before(db: AsyncSession, product: Product, name: str) -> None:
    product.name = name
    await db.merge(product)
    await db.commit()


async def loaded_again(product_id: int, name: str) -> None:
    async with maker() as db:
        product = await db.get_one(Product, product_id)
    async with maker() as db:
        product = await db.get_one(Product, product.id)
        product.name = name
        await db.commit()


async def added_again(product_id: int, name: str) -> None:
    async with maker() as db:
        product = await db.get_one(Product, product_id)
    async with maker() as db:
        db.add(product)
        product.name = name
        await db.commit()


async def merged_later(product_id: int, name: str) -> None:
    async with maker() as db:
        product = await db.get_one(Product, product_id)
    product.name = name
    async with maker() as db:
        await db.merge(product)
        await db.commit()


async def for_display(product_id: int) -> Product:
    async with maker() as db:
        product = await db.get_one(Product, product_id)
    product.name = product.name.title()
    return product
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    told = set()
    for function, seen in analysis.observations(EntitySet):
        held = seen.holder
        since = held.merged or (held.detached if seen.elsewhere else None)
        model = analysis.tables.model(held.model)
        if since is None or (function.key, seen.loc) in told:
            continue
        if seen.attribute not in model.columns and seen.attribute not in model.relationships:
            continue
        told.add((function.key, seen.loc))
        name = held.model.name
        if held.merged is not None:
            message = f"this `{name}` is not the one in the session: `merge()` returned the one that is"
            text, advice = "the result of merge() is thrown away", "use what merge() returns from here on"
        else:
            message = f"this `{name}` belongs to no session any more: the change is lost"
            text, advice = (
                "its session ends here",
                "load the object in the session that is to save it, or merge it there",
            )
        yield Draft(function, seen.loc, message, advice, "saved by nobody", (step(function.module.path, since, text),))
