"""A failing `commit()` is caught, and the code carries on as if it had been saved.

## What it does

Reports a `commit()` inside a `try` whose handler neither raises nor tells the caller that nothing was saved: it logs,
passes, or rolls back and falls through to the same end as success. `with suppress(Exception):` around a commit counts
too. The finding stands at the commit.

## Why is this bad

COMMIT is where the database has the last word: unique and deferred constraints, serialization failures, a lost
connection. Swallowed, the function returns "saved", the endpoint answers 200, the mail goes out, and the row does not
exist. The log line is the only trace, and nothing retries.

## Instead

Roll back and raise:

    try:
        await db.commit()
    except Exception:
        await db.rollback()
        raise

or turn it into an answer that says so:

    except IntegrityError:
        await db.rollback()
        return False  # the caller learns that nothing was saved

## When it is silent

The handler raises (the same error or one of the domain), returns an honest failure after a rollback, or tries again and
raises in the end.

## Fix safety

No fix: what the caller should learn is a decision.

## Options

None.

## Symptom at run time

No error at the caller; a log line such as `duplicate key value violates unique constraint`, and 0 rows.

## References

- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#framing-out-a-begin-commit-rollback-block
- https://docs.sqlalchemy.org/en/20/faq/sessions.html#faq-session-rollback
- https://www.postgresql.org/docs/current/sql-set-constraints.html
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import CommitUnheeded
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, step

SEVERITY = Severity.ERROR
DEFAULT = True

BAD = (
    """
# --- app/db.py ---
from collections.abc import AsyncIterator

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    mail: Mapped[str] = mapped_column(unique=True)


async def get_db() -> AsyncIterator[AsyncSession]:
    async with maker() as db:
        yield db

# --- app/routes.py ---
import logging

from fastapi import APIRouter, Depends
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import User, get_db

log = logging.getLogger(__name__)
router = APIRouter()


@router.post("/users")
async def register(mail: str, db: AsyncSession = Depends(get_db)) -> str:
    db.add(User(mail=mail))
    try:
        await db.commit()  # SES607
    except Exception as error:
        log.error("could not commit: %s", error)
    return "saved"


@router.post("/users/quiet")
async def register_quiet(mail: str, db: AsyncSession = Depends(get_db)) -> str:
    db.add(User(mail=mail))
    try:
        await db.commit()  # SES607
    except Exception:
        await db.rollback()
        log.exception("could not commit")
    return "saved"
""",
    """
# --- app/jobs.py ---
from contextlib import suppress

from sqlalchemy import create_engine, text
from sqlalchemy.orm import sessionmaker

maker = sessionmaker(create_engine("postgresql+psycopg://app@db/app"))


def import_mails(mails: list[str]) -> int:
    with maker() as db:
        for mail in mails:
            db.execute(text("insert into users (mail) values (:m)"), {"m": mail})
        with suppress(Exception):
            db.commit()  # SES607
    return len(mails)
""",
)

GOOD = (
    '''
# --- app/db.py ---
from collections.abc import AsyncIterator

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    mail: Mapped[str] = mapped_column(unique=True)


async def get_db() -> AsyncIterator[AsyncSession]:
    async with maker() as db:
        yield db

# --- app/routes.py ---
from contextlib import suppress

from fastapi import APIRouter, Depends, HTTPException
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import User, get_db, maker

router = APIRouter()


@router.post("/users")
async def register(mail: str, db: AsyncSession = Depends(get_db)) -> str:
    """Rolls back and raises."""
    db.add(User(mail=mail))
    try:
        await db.commit()
    except Exception:
        await db.rollback()
        raise
    return "saved"


@router.post("/users/translated")
async def register_translated(mail: str, db: AsyncSession = Depends(get_db)) -> str:
    """Raises the error of its own layer."""
    db.add(User(mail=mail))
    try:
        await db.commit()
    except IntegrityError as error:
        await db.rollback()
        raise HTTPException(409, "this address is taken") from error
    return "saved"


@router.post("/users/honest")
async def register_honest(mail: str, db: AsyncSession = Depends(get_db)) -> bool:
    """Says that nothing was saved."""
    db.add(User(mail=mail))
    try:
        await db.commit()
    except IntegrityError:
        await db.rollback()
        return False
    return True


async def register_stubbornly(mail: str) -> None:
    """Tries again, and raises in the end."""
    for attempt in range(3):
        async with maker() as db:
            db.add(User(mail=mail))
            try:
                await db.commit()
                return
            except OperationalError:
                await db.rollback()
                if attempt == 2:
                    raise


async def rename(user_id: int, mail: str) -> None:
    """What is suppressed is not the commit."""
    async with maker() as db:
        user = await db.get_one(User, user_id)
        with suppress(ValueError):
            user.mail = mail.encode("ascii").decode()
        await db.commit()
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function, seen in analysis.observations(CommitUnheeded):
        yield Draft(
            function,
            seen.loc,
            f"a failing `{seen.text}.commit()` is swallowed, and `{function.qualname}` carries on as if it had been saved",
            "re-raise, or roll back and return a failure the caller can see",
            "nothing was saved, nobody is told",
            (step(function.module.path, seen.handler, "the failure ends here"),),
        )
