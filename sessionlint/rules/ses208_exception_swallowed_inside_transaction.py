"""An exception is caught inside a block that commits on success, so half-done work is committed.

## What it does

Reports an `except` that ends normally (logs, returns, continues) inside a block which commits when no exception passes
through it: `maker.begin()`, `session.begin()`, a unit of work or a context manager that commits on exit - when the
`try` it belongs to has written to the database before it failed.

Not reported: a handler that raises again or rolls back; a `try` without database writes; a `try` whose writes lie in a
savepoint (`begin_nested()`) of its own; and a `try` around the whole block. A flush, commit or statement that fails in
the function itself, with the session used again afterwards, is SES207.

## Why is this bad

The block decides between commit and rollback by one thing only: whether an exception leaves it. The handler takes the
exception away, the block sees success, and commits whatever was done before the failure. If the failure came from a
flush, the transaction is dead already, and the exit raises another error instead.

## Instead

Put the `try` around the block. If the handler has to stay inside, let it `raise`, call `rollback()`, or give the risky
part a savepoint: `async with db.begin_nested():`.

## Fix safety

There is no fix: whether the half that was done should be kept is a decision.

## Options

- `unit-of-work-classes`: classes whose exit commits.

## Symptom at run time

No error: half-done work is saved, and the log says that it failed. If a flush failed:
`sqlalchemy.exc.PendingRollbackError: This Session's transaction has been rolled back due to a previous exception during
flush.` at the end of the block.

## References

- https://docs.sqlalchemy.org/en/20/orm/session_transaction.html
- https://docs.sqlalchemy.org/en/20/errors.html#error-7s2a
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import Swallowed
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, described, is_refused, step, write_steps

SEVERITY = Severity.ERROR
DEFAULT = True

BAD = (
    """
# --- app/db.py ---
import os
from collections.abc import AsyncIterator

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


async def get_db() -> AsyncIterator[AsyncSession]:
    async with open_session() as db:
        yield db
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[int]

# --- app/transfer.py ---
import logging

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import open_session
from app.models import Account

log = logging.getLogger(__name__)


async def move(db: AsyncSession, key: int, cents: int) -> None:
    await db.execute(update(Account).where(Account.id == key).values(balance=Account.balance + cents))
    if key == 13:
        raise LookupError(key)


async def transfer(source: int, target: int, cents: int) -> None:
    async with open_session.begin() as db:
        try:
            await move(db, source, -cents)
            await move(db, target, cents)
        except LookupError:  # SES208
            log.warning("not transferred")


async def open_account(db: AsyncSession, balance: int) -> bool:
    async with db.begin():
        try:
            db.add(Account(balance=balance))
            await db.flush()
            await move(db, 1, -balance)
        except Exception as error:  # SES208
            log.error("failed: %s", error)
            return False
    return True
""",
    '''
# --- app/db.py ---
import os
from collections.abc import AsyncIterator

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


async def get_db() -> AsyncIterator[AsyncSession]:
    async with open_session() as db:
        yield db
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[int]

# --- app/unit.py ---
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncSession

from app.db import open_session


@asynccontextmanager
async def unit() -> AsyncIterator[AsyncSession]:
    """Commits on the way out unless an exception passes through."""
    async with open_session() as db:
        try:
            yield db
            await db.commit()
        except BaseException:
            await db.rollback()
            raise


# --- app/chat.py ---
from collections.abc import AsyncIterator

from app.models import Account
from app.unit import unit


async def answer(question: str) -> AsyncIterator[str]:
    async with unit() as db:
        try:
            db.add(Account(balance=0))
            await db.flush()
            yield question.upper()
        except Exception as error:  # SES208
            yield f"error: {error}"
''',
)

GOOD = (
    """
# --- app/db.py ---
import os
from collections.abc import AsyncIterator

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


async def get_db() -> AsyncIterator[AsyncSession]:
    async with open_session() as db:
        yield db
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[int]

# --- app/transfer.py ---
import logging

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import open_session
from app.models import Account

log = logging.getLogger(__name__)


async def move(db: AsyncSession, key: int, cents: int) -> None:
    await db.execute(update(Account).where(Account.id == key).values(balance=Account.balance + cents))
    if key == 13:
        raise LookupError(key)


async def outside(source: int, target: int, cents: int) -> bool:
    try:
        async with open_session.begin() as db:
            await move(db, source, -cents)
            await move(db, target, cents)
    except LookupError:
        log.warning("not transferred")
        return False
    return True


async def raised_again(source: int, cents: int) -> None:
    async with open_session.begin() as db:
        try:
            await move(db, source, -cents)
        except LookupError:
            log.warning("not moved")
            raise


async def rolled_back(source: int, cents: int) -> None:
    async with open_session() as db:
        try:
            await move(db, source, -cents)
        except LookupError:
            await db.rollback()
            log.warning("not moved")
        else:
            await db.commit()


async def savepoint(source: int, target: int, cents: int) -> None:
    async with open_session.begin() as db:
        try:
            async with db.begin_nested():
                await move(db, source, -cents)
                await move(db, target, cents)
        except LookupError:
            log.warning("not transferred, the rest is kept")


async def parsed(raw: str) -> None:
    async with open_session.begin() as db:
        try:
            cents = int(raw)
        except ValueError:
            cents = 0
        await move(db, 1, cents)
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    told = set()
    for function, seen in analysis.observations(Swallowed):
        if is_refused(seen):
            continue  # SES207
        if (function.key, seen.loc) in told:
            continue
        told.add((function.key, seen.loc))
        write = seen.writes[0]
        if seen.then == "commits":
            message = f"`except {seen.caught}` ends inside the transaction: {described(write)} done so far is committed"
            after = "the block commits here, as if nothing had failed"
        else:
            message = f"`except {seen.caught}` hides a failure of the block with {described(write)}, and the session is used again"
            after = "the session is used again here"
        yield Draft(
            function,
            seen.loc,
            message,
            "re-raise, roll back, or put the try around the transaction (a savepoint inside it)",
            "half-done work stays in the session",
            (*write_steps(write), step(function.module.path, seen.where, after)),
        )
