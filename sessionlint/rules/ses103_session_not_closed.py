"""A session is opened by hand and nobody closes it.

## What it does

Reports `db = maker()` (or the call of a function that returns a new session) in a function that neither closes the
session nor hands it to anybody: it is not returned, stored, or given to something that may keep it. A provider that
yields its session and does not close it afterwards is reported too.

A session that is closed on some ways out and not on others is SES211.

## Why is this bad

A session that has run a query holds a connection from the pool until it is closed. The garbage collector finds it some
time; an async connection it cannot even return, but only throw away, with a warning. Until then the pool is one
connection short, and one transaction is open on the server.

## Instead

    async with maker() as db:
        ...

## When it is silent

The session leaves the function: returned (a factory), set on an attribute, put into a container or an exit stack, given
to a task or to code that cannot be followed; `close` is named anywhere, also in a callback; scripts, commands and tests,
whose process ends with them.

## Fix safety

Safe where the name is used in one block and not rebound: the block is put into `with`. Where the session is only opened
when none was given (`if db is None: db = maker()`), there is no fix.

## Options

None.

## Symptom at run time

`sqlalchemy.exc.TimeoutError: QueuePool limit of size 5 overflow 10 reached, connection timed out`; with asyncio
`SAWarning: The garbage collector is trying to clean up non-checked-in connection`.

## References

- https://docs.sqlalchemy.org/en/20/errors.html#error-3o7r
- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#closing
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import OpenedByHand
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, callers_steps

SEVERITY = Severity.WARNING
DEFAULT = True

_ENDS_WITH_PROCESS = frozenset({"script", "command", "test"})

BAD = (
    """
# --- app/db.py ---
import os
from collections.abc import Iterator

from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

maker = async_sessionmaker(create_async_engine(os.environ["DATABASE_URL"]), expire_on_commit=False)
SessionLocal = sessionmaker(create_engine(os.environ["DATABASE_URL"]))


def new_session() -> Session:
    return SessionLocal()


def get_db() -> Iterator[Session]:
    db = SessionLocal()  # SES103
    yield db

# --- app/reports.py ---
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import maker, new_session


async def names() -> list[str]:
    db = maker()  # SES103
    rows = await db.execute(text("select name from users"))
    return [row.name for row in rows]


async def touch(key: int, db: AsyncSession | None = None) -> None:
    if db is None:
        db = maker()  # SES103
    await db.execute(text("update users set seen = now() where id = :k"), {"k": key})
    await db.commit()


def count() -> int:
    session = new_session()  # SES103
    return len(session.execute(text("select 1 from users")).all())
""",
)

GOOD = (
    '''
# --- app/db.py ---
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, closing, contextmanager

from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

maker = async_sessionmaker(create_async_engine(os.environ["DATABASE_URL"]), expire_on_commit=False)
SessionLocal = sessionmaker(create_engine(os.environ["DATABASE_URL"]))
registry = scoped_session(SessionLocal)


def new_session() -> Session:
    """A factory: whoever calls it closes."""
    session = SessionLocal()
    session.info["made"] = True
    return session


async def get_db() -> AsyncIterator[AsyncSession]:
    db = maker()
    try:
        yield db
    finally:
        await db.close()


@contextmanager
def session_scope() -> Iterator[Session]:
    session = new_session()
    with session:
        yield session


class Unit:
    def __enter__(self) -> "Unit":
        self.session = SessionLocal()
        return self

    def __exit__(self, *error: object) -> None:
        self.session.close()


class Holder:
    def __init__(self, session: Session) -> None:
        self.session = session


def holder() -> Holder:
    """Leaves in what is returned."""
    session = SessionLocal()
    return Holder(session)


async def stacked(stack: AsyncExitStack) -> None:
    db = maker()
    await stack.enter_async_context(db)
    await db.execute(text("select 1"))


def closed_by_closing() -> None:
    session = SessionLocal()
    with closing(session):
        session.execute(text("select 1"))


def closed_by_callback(finish: list[object]) -> None:
    session = SessionLocal()
    finish.append(session.close)
    session.execute(text("select 1"))


def close_later(session: Session) -> None:
    session.close()


def closed_by_callee() -> None:
    session = SessionLocal()
    try:
        session.execute(text("select 1"))
    finally:
        close_later(session)


def owned(session: Session | None = None) -> None:
    owns = session is None
    session = session or SessionLocal()
    try:
        session.execute(text("select 1"))
    finally:
        if owns:
            session.close()


def owned_by_flag(given: Session | None = None) -> None:
    owns = False
    session = given
    if session is None:
        session = SessionLocal()
        owns = True
    try:
        session.execute(text("select 1"))
    finally:
        if owns:
            session.close()


def registered() -> None:
    """The registry keeps it: its remove() is another matter."""
    session = registry()
    session.execute(text("select 1"))


def main() -> None:
    session = SessionLocal()
    print(session.execute(text("select 1")).all())


if __name__ == "__main__":
    main()
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function, seen in analysis.observations(OpenedByHand):
        if seen.closed or function.name == "main" or analysis.is_script(function):
            continue
        if analysis.entries.boundary(function) in _ENDS_WITH_PROCESS:
            continue
        yield Draft(
            function,
            seen.loc,
            f"`{function.qualname}` opens a session with `{seen.text}()` and never closes it",
            f"use `{'async ' if seen.is_async else ''}with {seen.text}() as ...:`",
            "holds its connection until the garbage collector finds it",
            callers_steps(analysis, function),
        )
