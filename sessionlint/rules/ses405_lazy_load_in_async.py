"""A relationship that was not loaded is read in async code: the implicit query fails.

## What it does

Reports the read of a relationship of an object that this function loaded through an async session with a query that
says nothing about loading, where the relationship is lazy.

## Why is this bad

A lazy relationship runs a query when it is first read. In async code that implicit query raises `MissingGreenlet`;
after the session is closed it raises `DetachedInstanceError`.

## Instead

Load it with the query, or await it:

    select(Parent).options(selectinload(Parent.children))

    children = await parent.awaitable_attrs.children     # AsyncAttrs

## When it is silent

The query has options, the relationship is eager (`lazy="selectin"`, `"joined"`, ...) or raises by itself
(`lazy="raise"`), the attribute was set or refreshed on this path, or the object comes from another function. Off by
default: an object may be in the identity map with its relationship loaded.

## Fix safety

No fix.

## Options

None.

## Symptom at run time

`sqlalchemy.exc.MissingGreenlet: greenlet_spawn has not been called; can't call await_only() here`.

## References

- https://docs.sqlalchemy.org/en/20/orm/extensions/asyncio.html#preventing-implicit-io-when-using-asyncsession
- https://sqlalche.me/e/20/xd2s
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.object_observations import EntityRead
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, step

SEVERITY = Severity.WARNING
DEFAULT = False
YIELDS_TO = ("SES406",)

BAD = (
    """
# --- app/models.py ---
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Parent(Base):
    __tablename__ = "parents"
    id: Mapped[int] = mapped_column(primary_key=True)
    children: Mapped[list["Child"]] = relationship(back_populates="parent")


class Child(Base):
    __tablename__ = "children"
    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int] = mapped_column(ForeignKey("parents.id"))
    parent: Mapped[Parent] = relationship(back_populates="children")

# --- app/service.py ---
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Parent


async def count(db: AsyncSession, parent_id: int) -> int:
    parent = (await db.scalars(select(Parent).where(Parent.id == parent_id))).one()
    return len(parent.children)  # SES405
""",
)

GOOD = (
    """
# --- app/models.py ---
from sqlalchemy import ForeignKey
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(AsyncAttrs, DeclarativeBase):
    pass


class Parent(Base):
    __tablename__ = "parents"
    id: Mapped[int] = mapped_column(primary_key=True)
    children: Mapped[list["Child"]] = relationship(back_populates="parent")
    notes: Mapped[list["Note"]] = relationship(lazy="selectin")


class Child(Base):
    __tablename__ = "children"
    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int] = mapped_column(ForeignKey("parents.id"))
    parent: Mapped[Parent] = relationship(back_populates="children")


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int] = mapped_column(ForeignKey("parents.id"))

# --- app/service.py ---
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, selectinload

from app.models import Parent


async def with_options(db: AsyncSession, parent_id: int) -> int:
    query = select(Parent).where(Parent.id == parent_id).options(selectinload(Parent.children))
    parent = (await db.scalars(query)).one()
    return len(parent.children)


async def eager(db: AsyncSession, parent_id: int) -> int:
    parent = await db.get_one(Parent, parent_id)
    return len(parent.notes) + parent.id


async def awaited(db: AsyncSession, parent_id: int) -> int:
    parent = await db.get_one(Parent, parent_id)
    return len(await parent.awaitable_attrs.children)


async def refreshed(db: AsyncSession, parent_id: int) -> int:
    parent = await db.get_one(Parent, parent_id)
    await db.refresh(parent, ["children"])
    return len(parent.children)


def in_sync_code(db: Session, parent_id: int) -> int:
    parent = db.get_one(Parent, parent_id)
    return len(parent.children)
""",
)

#: loading styles that wait until the attribute is read
_LAZY = frozenset({"", "select", "True"})


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    told = set()
    for function, read in analysis.observations(EntityRead):
        held = read.holder
        if not held.is_async or held.eager or held.made != "loaded" or held.locked:
            continue
        relationship = analysis.tables.model(held.model).relationships.get(read.attribute)
        if relationship is None or relationship.lazy not in _LAZY or (function.key, read.loc) in told:
            continue
        if any(name == read.attribute for name, _ in held.given):
            continue
        told.add((function.key, read.loc))
        yield Draft(
            function,
            read.loc,
            f"`{held.model.name}.{read.attribute}` is not loaded: reading it in async code fails",
            f"load it with the query: .options(selectinload({held.model.name}.{read.attribute}))",
            "needs a query that async code may not run implicitly",
            (
                step(function.module.path, held.loc, f"the `{held.model.name}` is loaded without it"),
                step(relationship.path, relationship.loc, f"`{read.attribute}` is lazy"),
            ),
        )
