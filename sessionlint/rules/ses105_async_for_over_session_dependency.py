"""A session dependency is driven with a `for` loop: leaving the loop early skips everything after its `yield`.

## What it does

Reports `async for db in get_db():` (and `for db in get_db():`) where `get_db` is a generator that yields a session. The
generator is recognised by what it yields, not by its name.

A loop whose body neither returns, breaks, raises nor yields runs to the end and does commit; it is reported all the
same, as information, because the next `return` in it breaks it. A loop that only yields the session on is SES117.

## Why is this bad

A `for` loop does not own its generator. `return` and `break` leave it suspended at `yield`; an exception in the body is
not thrown into it. So the provider's commit after `yield` and its `except: rollback` are both skipped, and the session
is closed at some later time, by the garbage collector. The function has returned its result by then.

## Instead

Enter the dependency as what it is, a context manager:

    async with asynccontextmanager(get_db)() as db:
        ...

or write a context manager for code outside requests and let the dependency use it.

## Fix safety

Unsafe: rewrites the loop to `async with asynccontextmanager(get_db)()`. The commit that was skipped so far then runs.

## Options

- `session-providers`: further dotted names of generators that yield sessions.

## Symptom at run time

No error, 0 rows. With many calls `SAWarning: The garbage collector is trying to clean up non-checked-in connection`.

## References

- https://peps.python.org/pep-0525/#finalization
- https://docs.python.org/3/library/contextlib.html#contextlib.asynccontextmanager
- https://github.com/mozilla-ai/otari/issues/1236 (an outage by this fault)
- https://github.com/python-trio/flake8-async/pull/238
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import DrivenProvider
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, step

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
        try:
            yield db
            await db.commit()
        except Exception:
            await db.rollback()
            raise
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str]

# --- app/notes.py ---
from sqlalchemy import select

from app.db import get_db
from app.models import Note


async def write(body: str) -> int:
    async for db in get_db():  # SES105
        note = Note(body=body)
        db.add(note)
        await db.flush()
        return note.id
    raise RuntimeError("no session")


async def latest() -> Note | None:
    found = None
    async for db in get_db():  # SES105
        found = await db.scalar(select(Note).order_by(Note.id.desc()).limit(1))
        break
    return found
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
        try:
            yield db
            await db.commit()
        except Exception:
            await db.rollback()
            raise
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str]

# --- app/jobs.py ---
from app import db as database
from app.models import Note


async def seed() -> None:
    async for session in database.get_db():  # SES105
        session.add(Note(body="welcome"))
""",
    """
# --- app/db.py ---
import os
from collections.abc import Iterator

from sqlalchemy import create_engine
from sqlalchemy.orm import Session, sessionmaker

engine = create_engine(os.environ["DATABASE_URL"])
SessionLocal = sessionmaker(engine)


def get_db() -> Iterator[Session]:
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str]

# --- app/jobs.py ---
from app.db import get_db
from app.models import Note


def write(body: str) -> str:
    for session in get_db():  # SES105
        session.add(Note(body=body))
        session.commit()
        return body
    return ""
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
        try:
            yield db
            await db.commit()
        except Exception:
            await db.rollback()
            raise
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str]

# --- app/notes.py ---
from contextlib import asynccontextmanager

from app.db import get_db
from app.models import Note


async def write(body: str) -> int:
    async with asynccontextmanager(get_db)() as db:
        note = Note(body=body)
        db.add(note)
        await db.flush()
        return note.id
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


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str]

# --- app/export.py ---
from collections.abc import AsyncIterator

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Note


async def get_database_events() -> AsyncIterator[str]:
    yield "vacuum"
    yield "analyze"


async def bodies(db: AsyncSession) -> AsyncIterator[str]:
    async for note in await db.stream_scalars(select(Note)):
        yield note.body


async def first_event() -> str | None:
    async for event in get_database_events():
        return event
    return None
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function, seen in analysis.observations(DrivenProvider):
        if seen.how != "loop" or seen.forwards:
            continue
        provider = seen.provider
        if seen.leaves:
            message = f"leaving the loop over `{seen.text}()` skips what `{provider.name}` does after its yield"
        else:
            message = f"a loop over `{seen.text}()` drives a session provider by hand"
        yield Draft(
            function,
            seen.loc,
            message,
            f"`async with asynccontextmanager({seen.text})() as db:`, or take the session as a parameter",
            "the commit or rollback after the yield runs late or never",
            (step(provider.module.path, provider.facts.loc, f"{provider.name} yields the session and then cleans up"),),
            None if seen.leaves else Severity.WARNING,
        )
