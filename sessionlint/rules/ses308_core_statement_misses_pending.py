"""SQL text or a Core table statement runs while the rows it needs still wait in the session: it does not see them.

## What it does

Reports `execute(text(...))` and Core statements on `Model.__table__` that name the table of an object which was added
to the session and not flushed, where the SQLAlchemy version does not flush before them (before 2.1).

## Why is this bad

Before 2.1 only ORM-enabled statements flush first. Text and Core statements go straight to the connection: a count
misses the pending row, an insert of a child fails because its parent is not there yet, an update changes nothing. No
error tells so where the statement only reads.

## Instead

Flush first, or write the statement with the mapped class:

    db.add(item)
    await db.flush()
    await db.execute(text("update items set seen = true"))

## When it is silent

The project's SQLAlchemy is 2.1 or newer (these versions flush before every statement), the statement does not name the
table of a pending object, it is ORM-enabled (`select(Item)`, `insert(Item)`), or all session factories of the project
say `autoflush=False`: there flushing by hand is the policy.

## Fix safety

Safe: inserts `flush()` before the statement.

## Options

`target-versions.sqlalchemy`: the version to judge by.

## Symptom at run time

No error and an old result; or `sqlalchemy.exc.IntegrityError: ... violates foreign key constraint`.

## References

- https://docs.sqlalchemy.org/en/21/changelog/migration_21.html#change-9809
- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#flushing
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.object_observations import CoreStatement
from sessionlint.effects.objects import Pending
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft
from sessionlint.rules.linking import pending_steps

SEVERITY = Severity.WARNING
DEFAULT = True

BAD = (
    """
# --- app/models.py ---
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]

# --- app/service.py ---
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Item


async def count_by_text(db: AsyncSession) -> int:
    db.add(Item(name="n"))
    return (await db.execute(text("select count(*) from items"))).scalar_one()  # SES308


async def count_by_table(db: AsyncSession) -> int:
    db.add(Item(name="n"))
    statement = select(func.count()).select_from(Item.__table__)
    return (await db.execute(statement)).scalar_one()  # SES308
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
    name: Mapped[str]


class Log(Base):
    __tablename__ = "logs"
    id: Mapped[int] = mapped_column(primary_key=True)

# --- app/service.py ---
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Item, Log


async def flushed(db: AsyncSession) -> int:
    db.add(Item(name="n"))
    await db.flush()
    return (await db.execute(text("select count(*) from items"))).scalar_one()


async def orm_enabled(db: AsyncSession) -> int:
    db.add(Item(name="n"))
    await db.execute(update(Item).values(name="m"))
    return (await db.execute(select(func.count()).select_from(Item))).scalar_one()


async def another_table(db: AsyncSession) -> None:
    db.add(Log())
    await db.execute(text("update items set name = 'n'"))
    await db.execute(text("set local statement_timeout = 1000"))
""",
    """
# --- pyproject.toml ---
# [project]
# the versions stand in requirements.txt

# --- requirements.txt ---
sqlalchemy>=2.1

# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)

# --- app/service.py ---
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Item


async def count(db: AsyncSession) -> int:
    db.add(Item())
    return (await db.execute(text("select count(*) from items"))).scalar_one()
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    version = analysis.settings.versions.get("sqlalchemy")
    if analysis.engine.autoflush == "off" or (version is not None and not version.admits("0", "2.1")):
        return
    told = set()
    for function, seen in analysis.observations(CoreStatement):
        pending = next((p for p in seen.batch if p.kind == "insert" and _names(analysis, seen, p)), None)
        if pending is None or pending.model is None or (function.key, seen.loc) in told:
            continue
        told.add((function.key, seen.loc))
        yield Draft(
            function,
            seen.loc,
            f"this statement does not see the new `{pending.model.name}`: before SQLAlchemy 2.1 "
            f"{'text' if seen.text else 'a Core statement'} does not flush the session first",
            "flush before this line, or write the statement with the mapped class",
            "nothing is flushed before it",
            pending_steps(pending),
        )


def _names(analysis: Analysis, seen: CoreStatement, pending: Pending) -> bool:
    """Whether a statement names the table of a pending object."""
    if pending.model is None:
        return False
    if pending.model in seen.tables:
        return True
    return bool({n.lower() for n in analysis.tables.table_names(pending.model)} & seen.words)
