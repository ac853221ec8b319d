"""A provider is given a session (or a unit of work) and returns an object that is not built on it.

## What it does

Looks at functions that take a session or a unit of work and return a repository, service or use case, and reports the
`return` whose object does not rest on that argument: the argument is unused, is overwritten, or a session made inside
the provider is used in its place. On every path the returned object must be the argument's.

A plain function that is called with a session and cannot do anything with it is reported as well, at its name: it hands
the row it was given back as it came, or only asks whether there is a session and does nothing.

Silent where the argument is merely optional (`db or open_session()`), and where the returned object needs no session.
A cached object built on an earlier request's session is SES115.

## Why is this bad

The caller believes that it owns the transaction: it passed its session in. What the object writes lies in another
transaction, which the caller neither commits nor rolls back, and which nobody closes.

## Instead

Build the object on the argument: `return TagRepository(db)`. If it really needs a session of its own, drop the
parameter.

## Fix safety

Unsafe: builds the object on the argument and drops the session that the provider makes; what it writes then belongs to
the caller's transaction. No fix where the other session is made elsewhere: which of the two was meant is not in the
code.

## Options

- `session-factories`, `unit-of-work-classes`: further dotted names.

## Symptom at run time

No error, 0 rows after the caller's commit; one connection stays `idle in transaction` for each call.

## References

- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#when-do-i-construct-a-session-when-do-i-commit-it-and-when-do-i-close-it
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import Returned
from sessionlint.findings import Severity
from sessionlint.project import values as v
from sessionlint.project.arguments import is_handed_on
from sessionlint.project.idle_functions import unsaved
from sessionlint.rules.base import Draft, callers_steps

SEVERITY = Severity.ERROR
DEFAULT = True
YIELDS_TO = ("function:SES115",)

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


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str]

# --- app/notes.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Note


class NoteRepository:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def add(self, body: str) -> None:
        self._db.add(Note(body=body))
        await self._db.flush()


class NoteService:
    def __init__(self, notes: NoteRepository) -> None:
        self._notes = notes

    async def write(self, body: str) -> None:
        await self._notes.add(body.strip())

# --- app/providers.py ---
from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import get_db, open_session
from app.notes import NoteRepository, NoteService


class SessionModule:
    def provide_notes(self, db: AsyncSession) -> NoteRepository:
        session = open_session()
        return NoteRepository(session)  # SES116

    def provide_service(self, db: AsyncSession) -> NoteService:
        db = open_session()
        return NoteService(NoteRepository(db))  # SES116


def get_service(db: AsyncSession = Depends(get_db)) -> NoteService:
    return NoteService(NoteRepository(open_session()))  # SES116
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

# --- app/notes.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Note


class NoteRepository:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def add(self, body: str) -> None:
        self._db.add(Note(body=body))
        await self._db.flush()


class NoteService:
    def __init__(self, notes: NoteRepository) -> None:
        self._notes = notes

    async def write(self, body: str) -> None:
        await self._notes.add(body.strip())

# --- app/providers.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import open_session
from app.notes import NoteRepository

archive = open_session()


def provide_notes(db: AsyncSession, archived: bool) -> NoteRepository:
    if archived:
        return NoteRepository(archive)  # SES116
    return NoteRepository(db)
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

# --- app/notes.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Note


class NoteRepository:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def add(self, body: str) -> None:
        self._db.add(Note(body=body))
        await self._db.flush()


class NoteService:
    def __init__(self, notes: NoteRepository) -> None:
        self._notes = notes

    async def write(self, body: str) -> None:
        await self._notes.add(body.strip())

# --- app/providers.py ---
from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import get_db, open_session
from app.notes import NoteRepository, NoteService


class Mailer:
    def send(self, to: str) -> None:
        print(to)


class SessionModule:
    def provide_notes(self, db: AsyncSession) -> NoteRepository:
        return NoteRepository(db)

    def provide_service(self, db: AsyncSession) -> NoteService:
        notes = self.provide_notes(db)
        return NoteService(notes)

    def provide_mailer(self) -> Mailer:
        return Mailer()

    def provide_notes_or_own(self, db: AsyncSession | None = None) -> NoteRepository:
        return NoteRepository(db or open_session())


def get_mailer(db: AsyncSession = Depends(get_db)) -> Mailer:
    print(db.info.get("who"))
    return Mailer()
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    yield from _other_objects(analysis)
    yield from _idle(analysis)


def _idle(analysis: Analysis) -> Iterator[Draft]:
    """Functions that take a session, are called with it, and can do nothing with it."""
    for function in analysis.functions:
        sessions = analysis.engine.session_parameters(function)
        if not sessions or sessions[0].path or analysis.entries.kind(function):
            continue
        if function.key in analysis.entries.dependencies or function.key in analysis.providers:
            continue
        name = sessions[0].name
        left = unsaved(analysis.infer, function, name)
        callers = [c for c, _, how in analysis.callers.get(function.key, ()) if how == "call" and not c.module.is_test]
        if left is None or not callers:
            continue
        undone = f"hands `{left}` back without using it: the row is not saved" if left else "does nothing with it"
        yield Draft(
            function,
            function.facts.loc,
            f"`{function.qualname}` takes `{name}` and {undone}",
            f"`{name}.add({left})`" if left else "do the work here, or drop the function",
            "callers believe it is done",
            callers_steps(analysis, function),
        )


def _other_objects(analysis: Analysis) -> Iterator[Draft]:
    """Providers that return an object which is not built on the session they were given."""
    for function, seen in analysis.observations(Returned):
        sessions = [o for o in analysis.engine.session_parameters(function) if o.name not in seen.without]
        if not sessions or len(sessions) != len(analysis.engine.session_parameters(function)):
            continue
        if function.owner is not None and function.name.startswith("__"):
            continue
        built = [o for o in v.options_of(seen.value) if isinstance(o, v.Instance)]
        if not built or not all(analysis.infer.classes.holds_session(o.cls) for o in built):
            continue
        if any(origin in seen.origins or origin.root in {o.root for o in seen.origins} for origin in sessions):
            continue
        if any(o.kind == "param" for o in seen.origins):
            continue
        if not seen.origins and not any(o.fields or o.root for o in built):
            continue
        name = sessions[0].name
        if is_handed_on(analysis.infer, function, name, surely=bool(seen.origins)):
            continue
        yield Draft(
            function,
            seen.loc,
            f"`{function.qualname}` takes `{name}` but returns a `{built[0].cls.name}` that is not built on it",
            f"build it on the argument: `return {built[0].cls.name}({name})`",
            f"works outside the transaction of `{name}`",
        )
