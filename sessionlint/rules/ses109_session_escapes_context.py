"""A session is returned from inside the `with` block that closes it.

## What it does

Reports `return db` inside `with open_session() as db:` or `async with open_session() as db:`, also for
`open_session.begin()`. The caller gets a session that is closed already.

Not reported: returning what was read through the session; `yield db`; and `__aenter__`/`__enter__`, where the object
itself closes the session later. A service or repository built on the session and returned from the block is SES115.

## Why is this bad

The session looks fine, because a closed SQLAlchemy session opens itself again on the next statement. But the block that
would have closed it is over. Each call keeps one connection for good, and nobody commits.

## Instead

Make it a context manager or a dependency: `yield db` instead of `return db`, and let the caller write
`async with get_session() as db:`. With `close_resets_only=False` on the factory the mistake becomes an error at once.

## Fix safety

There is no fix: the callers have to change, too.

## Options

- `session-factories`: further dotted names that open sessions.

## Symptom at run time

The first calls work. Then `sqlalchemy.exc.TimeoutError: QueuePool limit of size 5 overflow 10 reached, connection timed
out, timeout 30.00`.

## References

- https://docs.sqlalchemy.org/en/20/orm/session_api.html#sqlalchemy.orm.Session.params.close_resets_only
- https://github.com/sqlalchemy/sqlalchemy/issues/9663
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import Escaped
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
        yield db

# --- app/sessions.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import open_session


async def get_session() -> AsyncSession:
    async with open_session() as db:
        return db  # SES109


async def get_transaction(read_only: bool) -> AsyncSession:
    async with open_session.begin() as db:
        if read_only:
            db.info["read_only"] = True
        return db  # SES109
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

# --- app/sessions.py ---
from sqlalchemy.orm import Session

from app.db import SessionLocal


def open_reader() -> Session:
    with SessionLocal() as session:
        return session  # SES109
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


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str]

# --- app/sessions.py ---
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import open_session
from app.models import Note


@asynccontextmanager
async def get_session() -> AsyncIterator[AsyncSession]:
    async with open_session() as db:
        yield db


async def all_notes() -> Sequence[Note]:
    async with open_session() as db:
        return (await db.scalars(select(Note))).all()


async def is_up() -> bool:
    async with open_session() as db:
        return db.is_active


class Transaction:
    async def __aenter__(self) -> AsyncSession:
        async with AsyncExitStack() as stack:
            db = await stack.enter_async_context(open_session())
            self._stack = stack.pop_all()
            return db

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function, seen in analysis.observations(Escaped):
        if seen.what != "session":
            continue
        yield Draft(
            function,
            seen.loc,
            f"`{seen.text}` is closed by its `with` block before the caller receives it",
            "`yield` it from a context manager or dependency, or let the caller open it",
            "a closed session silently reopens and is never closed again",
            (step(function.module.path, seen.opened, "the block that closes it begins here"),),
        )
