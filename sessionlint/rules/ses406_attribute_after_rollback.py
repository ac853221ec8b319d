"""An attribute of a mapped object is read after the rollback that expired it: in async code that read fails.

## What it does

In async code, reports a read of a mapped attribute of an object that was loaded or saved through a session, on a path
where that session was rolled back in between and the object was not refreshed.

## Why is this bad

A rollback expires every object of the session, whatever `expire_on_commit` says. The next read of any attribute, even
of the primary key, runs a query implicitly, and in async code that is `MissingGreenlet`. It happens in error handlers,
where it hides the error that was to be logged.

## Instead

Read what the handler needs before the work starts, or contain the failure in a savepoint:

    user_id = user.id
    try:
        await charge(db, user)
    except IntegrityError:
        await db.rollback()
        log.warning("no charge for %s", user_id)

## When it is silent

The object was refreshed or loaded again, the value was assigned after the rollback, the object is detached, the rollback
ended a savepoint only, or the code is not async.

## Fix safety

Unsafe: reads the attribute into a local name before the `try`.

## Options

None.

## Symptom at run time

`sqlalchemy.exc.MissingGreenlet: greenlet_spawn has not been called; can't call await_only() here`.

## References

- https://docs.sqlalchemy.org/en/20/orm/session_state_management.html#when-to-expire-or-refresh
- https://sqlalche.me/e/20/xd2s
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.object_observations import EntityRead
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, step

SEVERITY = Severity.ERROR
DEFAULT = True

BAD = (
    """
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)

# --- app/service.py ---
import logging

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import User

log = logging.getLogger(__name__)


async def rename(db: AsyncSession, user_id: int, name: str) -> None:
    user = await db.get_one(User, user_id)
    try:
        user.name = name
        await db.commit()
    except IntegrityError:
        await db.rollback()
        log.warning("no new name for %s", user.id)  # SES406
""",
)

GOOD = (
    """
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)

    def title(self) -> str:
        return "user"

# --- app/service.py ---
import logging

from pydantic import BaseModel
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from app.models import User

log = logging.getLogger(__name__)


class UserView(BaseModel):
    id: int
    name: str


async def read_before(db: AsyncSession, user_id: int, name: str) -> None:
    user = await db.get_one(User, user_id)
    known = user.id
    try:
        user.name = name
        await db.commit()
    except IntegrityError:
        await db.rollback()
        log.warning("no new name for %s", known)


async def refreshed(db: AsyncSession, user_id: int, name: str) -> str:
    user = await db.get_one(User, user_id)
    try:
        user.name = name
        await db.commit()
    except IntegrityError:
        await db.rollback()
        await db.refresh(user)
    return user.name


async def loaded_again(db: AsyncSession, user_id: int, name: str) -> str:
    user = await db.get_one(User, user_id)
    try:
        user.name = name
        await db.commit()
    except IntegrityError:
        await db.rollback()
        user = await db.get_one(User, user_id)
    return user.name


async def savepoint(db: AsyncSession, user_id: int, name: str) -> str:
    user = await db.get_one(User, user_id)
    try:
        async with db.begin_nested():
            db.add(User(name=name))
    except IntegrityError:
        log.warning("no %s beside %s", name, user.id)
    return user.name


async def plain_object(db: AsyncSession, view: UserView) -> None:
    try:
        db.add(User(name=view.name))
        await db.commit()
    except IntegrityError:
        await db.rollback()
        log.warning("no %s", view.id)


def in_sync_code(db: Session, user_id: int, name: str) -> None:
    user = db.get_one(User, user_id)
    try:
        user.name = name
        db.commit()
    except IntegrityError:
        db.rollback()
        log.warning("no new name for %s", user.id)
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    told = set()
    for function, read in analysis.observations(EntityRead):
        held = read.holder
        if held.expired is None or held.detached is not None or not held.is_async:
            continue
        model = analysis.tables.model(held.model)
        if read.attribute not in model.columns and read.attribute not in model.relationships:
            continue
        if any(name == read.attribute for name, _ in held.given) or (function.key, held.loc, held.expired) in told:
            continue
        told.add((function.key, held.loc, held.expired))
        yield Draft(
            function,
            read.loc,
            f"`{held.model.name}.{read.attribute}` is read after a rollback expired it: in async code this fails",
            "read the value before the rollback, or refresh the object",
            "needs a query that async code may not run implicitly",
            (
                step(function.module.path, held.loc, f"the `{held.model.name}` comes from here"),
                step(function.module.path, held.expired, "the rollback expires every object of the session"),
            ),
        )
