"""An object that lives longer than the request keeps the request's session, so later requests write through it.

## What it does

Follows each session that comes from a parameter, a dependency or a `with` block into the objects that are built on it
(repository, service, use case), and reports where such an object is stored in something that outlives the session:

- a memoised provider, `if self._service is None: self._service = Service(Repo(db))`, on a container that lives as long
  as the process; a module global; a class attribute; a registry; the state of the application;
- a function under `lru_cache` or `cache` that takes the session;
- a factory that returns the object from inside the `with` block which closes the session.

Silent when nothing bound to a session flows in (an LLM client, a policy, a publisher), when the holder itself is made
for each request, and when what is kept is the *factory*.

## Why is this bad

The first request's session is used by all that follow. The second request writes through session A and commits session
B: its rows hang in a transaction which nobody commits, or are committed by a stranger. When two requests meet, both use
one connection at once. Nothing looks wrong at any single line, every handler commits, and a search for missing commits
finds none.

## Instead

Keep what has no session; build what has one anew for each request: `return Service(Repo(db))`. It is cheap. If
something must live long, let it keep the session *factory* and open a short scope for each piece of work. What everybody
who has it kept takes out again in a `finally` (a tracker of open sessions) is not reported.

## Fix safety

Safe where the memo does nothing but capture: replaces it by `return Service(Repo(db))`. Everything else has no fix.

## Options

- `session-providers`, `session-factories`: further dotted names.

## Symptom at run time

No error, rows vanish: each request answers 200 or 201, only the first one's rows are saved, and one connection stays
`idle in transaction`. Under load: `sqlalchemy.exc.IllegalStateChangeError`, `sqlalchemy.exc.InterfaceError: ... cannot
perform operation: another operation is in progress`, or `InvalidRequestError: This session is provisioning a new
connection; concurrent operations are not permitted`.

## References

- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#is-the-session-thread-safe-is-asyncsession-safe-to-share-in-concurrent-tasks
- https://docs.sqlalchemy.org/en/20/errors.html#error-isce
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import Escaped, Stored
from sessionlint.findings import Severity, Step
from sessionlint.project import values as v
from sessionlint.project.containers import captured_sessions
from sessionlint.project.keeping import calls_finally, removers
from sessionlint.project.lifetimes import Reason
from sessionlint.project.symbols import Function
from sessionlint.rules.base import Draft, callers_steps, spelled, step

SEVERITY = Severity.ERROR
DEFAULT = True

_CONSTRUCTORS = frozenset({"__init__", "__post_init__", "__aenter__", "__enter__", "__new__"})

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

# --- app/container.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.notes import NoteRepository, NoteService


class Container:
    def __init__(self) -> None:
        self._repository: NoteRepository | None = None
        self._service: NoteService | None = None

    def repository(self, db: AsyncSession) -> NoteRepository:
        if self._repository is None:
            self._repository = NoteRepository(db)  # SES115
        return self._repository

    def service(self, db: AsyncSession) -> NoteService:
        if self._service is None:
            self._service = NoteService(self.repository(db))  # SES115
        return self._service


container = Container()


# --- app/api.py ---
from fastapi import APIRouter, Depends
from sqlalchemy.ext.asyncio import AsyncSession

from app.container import container
from app.db import get_db

router = APIRouter()


@router.post("/notes")
async def write(body: str, db: AsyncSession = Depends(get_db)) -> None:
    await container.service(db).write(body)
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

# --- app/wiring.py ---
from functools import lru_cache

from sqlalchemy.ext.asyncio import AsyncSession

from app.db import open_session
from app.notes import NoteRepository, NoteService

_service: NoteService | None = None


def get_service(db: AsyncSession) -> NoteService:
    global _service
    if _service is None:
        _service = NoteService(NoteRepository(db))  # SES115
    return _service


class Registry:
    notes: NoteRepository | None = None


def register(db: AsyncSession) -> None:
    Registry.notes = NoteRepository(db)  # SES115


async def build_service() -> NoteService:
    async with open_session() as db:
        return NoteService(NoteRepository(db))  # SES115
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

# --- app/main.py ---
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from app.db import open_session
from app.notes import NoteRepository


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with open_session() as db:
        app.state.notes = NoteRepository(db)  # SES115
    yield


app = FastAPI(lifespan=lifespan)
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

# --- app/container.py ---
import httpx
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.db import open_session
from app.notes import NoteRepository, NoteService


class TitlePolicy:
    def clean(self, raw: str) -> str:
        return raw.strip()


class NoteFactory:
    def __init__(self, factory: async_sessionmaker[AsyncSession]) -> None:
        self._factory = factory

    async def write(self, body: str) -> None:
        async with self._factory.begin() as db:
            await NoteRepository(db).add(body)


class Container:
    def __init__(self) -> None:
        self._policy: TitlePolicy | None = None
        self._client: httpx.AsyncClient | None = None
        self._notes: NoteFactory | None = None

    def policy(self) -> TitlePolicy:
        if self._policy is None:
            self._policy = TitlePolicy()
        return self._policy

    def client(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=30)
        return self._client

    def notes(self) -> NoteFactory:
        if self._notes is None:
            self._notes = NoteFactory(open_session)
        return self._notes

    def service(self, db: AsyncSession) -> NoteService:
        return NoteService(NoteRepository(db))


container = Container()
""",
    '''
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

# --- app/scope.py ---
from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import get_db
from app.notes import NoteRepository, NoteService


class RequestScope:
    """Made anew for each request, so it may keep what belongs to the request."""

    def __init__(self, db: AsyncSession = Depends(get_db)) -> None:
        self._db = db
        self._service: NoteService | None = None

    @property
    def service(self) -> NoteService:
        if self._service is None:
            self._service = NoteService(NoteRepository(self._db))
        return self._service


# --- app/api.py ---
from fastapi import APIRouter, Depends

from app.scope import RequestScope

router = APIRouter()


@router.post("/notes")
async def write(body: str, scope: RequestScope = Depends(RequestScope)) -> None:
    await scope.service.write(body)
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function, left in analysis.observations(Escaped):
        if left.what == "object":
            yield _built_in_scope(function, left)
    for function, seen in analysis.observations(Stored):
        draft = _stored(analysis, function, seen)
        if draft is not None:
            yield draft
    for found in captured_sessions(analysis.infer):
        yield Draft(
            found.owner,
            found.loc,
            f"`{found.cls.name}` is built once for the process and keeps the session it is given as `{found.argument}`",
            "make it a `Factory`, or give it the session factory",
            "the singleton outlives every transaction",
        )
    for function in analysis.functions:
        if {"lru_cache", "cache"} & function.decorator_names:
            held = analysis.infer.holds(analysis.infer.returns(function))
            taken = sorted(o.name for o in held if o.kind == "param")
            if taken:
                yield Draft(
                    function,
                    function.facts.loc,
                    f"`{function.qualname}` is cached: every later call gets the object built on the first `{taken[0]}`",
                    "do not cache what holds a session; cache the factory",
                    "the cache outlives the session",
                )


def _stored(analysis: Analysis, function: Function, seen: Stored) -> Draft | None:
    """An object that holds somebody's session is put where it outlives it."""
    kind, _, key = seen.holder.partition(":")
    handed = [
        o
        for o in seen.origins
        if (_is_handed(o, function) and _is_sure(analysis, o, function)) or (o.kind == "local" and seen.scoped)
    ]
    if not handed:
        return None
    reasons: tuple[Reason, ...] = ()
    if kind in {"self", "object"}:
        if function.name in _CONSTRUCTORS:
            return None
        known = analysis.lifetimes.process_long(key)
        if known is None:
            return None
        reasons = known
    elif _is_taken_out_again(analysis, function, seen.target):
        return None
    elif kind == "global":
        reasons = (Reason(function.module.path, seen.loc, f"`{seen.target}` is a module global"),)
    elif kind == "class":
        reasons = (Reason(function.module.path, seen.loc, f"`{seen.target}` is an attribute of the class"),)
    origin = handed[0]
    whose = "a scope that ends" if origin.kind == "local" else f"`{spelled(origin.root)}`"
    return Draft(
        function,
        seen.loc,
        f"`{seen.target}` keeps {_subject(seen.value)} built on the session of {whose} for the life of the process",
        "build it anew for every request: `return Service(Repository(db))`; keep only what holds no session",
        "every later request works in the first one's session",
        (*_origin_steps(analysis, function), *(step(r.path, r.loc, r.text) for r in reasons)),
    )


def _is_taken_out_again(analysis: Analysis, function: Function, target: str) -> bool:
    """Whether everybody who has something kept takes it out in a ``finally``: ``track(db)`` ... ``untrack(key)``."""
    container = target.partition("[")[0]
    names = removers(function, container)
    users = {caller.key: caller for caller, _, how in analysis.callers.get(function.key, ()) if how == "call"}
    return bool(names and users) and all(calls_finally(user, names) for user in users.values())


def _is_sure(analysis: Analysis, origin: v.Origin, function: Function) -> bool:
    """Whether what is handed in holds a session whatever implements it."""
    if origin.name not in function.parameters:
        return True
    infer = analysis.infer
    binding = {origin.name: infer.parameter(function, origin.name)}
    value = infer.resolve_origin(origin, binding)
    return not isinstance(value, v.Instance) or infer.classes.surely_holds_session(value.cls)


def _is_handed(origin: v.Origin, function: Function) -> bool:
    return origin.kind == "dependency" or (origin.kind == "param" and origin.name != function.receiver)


def _origin_steps(analysis: Analysis, function: Function) -> tuple[Step, ...]:
    """From the request that brings the session down to the function that keeps it."""
    steps = callers_steps(analysis, function, limit=4)
    return (*steps, step(function.module.path, function.facts.loc, f"{function.qualname} is handed the session"))


def _subject(value: v.Value) -> str:
    for option in v.options_of(value):
        if isinstance(option, v.Instance):
            article = "an" if option.cls.name[0] in "AEIOU" else "a"
            return f"{article} `{option.cls.name}`"
    return "an object"


def _built_in_scope(function: Function, seen: Escaped) -> Draft:
    return Draft(
        function,
        seen.loc,
        f"`{seen.text}` leaves the block that closes the session it is built on",
        "open the session where the object is used, or hand the object out with `yield` from a context manager",
        "the session is closed when the caller gets the object",
        (step(function.module.path, seen.opened, "the session is opened, and closed at the end of this block"),),
    )
