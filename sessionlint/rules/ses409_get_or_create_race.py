"""A row is looked up by a unique key and inserted if it is missing: two requests at once both insert it.

## What it does

Reports the `add` of a new object on the path where a look-up of the same model by a unique key (a unique column, a
unique constraint or index, or the primary key) found nothing, where nothing copes with a concurrent insert.

## Why is this bad

Between the look-up and the commit another transaction can insert the same key. The unique constraint then fails one of
the requests: of four at once, three fail. It happens exactly for the first use of a new key, when everybody comes.

## Instead

Let the database decide, or be ready for the conflict:

    await db.execute(insert(Tag).values(name=name).on_conflict_do_nothing())
    tag = await db.scalar(select(Tag).where(Tag.name == name))

    try:
        async with db.begin_nested():
            db.add(tag)
    except IntegrityError:
        tag = await db.scalar(select(Tag).where(Tag.name == name))

## When it is silent

The function catches the error or takes a lock (also an advisory one, or `with_for_update`), the look-up compares
anything but the columns of one unique key, or a caller of the function catches `IntegrityError`. Off by default:
whether two callers can come at once cannot be seen in the code (a seed script has one).

## Fix safety

No fix: which row wins is a decision.

## Options

None.

## Symptom at run time

`sqlalchemy.exc.IntegrityError: ... duplicate key value violates unique constraint`.

## References

- https://www.postgresql.org/docs/current/sql-insert.html#SQL-ON-CONFLICT
- https://docs.sqlalchemy.org/en/20/orm/session_transaction.html#using-savepoint
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.lookups import Lookups
from sessionlint.effects.object_observations import CreatedIfMissing
from sessionlint.findings import Severity
from sessionlint.project.mapping import Model
from sessionlint.project.symbols import Function
from sessionlint.rules.base import Draft, step

SEVERITY = Severity.WARNING
DEFAULT = False

BAD = (
    """
# --- app/models.py ---
from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Tag(Base):
    __tablename__ = "tags"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class Vote(Base):
    __tablename__ = "votes"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    tag_id: Mapped[int]
    __table_args__ = (UniqueConstraint("user_id", "tag_id"),)

# --- app/service.py ---
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Tag, Vote


async def tag_named(db: AsyncSession, name: str) -> Tag:
    tag = (await db.execute(select(Tag).where(Tag.name == name))).scalar_one_or_none()
    if tag is None:
        tag = Tag(name=name)
        db.add(tag)  # SES409
        await db.commit()
    return tag


async def vote(db: AsyncSession, user_id: int, tag_id: int) -> None:
    query = select(Vote).where(Vote.user_id == user_id, Vote.tag_id == tag_id)
    known = await db.scalar(query)
    if not known:
        db.add(Vote(user_id=user_id, tag_id=tag_id))  # SES409
""",
)

GOOD = (
    """
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Tag(Base):
    __tablename__ = "tags"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    colour: Mapped[str] = mapped_column(default="")

# --- app/service.py ---
import asyncio

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Tag

lock = asyncio.Lock()


async def by_conflict_clause(db: AsyncSession, name: str) -> Tag:
    await db.execute(insert(Tag).values(name=name).on_conflict_do_nothing())
    return (await db.scalars(select(Tag).where(Tag.name == name))).one()


async def ready_for_the_conflict(db: AsyncSession, name: str) -> Tag:
    tag = await db.scalar(select(Tag).where(Tag.name == name))
    if tag is None:
        try:
            async with db.begin_nested():
                tag = Tag(name=name)
                db.add(tag)
        except IntegrityError:
            tag = (await db.scalars(select(Tag).where(Tag.name == name))).one()
    return tag


async def under_a_lock(db: AsyncSession, name: str) -> None:
    async with lock:
        tag = await db.scalar(select(Tag).where(Tag.name == name))
        if tag is None:
            db.add(Tag(name=name))
            await db.commit()


async def advisory(db: AsyncSession, name: str) -> None:
    await db.execute(select(func.pg_advisory_xact_lock(7)))
    tag = await db.scalar(select(Tag).where(Tag.name == name))
    if tag is None:
        db.add(Tag(name=name))


async def not_unique(db: AsyncSession, colour: str) -> None:
    tag = await db.scalar(select(Tag).where(Tag.colour == colour))
    if tag is None:
        db.add(Tag(name="n", colour=colour))


async def must_exist(db: AsyncSession, name: str) -> None:
    tag = await db.scalar(select(Tag).where(Tag.name == name))
    if tag is not None:
        db.add(Tag(name=name + "2"))


async def create(db: AsyncSession, name: str) -> None:
    tag = await db.scalar(select(Tag).where(Tag.name == name))
    if tag is None:
        db.add(Tag(name=name))
        await db.flush()


async def create_quietly(db: AsyncSession, name: str) -> None:
    try:
        async with db.begin_nested():
            await create(db, name)
    except IntegrityError:
        pass
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    told = set()
    for function, seen in analysis.observations(CreatedIfMissing):
        key = _unique_key(analysis.tables.model(seen.model), seen.by)
        if seen.caught or key is None or (function.key, seen.loc) in told or _caught_above(analysis, function):
            continue
        told.add((function.key, seen.loc))
        columns = ", ".join(key)
        yield Draft(
            function,
            seen.loc,
            f"two requests at once both miss the `{seen.model.name}` and both insert it: `{columns}` is unique",
            "insert with on_conflict_do_nothing(), or add in begin_nested() and handle IntegrityError",
            "one of them fails",
            (step(function.module.path, seen.looked, f"looked up by `{columns}`, not found"),),
        )


def _unique_key(model: Model, by: tuple[str, ...]) -> tuple[str, ...] | None:
    """The unique key a look-up compares, and nothing else."""
    primary = tuple(c.attribute for c in model.primary_key)
    if by == ("*",):
        return primary or None
    keys: list[tuple[str, ...]] = [(c.attribute,) for c in model.columns.values() if c.unique]
    keys += [tuple(model.attribute_of(n) for n in unique) for unique in model.uniques]
    keys.append(primary)
    return next((k for k in keys if k and set(k) <= set(by)), None)


def _caught_above(analysis: Analysis, function: Function) -> bool:
    """Whether a direct caller is ready for the conflict."""
    callers = {caller.key: caller for caller, _, _ in analysis.callers.get(function.key, ())}
    return any(Lookups(caller).copes_with_conflict for caller in callers.values())
