"""A function commits a session that somebody else opened and handed to it.

## What it does

Reports `commit()` on a session that came in as a parameter, or through the constructor of a service or use case, when
the function is not the owner of the transaction. For repository classes this is SES201.

Owners, and so not reported: route handlers whose session comes from `Depends` or another framework; task entry points,
`main` and `run_...` functions; functions that opened the session themselves; a parameter that is a unit of work, whose
`commit()` is meant for the caller; and functions documented as a boundary by `# sessionlint: owns-transaction`.

## Why is this bad

The caller opened the session in order to decide when its work becomes permanent. After the callee's commit, half of an
operation that was meant to succeed or fail as a whole is saved, whatever happens next. The caller's rollback is a
no-op, its row locks are gone, and inside `async with session.begin()` the next statement fails.

## Instead

`await db.flush()`, and leave the commit to whoever opened the session. If this function is the boundary by design, say
so: `# sessionlint: owns-transaction` on its `def` line.

## Fix safety

Unsafe, and offered only where every caller is shown to commit afterwards: replaces `commit()` by `flush()`. Where a
caller relies on this commit, the fix is refused, because the rows would be lost (SES301).

## Options

- `commit-owner`: with `"service"` only functions of the repository layer (folders such as `repositories` or `crud`) are
  reported; with `"repository"` only those of the service layer. The default, `"boundary"`, reports both.
- `unit-of-work-classes`: classes whose commit is meant to be called.
- `session-providers`: further dotted names of dependencies.

An old project may have hundreds of such places: accept them with `sessionlint baseline`, which may only shrink.

## Symptom at run time

No error: half of an operation is permanent after the caller failed and rolled back. Inside a `begin()` block:
`sqlalchemy.exc.InvalidRequestError: Can't operate on closed transaction inside context manager. Please complete the
context manager before emitting further commands.`

## References

- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#when-do-i-construct-a-session-when-do-i-commit-it-and-when-do-i-close-it
- https://github.com/dbos-inc/dbos-docs/pull/273
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import Committed
from sessionlint.effects.policy import may_commit, opened_around
from sessionlint.findings import Severity
from sessionlint.rules.base import LENT, Draft, callers_steps

SEVERITY = Severity.ERROR
DEFAULT = True
WHEN_MANY = (
    'if services commit by this project\'s policy, say `commit-owner = "service"`; else decide who owns the session'
)
YIELDS_TO = ("SES201", "SES303")

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


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]

# --- app/items.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Item


async def rename(db: AsyncSession, item: Item, name: str) -> None:
    item.name = name
    await db.commit()  # SES202


# --- app/api.py ---
from fastapi import APIRouter, Depends
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import get_db
from app.items import rename
from app.models import Item

router = APIRouter()


@router.put("/items/{key}")
async def put(key: int, name: str, db: AsyncSession = Depends(get_db)) -> None:
    await rename(db, await db.get_one(Item, key), name)
    await db.commit()
""",
    """
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]

# --- app/services.py ---
from sqlalchemy.orm import Session

from app.models import Item


class ItemService:
    def __init__(self, session: Session) -> None:
        self._session = session

    def create(self, name: str) -> Item:
        item = Item(name=name)
        self._session.add(item)
        self._session.commit()  # SES202
        return item
""",
    """
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]

# --- app/save.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Item


async def save_all(names: list[str], *, tx: "AsyncSession | None" = None) -> None:
    if tx is None:
        return
    tx.add_all([Item(name=name) for name in names])
    finish = tx
    await finish.commit()  # SES202
""",
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


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]

# --- app/items.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Item


async def rename(db: AsyncSession, item: Item, name: str) -> None:
    item.name = name
    await db.flush()


async def import_batch(db: AsyncSession, names: list[str]) -> None:  # sessionlint: owns-transaction
    db.add_all([Item(name=name) for name in names])
    await db.commit()


# --- app/api.py ---
from typing import Annotated

from fastapi import APIRouter, Depends
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import get_db
from app.items import rename
from app.models import Item

Database = Annotated[AsyncSession, Depends(get_db)]
router = APIRouter()


@router.put("/items/{key}")
async def put(key: int, name: str, database: Database) -> None:
    await rename(database, await database.get_one(Item, key), name)
    await database.commit()


@router.delete("/items/{key}")
async def delete(key: int, db: AsyncSession = Depends(get_db)) -> None:
    await db.delete(await db.get_one(Item, key))
    await db.commit()
""",
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


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]

# --- app/worker.py ---
import asyncio

from sqlalchemy import delete

from app.db import open_session
from app.models import Item


async def main() -> None:
    async with open_session() as db:
        await db.execute(delete(Item))
        await db.commit()


if __name__ == "__main__":
    asyncio.run(main())


# --- app/uow.py ---
from types import TracebackType

from app.db import open_session
from app.models import Item


class UnitOfWork:
    async def __aenter__(self) -> "UnitOfWork":
        self.session = open_session()
        return self

    async def commit(self) -> None:
        await self.session.commit()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None:
                await self.session.rollback()
        finally:
            await self.session.close()


async def register(uow: UnitOfWork, name: str) -> None:
    uow.session.add(Item(name=name))
    await uow.commit()
""",
    """
# --- app/cache.py ---
class Cache:
    def commit(self) -> None:
        print("written")


def warm(db: Cache, session: dict[str, str]) -> None:
    session["state"] = "warm"
    db.commit()
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function, seen in analysis.observations(Committed):
        if seen.origin.kind not in LENT or function.name in {"commit", "__aexit__", "__exit__"}:
            continue
        if opened_around(analysis, function, seen.origin.name):
            continue
        if seen.asked or may_commit(analysis, function) or analysis.owns_transaction(function, seen.origin):
            continue
        yield Draft(
            function,
            seen.loc,
            f"`{function.qualname}` commits `{seen.receiver}`, a session {LENT[seen.origin.kind]}",
            "`flush()` here if keys are needed, and commit in the caller that opened the session",
            "half of the caller's work becomes permanent",
            callers_steps(analysis, function),
        )
