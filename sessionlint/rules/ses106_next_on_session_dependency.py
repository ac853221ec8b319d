"""A session is taken out of its dependency with `next()`: the generator is dropped and closes it before the first use.

## What it does

Reports `next(get_db())`, `await anext(get_db())`, `get_db().__next__()`, `get_db().__anext__()` and
`get_db().send(None)` where the generator is not kept: nobody can resume it. Only generators that yield a session.

Not reported: code that keeps the generator in a variable and finishes it (tests do that).

## Why is this bad

The generator object has no name, so Python destroys it as soon as `next()` returns, and its `finally` closes the
session. A closed SQLAlchemy session is not an error: it opens itself again on the next statement. From then on nobody
owns it. The commit after `yield` never runs, the connection is not given back, and the pool runs dry.

## Instead

Enter the dependency as a context manager: `with contextmanager(get_db)() as db:`, or
`async with asynccontextmanager(get_db)() as db:`.

## Fix safety

Unsafe: puts the rest of the block into `with contextmanager(get_db)() as db:`. The session is then closed at its end,
and a commit after the provider's `yield` runs.

## Options

- `session-providers`: further dotted names of generators that yield sessions.

## Symptom at run time

The first calls work. Later: `sqlalchemy.exc.TimeoutError: QueuePool limit of size 5 overflow 10 reached, connection
timed out, timeout 30.00`. Rows that rely on the provider's commit are not saved: no error, 0 rows.

## References

- https://docs.python.org/3/reference/expressions.html#generator.close
- https://docs.sqlalchemy.org/en/20/orm/session_api.html#sqlalchemy.orm.Session.close
- https://github.com/fractal-analytics-platform/fractal-server/issues/661
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

# --- app/tasks.py ---
from celery import shared_task
from sqlalchemy import delete

from app.db import get_db
from app.models import Note


@shared_task
def prune() -> None:
    db = next(get_db())  # SES106
    db.execute(delete(Note))
    db.commit()


@shared_task
def count() -> int:
    return get_db().__next__().query(Note).count()  # SES106
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

# --- app/cli.py ---
import asyncio

from app.db import get_db
from app.models import Note


async def main() -> None:
    db = await anext(get_db())  # SES106
    db.add(Note(body="from the shell"))
    await db.flush()


async def again() -> None:
    db = await get_db().__anext__()  # SES106
    db.add(Note(body="from the shell"))
    await db.flush()


if __name__ == "__main__":
    asyncio.run(main())
""",
)

GOOD = (
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

# --- app/tasks.py ---
from contextlib import contextmanager

from celery import shared_task
from sqlalchemy import delete

from app.db import get_db
from app.models import Note


@shared_task
def prune() -> None:
    with contextmanager(get_db)() as db:
        db.execute(delete(Note))
        db.commit()
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

# --- tests/test_db.py ---
from app.db import get_db


def test_the_session_is_closed() -> None:
    provider = get_db()
    db = next(provider)
    assert db.is_active
    assert next(provider, None) is None


# --- app/names.py ---
from collections.abc import Iterator


def get_db_names() -> Iterator[str]:
    yield "main"
    yield "archive"


first = next(get_db_names())
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function, seen in analysis.observations(DrivenProvider):
        if seen.how == "loop":
            continue
        provider = seen.provider
        call = f"{seen.how}()" if not seen.how.startswith("__") else f".{seen.how}()"
        if provider.facts.is_async and seen.how in {"next", "__next__"}:
            message = f"`{call}` on `{seen.text}()`, which is an async generator: TypeError"
        else:
            message = (
                f"`{call}` on `{seen.text}()`: nobody owns the generator, so it is closed before the session is used"
            )
        keyword, wrapper = (
            ("async with", "asynccontextmanager") if provider.facts.is_async else ("with", "contextmanager")
        )
        yield Draft(
            function,
            seen.loc,
            message,
            f"`{keyword} {wrapper}({seen.text})() as db:`",
            "the generator is collected at once",
            (
                step(
                    provider.module.path, provider.facts.loc, f"{provider.name} closes the session when it is collected"
                ),
            ),
        )
