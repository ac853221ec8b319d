"""A JSON value is changed in place: SQLAlchemy does not notice, and the UPDATE is never emitted.

## What it does

Reports a change inside the value of a plain `JSON`, `JSONB`, `ARRAY`, `PickleType` or `HSTORE` attribute of an object
that is in the database: an item is set or deleted, or `update`, `append`, `setdefault`, `pop` and the like are called
on it, also through a local name for the value. Setting the attribute to the very same object again does not help,
because old and new value compare equal.

## Why is this bad

SQLAlchemy compares attributes by assignment. A change inside the value leaves the attribute as it was loaded, so the
commit succeeds and the row keeps the old value.

## Instead

Assign a new object, declare the column mutable, or say that it was changed:

    doc.data = {**doc.data, "k": 2}

    data: Mapped[dict] = mapped_column(MutableDict.as_mutable(JSON))

    doc.data["k"] = 2
    flag_modified(doc, "data")

`MutableDict` sees changes of its own items only, not of dicts inside it.

## When it is silent

The column is mutable, the function calls `flag_modified` for it, the attribute is set to a new object before (on this
path) or after, or the object is new and not yet flushed.

## Fix safety

No fix: whether to copy, to flag or to declare the column mutable is a matter of taste and cost.

## Options

None.

## Symptom at run time

No error; the row keeps its old value.

## References

- https://docs.sqlalchemy.org/en/20/orm/extensions/mutable.html
- https://docs.sqlalchemy.org/en/20/core/type_basics.html#sqlalchemy.types.JSON
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.object_observations import MutatedInPlace
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, step

SEVERITY = Severity.ERROR
DEFAULT = True

BAD = (
    """
# --- app/models.py ---
from sqlalchemy import JSON
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy import String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Doc(Base):
    __tablename__ = "docs"
    id: Mapped[int] = mapped_column(primary_key=True)
    data: Mapped[dict] = mapped_column(JSON)
    settings: Mapped[dict | None] = mapped_column(JSONB, default=dict)
    tags: Mapped[list[str]] = mapped_column(ARRAY(String))

# --- app/service.py ---
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Doc


async def rename(db: AsyncSession, doc_id: int, title: str) -> None:
    doc = await db.get_one(Doc, doc_id)
    doc.data["title"] = title  # SES313
    await db.commit()


async def tag_all(db: AsyncSession, tag: str) -> None:
    for doc in (await db.scalars(select(Doc))).all():
        doc.tags.append(tag)  # SES313
    await db.commit()


async def same_object_again(db: AsyncSession, doc_id: int) -> None:
    doc = await db.get_one(Doc, doc_id)
    settings = doc.settings
    settings["dark"] = True  # SES313
    doc.settings = settings
    await db.commit()


async def forget(db: AsyncSession, doc_id: int) -> None:
    doc = await db.get_one(Doc, doc_id)
    del doc.data["title"]  # SES313
    doc.settings.update(dark=False)  # SES313
    await db.commit()
""",
)

GOOD = (
    """
# --- app/models.py ---
from sqlalchemy import JSON, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.mutable import MutableDict, MutableList
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

MutableJson = MutableDict.as_mutable(JSON)


class Base(DeclarativeBase):
    pass


class Doc(Base):
    __tablename__ = "docs"
    id: Mapped[int] = mapped_column(primary_key=True)
    data: Mapped[dict] = mapped_column(MutableDict.as_mutable(JSONB))
    extra: Mapped[dict] = mapped_column(MutableJson)
    log: Mapped[list] = mapped_column(MutableList.as_mutable(JSON))
    plain: Mapped[dict] = mapped_column(JSON)
    parts: Mapped[list["Part"]] = relationship()


class Part(Base):
    __tablename__ = "parts"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String)

# --- app/service.py ---
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import flag_modified

from app.models import Doc, Part


async def mutable(db: AsyncSession, doc_id: int) -> None:
    doc = await db.get_one(Doc, doc_id)
    doc.data["k"] = 1
    doc.extra["k"] = 1
    doc.log.append("changed")
    doc.parts.append(Part(name="p"))
    await db.commit()


async def flagged(db: AsyncSession, doc_id: int) -> None:
    doc = await db.get_one(Doc, doc_id)
    doc.plain["k"] = 1
    flag_modified(doc, "plain")
    await db.commit()


async def assigned(db: AsyncSession, doc_id: int) -> None:
    doc = await db.get_one(Doc, doc_id)
    doc.plain = {**doc.plain, "k": 1}
    copied = dict(doc.plain)
    copied["k"] = 2
    doc.plain = copied
    await db.commit()


async def fresh_before(db: AsyncSession, doc_id: int) -> None:
    doc = await db.get_one(Doc, doc_id)
    doc.plain = dict(doc.plain)
    doc.plain["k"] = 1
    await db.commit()


async def copied_after(db: AsyncSession, doc_id: int) -> None:
    doc = await db.get_one(Doc, doc_id)
    doc.plain["k"] = 1
    doc.plain = dict(doc.plain)
    await db.commit()


async def new(db: AsyncSession) -> None:
    doc = Doc(plain={})
    doc.plain["k"] = 1
    db.add(doc)
    await db.commit()
""",
)

#: types whose values are mutable Python objects
_PLAIN = frozenset({"JSON", "JSONB", "JSONType", "ARRAY", "PickleType", "HSTORE"})


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    told = set()
    for function, seen in analysis.observations(MutatedInPlace):
        column = analysis.tables.model(seen.holder.model).columns.get(seen.attribute)
        if column is None or column.mutable or column.type not in _PLAIN or (function.key, seen.loc) in told:
            continue
        told.add((function.key, seen.loc))
        yield Draft(
            function,
            seen.loc,
            f"`{seen.text}` is changed in place, which SQLAlchemy does not notice: `{seen.holder.model.name}."
            f"{seen.attribute}` is a plain {column.type} column",
            f"assign a new object, or call flag_modified(obj, '{seen.attribute}'), or make the column mutable",
            "no UPDATE is emitted",
            (step(column.path, column.loc, f"`{seen.attribute}` is declared as plain {column.type}"),),
        )
