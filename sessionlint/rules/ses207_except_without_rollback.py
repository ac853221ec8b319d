"""A failed flush or commit is caught, and the session is used again without a rollback.

## What it does

Reports an `except` that handles a failure of `flush()`, `commit()` or of a statement that writes, without `rollback()`,
when the function goes on to use the session: after the `try`, or in the next turn of a loop. The call may stand in a
function that commits what it has done and lets a failure pass without a rollback. The trace shows the next use.

Where the `try` fails by something else than the database, or where a block commits what was half done, it is SES208.

## Why is this bad

After a failed flush the session refuses to work until it is rolled back. The handler has hidden the one exception that
says why; the next use raises another one, for rows that are perfectly valid. On PostgreSQL a failed statement also
aborts the transaction: everything after it fails until the rollback.

## Instead

Where one row may fail and the rest shall stay, give it a savepoint:

    try:
        async with db.begin_nested():
            db.add(item)
    except IntegrityError:
        log.warning("duplicate")

Otherwise call `rollback()` in the handler (the session is yours), or let the exception go.

## When it is silent

The handler rolls back, raises, or leaves the function or the block that owns the session; the session is closed next;
the risky part is in a savepoint; the `try` only reads, or only adds.

## Fix safety

Unsafe: `rollback()` in the handler also drops what the caller has done in the same transaction (SES209). The savepoint
is a suggestion.

## Options

None.

## Symptom at run time

`sqlalchemy.exc.PendingRollbackError: This Session's transaction has been rolled back due to a previous exception during
flush. To begin a new transaction with this Session, first issue Session.rollback().` Or, from asyncpg,
`InFailedSQLTransactionError: current transaction is aborted, commands ignored until end of transaction block`.

## References

- https://docs.sqlalchemy.org/en/20/faq/sessions.html#this-session-s-transaction-has-been-rolled-back-due-to-a-previous-exception-during-flush-or-similar
- https://docs.sqlalchemy.org/en/20/errors.html#error-7s2a
- https://docs.sqlalchemy.org/en/20/errors.html#error-8s2b
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import Swallowed
from sessionlint.findings import Severity
from sessionlint.project import values as v
from sessionlint.rules.base import Draft, is_refused, spelled, step, write_steps

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
    sku: Mapped[str] = mapped_column(unique=True)

# --- app/items.py ---
import logging

from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session

from app.models import Item

log = logging.getLogger(__name__)


async def load(maker: async_sessionmaker[AsyncSession], skus: list[str]) -> None:
    async with maker() as db:
        for sku in skus:
            try:
                db.add(Item(sku=sku))
                await db.flush()
            except IntegrityError:  # SES207
                log.warning("duplicate %s", sku)
        await db.commit()


class ItemService:
    def __init__(self, session: Session) -> None:
        self._session = session

    def both(self, sku: str, other: str) -> None:
        self._session.add(Item(sku=sku))
        try:
            self._session.commit()
        except SQLAlchemyError as error:  # SES207
            log.error("not saved: %s", error)
        self._session.add(Item(sku=other))
        self._session.commit()


async def statements(db: AsyncSession, sku: str) -> None:
    try:
        await db.execute(insert(Item).values(sku=sku))
    except Exception:  # SES207
        log.exception("not inserted")
    await db.execute(insert(Item).values(sku="log"))
    await db.commit()

# --- app/store.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Item


async def save(db: AsyncSession, sku: str) -> None:
    db.add(Item(sku=sku))
    await db.commit()

# --- app/sync.py ---
import logging

from sqlalchemy.ext.asyncio import AsyncSession

from app.store import save

log = logging.getLogger(__name__)


async def sync(db: AsyncSession, skus: list[str]) -> None:
    for sku in skus:
        try:
            await save(db, sku)
        except Exception:  # SES207
            log.exception("not saved: %s", sku)
""",
)

GOOD = (
    '''
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(unique=True)

# --- app/items.py ---
import logging

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.models import Item

log = logging.getLogger(__name__)


async def savepoints(db: AsyncSession, skus: list[str]) -> None:
    for sku in skus:
        try:
            async with db.begin_nested():
                db.add(Item(sku=sku))
        except IntegrityError:
            log.warning("duplicate %s", sku)
    await db.commit()


async def rolled_back(maker: async_sessionmaker[AsyncSession], skus: list[str]) -> None:
    async with maker() as db:
        for sku in skus:
            db.add(Item(sku=sku))
            try:
                await db.commit()
            except IntegrityError:
                await db.rollback()


async def raised(db: AsyncSession, sku: str) -> None:
    try:
        db.add(Item(sku=sku))
        await db.flush()
    except IntegrityError as error:
        raise ValueError(sku) from error
    await db.commit()


async def left(maker: async_sessionmaker[AsyncSession], sku: str) -> bool:
    """The handler leaves the block that owns the session."""
    async with maker() as db:
        try:
            db.add(Item(sku=sku))
            await db.commit()
        except SQLAlchemyError:
            log.exception("not saved")
            return False
    return True


async def outside(maker: async_sessionmaker[AsyncSession], sku: str) -> None:
    """The try stands around the session; the next one is new."""
    try:
        async with maker.begin() as db:
            db.add(Item(sku=sku))
    except IntegrityError:
        log.warning("duplicate")
    async with maker.begin() as db:
        db.add(Item(sku="log"))


async def closed(maker: async_sessionmaker[AsyncSession], sku: str) -> None:
    db = maker()
    try:
        db.add(Item(sku=sku))
        await db.commit()
    except SQLAlchemyError:
        log.exception("not saved")
    finally:
        await db.close()


async def parsed(db: AsyncSession, raw: str) -> None:
    """Nothing of the database can fail in the try."""
    try:
        sku = str(int(raw))
    except ValueError:
        sku = "unknown"
    db.add(Item(sku=sku))
    await db.commit()


async def read(db: AsyncSession, sku: str) -> None:
    try:
        known = await db.scalar(select(Item).where(Item.sku == sku))
    except ValueError:
        known = None
    if known is None:
        db.add(Item(sku=sku))
    await db.commit()

# --- app/store.py ---
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Item


async def save(db: AsyncSession, sku: str) -> None:
    """Rolls back what it could not save."""
    try:
        db.add(Item(sku=sku))
        await db.commit()
    except Exception:
        await db.rollback()
        raise


async def save_in_savepoint(db: AsyncSession, sku: str) -> None:
    async with db.begin_nested():
        db.add(Item(sku=sku))


async def count(db: AsyncSession) -> int:
    return len((await db.scalars(select(Item))).all())

# --- app/sync.py ---
import logging

from sqlalchemy.ext.asyncio import AsyncSession

from app.store import count, save, save_in_savepoint

log = logging.getLogger(__name__)


async def sync(db: AsyncSession, skus: list[str]) -> None:
    for sku in skus:
        try:
            await save(db, sku)
        except Exception:
            log.exception("not saved: %s", sku)


async def sync_in_savepoints(db: AsyncSession, skus: list[str]) -> None:
    for sku in skus:
        try:
            await save_in_savepoint(db, sku)
        except Exception:
            log.exception("not saved: %s", sku)
    await db.commit()


async def last(db: AsyncSession, sku: str) -> None:
    """Nothing uses the session after the failure."""
    print(await count(db))
    try:
        await save(db, sku)
    except Exception:
        log.exception("not saved: %s", sku)
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    told = set()
    for function, seen in analysis.observations(Swallowed):
        if not is_refused(seen) or (function.key, seen.loc) in told:
            continue
        told.add((function.key, seen.loc))
        callee = seen.statement.endswith("()")
        what = "statement" if seen.statement == "statement" else f"`{seen.statement.removesuffix('()')}()`"
        held = analysis.infer.parameter(function, seen.origin.name) if seen.origin.name in function.parameters else None
        named = seen.origin.kind == "param" and not isinstance(held, v.Entity)
        name = f"`{spelled(seen.origin)}`" if named else "the session"
        write = seen.writes[0]
        cause = (step(write.path, write.loc, "fails in the database, without a rollback"),)
        yield Draft(
            function,
            seen.loc,
            f"`except {seen.caught}` hides a failed {what} and does not roll back; {name} is used again",
            "put the risky part in a savepoint, roll back in the handler, or let the exception go",
            "from here on the session refuses to work",
            (
                *(cause if callee else write_steps(write)),
                step(function.module.path, seen.where, "the next use: raises"),
            ),
        )
