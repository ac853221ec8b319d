"""A child row is sent through one session while the parent it refers to waits, uncommitted, in another.

## What it does

Follows two sessions of one function (also those that callees are given). Reports the child's insert when it is flushed
through one session while the new row its foreign key refers to was added through another one and is not committed.

## Why is this bad

A flush is visible to its own transaction only. PostgreSQL answers with a foreign key violation at once; it does not
wait. SQLite answers `database is locked`, because the first session holds the write lock.

## Instead

Use one session for both, or commit the first before the second is flushed:

    first.add(Parent(id=key))
    await first.commit()
    second.add(Child(parent_id=key))
    await second.commit()

## When it is silent

The child refers to another row; the parent was committed; the key is deferrable; where the two values come from cannot
be told apart.

## Fix safety

No fix: which of the two transactions should end first is a design question.

## Options

None.

## Symptom at run time

`sqlalchemy.exc.IntegrityError: ... violates foreign key constraint` on PostgreSQL, `sqlalchemy.exc.OperationalError:
database is locked` on SQLite.

## References

- https://www.postgresql.org/docs/current/transaction-iso.html#XACT-READ-COMMITTED
- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#flushing
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.object_observations import FlushedAcross
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, spelled, step
from sessionlint.rules.linking import linked, pending_steps

SEVERITY = Severity.ERROR
DEFAULT = True

BAD = (
    """
# --- app/models.py ---
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Parent(Base):
    __tablename__ = "parents"
    id: Mapped[str] = mapped_column(primary_key=True)


class Child(Base):
    __tablename__ = "children"
    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[str] = mapped_column(ForeignKey("parents.id"))
    parent: Mapped[Parent] = relationship()

# --- app/service.py ---
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from app.models import Child, Parent

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"))


async def two_sessions(key: str) -> None:
    async with maker() as first, maker() as second:
        first.add(Parent(id=key))
        await first.flush()
        second.add(Child(parent_id=key))  # SES307
        await second.commit()
        await first.commit()


async def write_child(db: AsyncSession, key: str) -> None:
    db.add(Child(parent_id=key))
    await db.commit()


async def through_a_callee(db: AsyncSession, key: str) -> None:
    parent = Parent(id=key)
    db.add(parent)
    async with maker() as other:
        await write_child(other, parent.id)  # SES307
    await db.commit()
""",
)

GOOD = (
    """
# --- app/models.py ---
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Parent(Base):
    __tablename__ = "parents"
    id: Mapped[str] = mapped_column(primary_key=True)


class Child(Base):
    __tablename__ = "children"
    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[str] = mapped_column(ForeignKey("parents.id"))


class Audit(Base):
    __tablename__ = "audits"
    id: Mapped[int] = mapped_column(primary_key=True)
    about: Mapped[str]

# --- app/service.py ---
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from app.models import Audit, Child, Parent

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"))


async def committed_first(key: str) -> None:
    async with maker() as first, maker() as second:
        first.add(Parent(id=key))
        await first.commit()
        second.add(Child(parent_id=key))
        await second.commit()


async def of_another_parent(key: str, known: str) -> None:
    async with maker() as first, maker() as second:
        first.add(Parent(id=key))
        second.add(Child(parent_id=known))
        await second.commit()
        await first.commit()


async def unrelated(key: str) -> None:
    async with maker() as first, maker() as second:
        first.add(Parent(id=key))
        second.add(Audit(about=key))
        await second.commit()
        await first.commit()


async def one_session(db: AsyncSession, key: str) -> None:
    db.add(Parent(id=key))
    await db.flush()
    db.add(Child(parent_id=key))
    await db.commit()


async def rolled_back(key: str) -> None:
    async with maker() as first, maker() as second:
        first.add(Parent(id=key))
        await first.rollback()
        second.add(Child(parent_id=key))
        await second.commit()
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    told = set()
    for function, seen in analysis.observations(FlushedAcross):
        reference = linked(analysis.tables, seen.child, seen.parent)
        key = (function.key, seen.child.local)
        if reference is None or key in told:
            continue
        told.add(key)
        assert seen.child.model is not None and seen.parent.model is not None
        child, parent = seen.child.model.name, seen.parent.model.name
        yield Draft(
            function,
            seen.child.local,
            f"the `{child}` row refers to a `{parent}` row that another session has not committed",
            "commit the other session first, or write both through one session",
            f"cannot see the `{parent}` row",
            (
                *pending_steps(seen.parent, f"insert {parent} through `{spelled(seen.other)}`"),
                *pending_steps(seen.child),
                step(function.module.path, seen.loc, f"the `{child}` row is sent while `{parent}` is uncommitted"),
            ),
        )
