"""A column that the database computes on UPDATE is read after the update: in async code that read fails.

## What it does

Reports a column with `onupdate=func.now()` (or another SQL expression, or `server_onupdate`) of a model without
`eager_defaults`, where the project updates such an object through an `AsyncSession`, flushes or commits, and then reads
the column, or returns or serialises the object. The finding stands at the column; the trace shows the read.

## Why is this bad

After an UPDATE, SQLAlchemy does not know what the database computed, so it expires the attribute and loads it when it
is next read. In async code that implicit query is not allowed: `MissingGreenlet`, although the session was made with
`expire_on_commit=False`. Inserts work (they fetch the value), so tests that only create objects do not show it.

## Instead

Let SQLAlchemy fetch the values with the UPDATE, on the base class for all models:

    __mapper_args__ = {"eager_defaults": True}

or refresh the object (`await db.refresh(doc, ["updated_at"])`), or compute the value in Python
(`onupdate=lambda: datetime.now(UTC)`).

## When it is silent

The value is computed by a Python callable, `eager_defaults` is True, the object is refreshed before it is read, the
column is never read after an update, or the session is not async.

## Fix safety

Unsafe: adds `eager_defaults` to the model. Every UPDATE then fetches these columns.

## Options

None.

## Symptom at run time

`sqlalchemy.exc.MissingGreenlet: greenlet_spawn has not been called; can't call await_only() here`.

## References

- https://docs.sqlalchemy.org/en/20/orm/persistence_techniques.html#fetching-server-generated-defaults
- https://docs.sqlalchemy.org/en/20/orm/extensions/asyncio.html#preventing-implicit-io-when-using-asyncsession
- https://github.com/google/adk-python/issues/5761
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.object_observations import EntityPassed, EntityRead
from sessionlint.effects.objects import Held
from sessionlint.findings import Severity
from sessionlint.project.mapping import Column
from sessionlint.project.symbols import Function
from sessionlint.rules.base import Draft, step

SEVERITY = Severity.WARNING
DEFAULT = True

BAD = (
    """
# --- app/models.py ---
from datetime import datetime

from sqlalchemy import DateTime, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Timestamps:
    created_at: Mapped[datetime] = mapped_column(DateTime, server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(DateTime, server_default=func.now(), onupdate=func.now())  # SES407


class Doc(Timestamps, Base):
    __tablename__ = "docs"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(default="")

# --- app/service.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Doc


async def rename(db: AsyncSession, doc_id: int, name: str) -> str:
    doc = await db.get_one(Doc, doc_id)
    doc.name = name
    await db.commit()
    return doc.updated_at.isoformat()
""",
)

GOOD = (
    """
# --- app/models.py ---
from datetime import UTC, datetime

from sqlalchemy import DateTime, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    __mapper_args__ = {"eager_defaults": True}


class Doc(Base):
    __tablename__ = "docs"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(default="")
    updated_at: Mapped[datetime] = mapped_column(DateTime, server_default=func.now(), onupdate=func.now())

# --- app/service.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Doc


async def rename(db: AsyncSession, doc_id: int, name: str) -> str:
    doc = await db.get_one(Doc, doc_id)
    doc.name = name
    await db.commit()
    return doc.updated_at.isoformat()
""",
    """
# --- app/models.py ---
from datetime import UTC, datetime

from sqlalchemy import DateTime, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Doc(Base):
    __tablename__ = "docs"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(default="")
    touched_at: Mapped[datetime] = mapped_column(DateTime, onupdate=lambda: datetime.now(UTC))
    updated_at: Mapped[datetime] = mapped_column(DateTime, server_default=func.now(), onupdate=func.now())

# --- app/service.py ---
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from app.models import Doc


async def refreshed(db: AsyncSession, doc_id: int, name: str) -> str:
    doc = await db.get_one(Doc, doc_id)
    doc.name = name
    await db.commit()
    await db.refresh(doc)
    return doc.updated_at.isoformat()


async def other_columns(db: AsyncSession, doc_id: int, name: str) -> str:
    doc = await db.get_one(Doc, doc_id)
    doc.name = name
    await db.commit()
    return doc.name + doc.touched_at.isoformat()


async def only_read(db: AsyncSession, doc_id: int) -> str:
    doc = await db.get_one(Doc, doc_id)
    await db.commit()
    return doc.updated_at.isoformat()


def in_sync_code(db: Session, doc_id: int, name: str) -> str:
    doc = db.get_one(Doc, doc_id)
    doc.name = name
    db.commit()
    return doc.updated_at.isoformat()
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    told = set()
    for function, read in analysis.observations(EntityRead):
        column = analysis.tables.model(read.holder.model).columns.get(read.attribute)
        if column is not None and _unfetched(analysis, read.holder, column) and (column.path, column.loc) not in told:
            told.add((column.path, column.loc))
            yield _draft(analysis, function, read, column, f"`{read.attribute}` is read")
    for function, passed in analysis.observations(EntityPassed):
        if analysis.entries.kind(function) != "route":
            continue
        for column in analysis.tables.model(passed.holder.model).columns.values():
            if _unfetched(analysis, passed.holder, column) and (column.path, column.loc) not in told:
                told.add((column.path, column.loc))
                yield _draft(analysis, function, passed, column, "the object is serialised")


def _unfetched(analysis: Analysis, held: Held, column: Column) -> bool:
    """Whether the value of a column is left for a later query after this object was updated."""
    model = analysis.tables.model(held.model)
    assigned = any(name == column.attribute for name, _ in held.given)
    return (
        column.onupdate == "server"
        and held.updated is not None
        and held.is_async
        and not model.eager_defaults
        and not assigned
    )


def _draft(analysis: Analysis, function: Function, seen: EntityRead | EntityPassed, column: Column, what: str) -> Draft:
    held = seen.holder
    assert held.updated is not None
    return Draft(
        analysis.table.modules[column.path],
        column.loc,
        f"`{held.model.name}.{column.attribute}` is computed by the database on UPDATE and read afterwards in async code",
        "set eager_defaults=True in __mapper_args__, refresh the object, or compute the value in Python",
        "expired by every UPDATE",
        (
            step(function.module.path, held.updated, f"a `{held.model.name}` is changed"),
            step(function.module.path, seen.loc, f"after the flush {what}"),
        ),
    )
