"""A function rolls back a session that it was handed, and with it everything its caller has done so far.

## What it does

Reports `rollback()` on a session that came in as a parameter or through a constructor, when the function goes on
normally afterwards, so that the caller cannot notice.

Not reported: a handler that raises again after the rollback; owners of the transaction (a route handler, an entry
point, the function that opened the session); a session that has only been read so far; and `rollback()` of a savepoint.

## Why is this bad

`rollback()` has no size: it ends the whole transaction. An order that the caller has flushed before is gone, the caller
is not told, commits "successfully" and answers with the key of a row that does not exist. Objects of the caller are
expired as well, so in async code its next attribute access may fail with `MissingGreenlet`.

## Instead

Undo only what this function did, with a savepoint:

    try:
        async with db.begin_nested():
            db.add(Tag(name=name))
    except IntegrityError:
        ...

or let the exception pass, and leave the rollback to whoever opened the session.

## Fix safety

A suggestion, never applied: the rewrite to `begin_nested()` is shown.

## Options

- `commit-owner`: who may commit may roll back too: with `"service"` only the repository layer is reported, with
  `"repository"` only the service layer.
- `session-providers`: further dotted names of dependencies.

## Symptom at run time

No error: the caller's rows are missing after its successful commit. In async code also
`sqlalchemy.exc.MissingGreenlet: greenlet_spawn has not been called; can't call await_only() here.`

## References

- https://docs.sqlalchemy.org/en/20/orm/session_transaction.html#using-savepoint
- https://docs.sqlalchemy.org/en/20/faq/sessions.html#faq-session-rollback
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import RolledBack
from sessionlint.effects.policy import may_commit
from sessionlint.findings import Severity
from sessionlint.rules.base import LENT, Draft, callers_steps

SEVERITY = Severity.ERROR
DEFAULT = True
YIELDS_TO = ("function:SES201", "function:SES202")

BAD = (
    """
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Tag(Base):
    __tablename__ = "tags"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)

# --- app/tags.py ---
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Tag


async def ensure_tag(db: AsyncSession, name: str) -> None:
    try:
        db.add(Tag(name=name))
        await db.flush()
    except IntegrityError:
        await db.rollback()  # SES209


async def take(db: AsyncSession, name: str) -> str:
    db.add(Tag(name=f"order-{name}"))
    await db.flush()
    await ensure_tag(db, name)
    return "accepted"
""",
    """
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Tag(Base):
    __tablename__ = "tags"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)

# --- app/tags.py ---
import logging

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.models import Tag

log = logging.getLogger(__name__)


class TagService:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, name: str) -> bool:
        try:
            self._session.add(Tag(name=name))
            self._session.flush()
        except SQLAlchemyError:
            log.exception("tag %s", name)
            self._session.rollback()  # SES209
            return False
        return True
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


class Tag(Base):
    __tablename__ = "tags"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)

# --- app/tags.py ---
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Tag


async def ensure_tag(db: AsyncSession, name: str) -> None:
    try:
        async with db.begin_nested():
            db.add(Tag(name=name))
    except IntegrityError:
        print("somebody was faster")


async def ensure_or_fail(db: AsyncSession, name: str) -> None:
    try:
        db.add(Tag(name=name))
        await db.flush()
    except IntegrityError:
        await db.rollback()
        raise


async def ensure_or_conflict(db: AsyncSession, name: str) -> None:
    try:
        db.add(Tag(name=name))
        await db.flush()
    except IntegrityError as error:
        await db.rollback()
        raise ValueError(name) from error


async def by_hand(db: AsyncSession, name: str) -> None:
    nested = await db.begin_nested()
    db.add(Tag(name=name))
    try:
        await db.flush()
    except IntegrityError:
        await nested.rollback()


# --- app/api.py ---
from fastapi import APIRouter, Depends
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import get_db, open_session
from app.models import Tag

router = APIRouter()


@router.post("/tags")
async def create(name: str, db: AsyncSession = Depends(get_db)) -> str:
    try:
        db.add(Tag(name=name))
        await db.commit()
    except IntegrityError:
        await db.rollback()
        return "exists"
    return "created"


async def own(name: str) -> None:
    async with open_session() as db:
        try:
            db.add(Tag(name=name))
            await db.commit()
        except IntegrityError:
            await db.rollback()
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


class Tag(Base):
    __tablename__ = "tags"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)

# --- app/names.py ---
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import open_session
from app.models import Tag


async def names(db: AsyncSession) -> Sequence[str]:
    try:
        return (await db.scalars(select(Tag.name))).all()
    except OperationalError:
        await db.rollback()
        return []


async def main() -> None:
    async with open_session() as db:
        print(await names(db))
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function, seen in analysis.observations(RolledBack):
        if seen.origin.kind not in LENT or not seen.in_handler or seen.reraises:
            continue
        if not seen.wrote or function.name == "rollback" or may_commit(analysis, function):
            continue
        if analysis.owns_transaction(function, seen.origin):
            continue
        yield Draft(
            function,
            seen.loc,
            f"`{function.qualname}` rolls back `{seen.receiver}`, a session {LENT[seen.origin.kind]}, and carries on",
            "use a savepoint (`async with db.begin_nested():`), or re-raise so that the owner decides",
            "silently discards the caller's pending work",
            callers_steps(analysis, function),
        )
