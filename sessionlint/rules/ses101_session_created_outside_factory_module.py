"""A repository, service or helper opens a session of its own instead of working on the one it is given.

## What it does

Reports every place that brings a session to life - `open_session()`, `sessionmaker(...)()`, `open_session.begin()`,
`AsyncSession(engine)`, a factory that arrived as a value - in code below a boundary: repositories, services, use cases,
providers, helper functions. How the factory is spelled does not matter; it is followed by import and by data flow.

Not reported: the file that defines a factory or a provider, and short scopes that are opened and closed inside one
function at a boundary (stream generator, background or queue task, lifespan hook, command-line entry point, test).

Where SES102, SES105, SES106, SES116 or SES117 says more about the same line, only that rule reports.

## Why is this bad

Each creation site is one more transaction. Two services called by one endpoint then see different data, fail and
commit separately, and need two connections per request where one would do. Nobody can say any more where a request's
work becomes permanent.

## Instead

Take the session (or a unit of work) as a parameter. Open it where the work begins: in the request dependency, the unit
of work, or the worker's entry point.

## Fix safety

There is no fix: a new parameter changes every caller.

## Options

- `allowed-session-files`: globs of files in which sessions may be created; by default the files that define a factory
  or a provider.
- `session-factories`, `session-providers`: further dotted names, where the analysis cannot follow them.

## Symptom at run time

No error. The callee does not see the caller's uncommitted rows, and what it commits survives the caller's rollback.
Under load: `sqlalchemy.exc.TimeoutError: QueuePool limit of size 5 overflow 10 reached, connection timed out`.

## References

- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#when-do-i-construct-a-session-when-do-i-commit-it-and-when-do-i-close-it
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatch

from sessionlint.effects import Analysis
from sessionlint.effects.observations import Created
from sessionlint.findings import Severity
from sessionlint.project import values as v
from sessionlint.project.symbols import Class, Function
from sessionlint.rules.base import Draft, callers_steps

SEVERITY = Severity.WARNING
DEFAULT = True
WHEN_MANY = "if each repository call is meant to be a transaction of its own, allow their files: allowed-session-files"
YIELDS_TO = ("SES102", "SES105", "SES106", "SES117", "function:SES116")

_ROLE_FOLDERS = frozenset(
    {"service", "services", "repository", "repositories", "repos", "crud", "dao", "use_cases", "usecases", "domain"}
)
_ENTRY_MODULES = frozenset(
    {"main", "cli", "worker", "workers", "tasks", "task", "jobs", "bot", "bots", "handlers", "web", "api", "routes",
     "routers", "endpoints", "views", "commands", "server", "consumer", "consumers", "scheduler", "cron", "app",
     "listeners", "events", "middleware", "middlewares", "plugins", "lifespan", "startup"}
)  # fmt: skip
_ROLE_NAMES = ("Service", "Repository", "Repo", "DAO", "UseCase")
#: folders of work that no request waits for
_BACKGROUND_FOLDERS = frozenset({"background", "tasks", "jobs", "workers", "worker", "cron", "celery", "schedulers"})
#: classes that are handed a session wherever they are used
_STORE_NAMES = ("Repository", "Repo", "DAO")
_PLAIN_BASES = frozenset({"ABC", "Generic", "Protocol", "object", "BaseModel", "Enum", "NamedTuple", "Exception"})

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

# --- app/services/report.py ---
from sqlalchemy import text

from app.db import open_session


async def totals(month: str) -> list[int]:
    async with open_session() as db:  # SES101
        rows = await db.execute(text("select sum(cents) from sales where month = :m"), {"m": month})
        return list(rows.scalars())
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


class Pallet(Base):
    __tablename__ = "pallets"
    id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str]

# --- app/repositories.py ---
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.db import engine
from app.db import open_session as new_session
from app.models import Pallet


class PalletRepository:
    async def save(self, pallet: Pallet) -> None:
        async with new_session.begin() as db:  # SES101
            db.add(pallet)

    async def rename(self, key: int, label: str) -> None:
        async with AsyncSession(engine) as db:  # SES101
            pallet = await db.get_one(Pallet, key)
            pallet.label = label
            await db.commit()


class LabelService:
    def __init__(self, factory: async_sessionmaker[AsyncSession]) -> None:
        self._factory = factory

    async def first(self) -> Pallet | None:
        async with self._factory() as db:  # SES101
            return await db.get(Pallet, 1)
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

# --- app/users/queries.py ---
from sqlalchemy import text

from app import db


def user_names() -> list[str]:
    session = db.SessionLocal()  # SES101
    try:
        return list(session.scalars(text("select name from users")))
    finally:
        session.close()
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

# --- app/services/report.py ---
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


async def totals(db: AsyncSession, month: str) -> list[int]:
    async with db.begin_nested():
        rows = await db.execute(text("select sum(cents) from sales where month = :m"), {"m": month})
    return list(rows.scalars())


# --- app/worker.py ---
import asyncio

from app.db import open_session
from app.services.report import totals


async def main() -> None:
    async with open_session() as db:
        print(await totals(db, "2026-01"))


if __name__ == "__main__":
    asyncio.run(main())


# --- tests/test_report.py ---
from app.db import open_session
from app.services.report import totals


async def test_totals() -> None:
    async with open_session() as db:
        assert await totals(db, "2026-01") == [None]
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

# --- app/main.py ---
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import StreamingResponse
from sqlalchemy import text

from app.db import open_session


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with open_session() as db:
        await db.execute(text("select 1"))
    yield


app = FastAPI(lifespan=lifespan)


async def forget(key: int) -> None:
    async with open_session.begin() as db:
        await db.execute(text("delete from logs where id = :k"), {"k": key})


@app.delete("/logs/{key}")
async def delete(key: int, tasks: BackgroundTasks) -> None:
    tasks.add_task(forget, key)


@app.get("/logs")
async def stream() -> StreamingResponse:
    async def lines() -> AsyncIterator[str]:
        async with open_session() as db:
            rows = (await db.scalars(text("select line from logs"))).all()
        for row in rows:
            yield f"{row}\\n"

    return StreamingResponse(lines())
""",
    """
# --- app/chat.py ---
from dataclasses import dataclass, field


@dataclass
class ChatSession:
    lines: list[str] = field(default_factory=list)


class ChatService:
    def open(self) -> ChatSession:
        session = ChatSession()
        session.lines.append("hello")
        return session
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    allowed = analysis.settings.allowed_session_files
    for function, seen in analysis.observations(Created):
        path = function.module.path
        if (seen.at_hand is not None and not seen.at_hand.path) or seen.fallback or seen.how == "unit":
            continue  # handed one and opening another is SES102; what the object holds does not settle who may open one
        if any(fnmatch(path, glob) for glob in allowed) or path in analysis.factory_files:
            continue
        if seen.provider is not None and not _hands_out_session(analysis, seen.provider):
            continue
        owner = _owner(function)
        if function.key in analysis.providers or analysis.is_script(function) or _hands_over(analysis, function):
            continue
        if analysis.entries.boundary(function) or _in_stream(analysis, function):
            continue
        background = bool(_BACKGROUND_FOLDERS & set(function.module.dotted.split(".")[:-1]))
        boundary = analysis.in_boundary(function)
        layered = _ROLE_NAMES if boundary == "script" else _STORE_NAMES
        if (background or boundary) and not (owner is not None and owner.name.endswith(layered)):
            continue
        if owner is not None and (analysis.engine.is_unit_class(owner) or analysis.is_transaction_manager(owner)):
            continue
        if owner is not None and owner.name.lower().endswith(("unitofwork", "uow", "transaction")):
            continue
        if not _callers(analysis, function) and (
            _overrides_framework(analysis, function) or (not _has_role(function, owner) and _may_be_entry(function))
        ):
            continue
        subject = f"`{owner.name}`" if owner is not None else f"`{function.qualname}`"
        yield Draft(
            function,
            seen.loc,
            f"{subject} opens its own session with `{seen.text}`, outside the files that may create sessions",
            "take the session (or a unit of work) as a parameter; open it at the boundary that commits",
            "a transaction of its own begins here",
            callers_steps(analysis, function),
        )


def _hands_over(analysis: Analysis, function: Function) -> bool:
    """A context manager, dependency or decorator made to open sessions for others."""
    if {"contextmanager", "asynccontextmanager", "wraps"} & function.decorator_names:
        return True
    if not function.facts.is_generator:
        return False
    return function.key in analysis.entries.dependencies or any(
        origin.kind == "local" for origin in analysis.infer.holds(analysis.infer.yields(function))
    )


def _hands_out_session(analysis: Analysis, provider: Function) -> bool:
    """A factory that hands out a service opens the session itself; whoever enters it opens none."""
    return any(isinstance(o, v.Session) for o in v.options_of(analysis.infer.yields(provider)))


def _owner(function: Function) -> Class | None:
    current: Function | None = function
    while current is not None and current.owner is None:
        current = current.parent
    return current.owner if current is not None else None


def _has_role(function: Function, owner: Class | None) -> bool:
    """Below a boundary by where it stands: a folder of services or repositories, a class of that kind."""
    if owner is not None and owner.name.endswith(_ROLE_NAMES):
        return True
    return bool(_ROLE_FOLDERS & set(function.module.dotted.split(".")[:-1]))


def _in_stream(analysis: Analysis, function: Function) -> bool:
    """A generator whose items go to a client, or a function inside one."""
    current: Function | None = function
    while current is not None:
        if current.key in analysis.streamed:
            return True
        current = current.parent
    return False


def _overrides_framework(analysis: Analysis, function: Function) -> bool:
    """A method of a class with an outside base: the framework may call it."""
    outside = analysis.infer.classes.outside_bases(function.owner) if function.owner is not None else ()
    return any(dotted.rpartition(".")[2] not in _PLAIN_BASES for dotted in outside)


def _may_be_entry(function: Function) -> bool:
    """Nobody in the project calls it, and it stands where something outside might."""
    return bool(_ENTRY_MODULES & set(function.module.dotted.split(".")[-2:]))


def _callers(analysis: Analysis, function: Function) -> list[Function]:
    found = analysis.callers.get(function.key, ())
    return [
        c for c, _, how in found if how in {"call", "enter", "iterate"} and not c.module.is_test and c is not function
    ]
