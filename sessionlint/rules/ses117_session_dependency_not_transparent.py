"""A dependency passes another one's session on with `async for ...: yield`, which keeps errors from the inner one.

## What it does

Reports `async for db in get_db(): yield db` (and the `for` form) in a generator: a session dependency wrapped in a
loop. Loops over a session dependency that do anything else are SES105.

Not reported: a dependency that receives the session through `Depends(get_db)` and yields it, or that enters the inner
one as a context manager.

## Why is this bad

A loop hands values out and nothing back in. When the handler raises, the exception arrives at the wrapper's `yield` and
ends the wrapper; the inner generator stays suspended. Its `except: rollback` does not run, nor does what it logs or
counts there. Its clean-up waits for the garbage collector, and until then the connection is in use.

## Instead

If the wrapper adds nothing, make it an alias: `get_db_session = get_db`. Otherwise:

    async def get_db_session() -> AsyncIterator[AsyncSession]:
        async with asynccontextmanager(get_db)() as db:
            yield db

## Fix safety

Safe: an alias where the wrapper has no other statement and no parameter, else the context manager.

## Options

- `session-providers`: further dotted names of generators that yield sessions.

## Symptom at run time

The provider's rollback and error handling never run. `SAWarning: The garbage collector is trying to clean up
non-checked-in connection`, or a connection that is terminated with `CancelledError` in its traceback.

## References

- https://peps.python.org/pep-0380/ (what `yield from` passes on, and a loop does not)
- https://peps.python.org/pep-0525/#finalization
- https://fastapi.tiangolo.com/tutorial/dependencies/dependencies-with-yield/
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import DrivenProvider
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, step

SEVERITY = Severity.WARNING
DEFAULT = True

BAD = (
    '''
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

# --- app/dependencies.py ---
from collections.abc import AsyncIterator

from sqlalchemy.ext.asyncio import AsyncSession

from app.db import get_db


async def get_db_session() -> AsyncIterator[AsyncSession]:
    """The dependency of the routers."""
    async for session in get_db():  # SES117
        yield session


async def get_tagged() -> AsyncIterator[AsyncSession]:
    async for session in get_db():  # SES117
        session.info["tag"] = "api"
        yield session
''',
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

# --- app/dependencies.py ---
from collections.abc import Iterator

from sqlalchemy.orm import Session

from app import db


def get_session() -> Iterator[Session]:
    for session in db.get_db():  # SES117
        yield session
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

# --- app/dependencies.py ---
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import get_db

get_db_session = get_db


async def get_tagged() -> AsyncIterator[AsyncSession]:
    async with asynccontextmanager(get_db)() as session:
        session.info["tag"] = "api"
        yield session


async def get_named(session: AsyncSession = Depends(get_db)) -> AsyncIterator[AsyncSession]:
    session.info["name"] = "api"
    yield session
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


async def notes(db: AsyncSession) -> AsyncIterator[Note]:
    async for note in await db.stream_scalars(select(Note)):
        yield note


async def bodies(db: AsyncSession) -> AsyncIterator[str]:
    async for note in notes(db):
        yield note.body
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function, seen in analysis.observations(DrivenProvider):
        if seen.how != "loop" or not seen.forwards:
            continue
        provider = seen.provider
        if seen.text == function.name:
            alias = f"import `{provider.name}` in its place"
        else:
            alias = f"make it an alias, `{function.name} = {seen.text}`"
        yield Draft(
            function,
            seen.loc,
            f"`{function.name}` wraps `{seen.text}` in a loop: when the handler raises, `{seen.text}` is not told",
            f"{alias}, or enter it: `async with asynccontextmanager({seen.text})() as session: yield session`",
            "the inner rollback waits for garbage collection",
            (step(provider.module.path, provider.facts.loc, f"{provider.name} would roll back and close here"),),
        )
