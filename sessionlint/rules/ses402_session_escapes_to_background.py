"""A session is handed to work that may outlive its owner.

## What it does

Reports `BackgroundTasks.add_task(...)`, `asyncio.create_task(...)`, `ensure_future(...)` and the like when the work
they start uses a session that somebody else closes: the request's session, or one of an enclosing `with` block. The
session may be an argument, be held by a service or bound method, or be captured by a closure.

## Why is this bad

The owner ends the session when its own work is over, whatever the task is doing then. A closed SQLAlchemy session
reopens by itself on the next call, so the task raises nothing: it works in a transaction that nobody will commit, on a
connection that nobody will give back. The rows are lost and the connection stays `idle in transaction` until the
garbage collector finds it. While the owner is still busy, both use the session at once (SES401).

For `BackgroundTasks` it depends on FastAPI: 0.106-0.117, and any dependency with `scope="function"`, end the session
before the job runs (writes lost); 0.118 and later keep it, and the connection stays pinned, for the whole job. The
message says which of the two happens.

## Instead

Pass ids, and open a session in the job:

    async def send_welcome(account_id: int) -> None:
        async with maker.begin() as db:
            account = await db.get_one(Account, account_id)
            ...

    background.add_task(send_welcome, account.id)

Commit before the job starts, or it may not see the row (SES320).

## When it is silent

The task gets ids or the factory, opens its own session, or is created and awaited at once, alone, inside the session's
scope.

## Fix safety

No fix: the job needs a transaction of its own, and objects that were loaded by the old session must be loaded again.

## Options

`target`: the FastAPI version, where it is not found from a lock file or the declared range.

## Symptom at run time

No error: the job's writes are lost, and PostgreSQL shows one connection `idle in transaction` per job; later
`sqlalchemy.exc.TimeoutError: QueuePool limit of size ... reached`. With other timing:
`sqlalchemy.exc.IllegalStateChangeError`.

## References

- https://fastapi.tiangolo.com/advanced/advanced-dependencies/
- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#session-faq-whentocreate
- https://docs.python.org/3/library/asyncio-task.html#asyncio.create_task
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import Spawned
from sessionlint.findings import Severity
from sessionlint.project import values as v
from sessionlint.project.frameworks import fastapi
from sessionlint.project.symbols import Function
from sessionlint.rules.base import Draft, spelled

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


class Account(Base):
    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True)
    welcomed: Mapped[bool] = mapped_column(default=False)


async def get_db() -> AsyncIterator[AsyncSession]:
    async with maker() as db:
        yield db

# --- app/mails.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Account


async def send_welcome(db: AsyncSession, account_id: int) -> None:
    account = await db.get_one(Account, account_id)
    account.welcomed = True
    await db.flush()


class Mailer:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def send_welcome(self, account_id: int) -> None:
        await send_welcome(self._db, account_id)

# --- app/routes.py ---
import asyncio

from fastapi import APIRouter, BackgroundTasks, Depends
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Account, get_db
from app.mails import Mailer, send_welcome

router = APIRouter()


@router.post("/accounts")
async def register(background: BackgroundTasks, db: AsyncSession = Depends(get_db)) -> int:
    account = Account()
    db.add(account)
    await db.commit()
    background.add_task(send_welcome, db, account.id)  # SES402
    return account.id


@router.post("/accounts/fast")
async def register_fast(db: AsyncSession = Depends(get_db)) -> int:
    account = Account()
    db.add(account)
    await db.commit()
    asyncio.create_task(send_welcome(db, account.id))  # SES402
    return account.id


@router.post("/accounts/service")
async def register_by_service(background: BackgroundTasks, db: AsyncSession = Depends(get_db)) -> int:
    account = Account()
    db.add(account)
    await db.commit()
    background.add_task(Mailer(db).send_welcome, account.id)  # SES402
    return account.id
""",
    """
# --- app/worker.py ---
import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


async def poll(running: set[asyncio.Task[None]]) -> None:
    async with maker() as db:

        async def finish(job_id: int) -> None:
            await db.execute(text("update jobs set done = true where id = :i"), {"i": job_id})
            await db.commit()

        job_id = await db.scalar(text("select id from jobs where not done limit 1"))
        running.add(asyncio.create_task(finish(job_id)))  # SES402
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


class Account(Base):
    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(primary_key=True)
    welcomed: Mapped[bool] = mapped_column(default=False)


async def get_db() -> AsyncIterator[AsyncSession]:
    async with maker() as db:
        yield db

# --- app/mails.py ---
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.db import Account, maker


async def mark_welcomed(db: AsyncSession, account_id: int) -> None:
    account = await db.get_one(Account, account_id)
    account.welcomed = True
    await db.flush()


async def send_welcome(account_id: int) -> None:
    async with maker.begin() as db:
        await mark_welcomed(db, account_id)


async def send_welcome_with(factory: async_sessionmaker[AsyncSession], account_id: int) -> None:
    async with factory.begin() as db:
        await mark_welcomed(db, account_id)

# --- app/routes.py ---
import asyncio

from fastapi import APIRouter, BackgroundTasks, Depends
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Account, get_db, maker
from app.mails import mark_welcomed, send_welcome, send_welcome_with

router = APIRouter()


@router.post("/accounts")
async def register(background: BackgroundTasks, db: AsyncSession = Depends(get_db)) -> int:
    """The job gets the id."""
    account = Account()
    db.add(account)
    await db.commit()
    background.add_task(send_welcome, account.id)
    return account.id


@router.post("/accounts/fast")
async def register_fast(db: AsyncSession = Depends(get_db)) -> int:
    """The task gets the factory."""
    account = Account()
    db.add(account)
    await db.commit()
    asyncio.create_task(send_welcome_with(maker, account.id))
    return account.id


@router.post("/accounts/limited")
async def register_limited(db: AsyncSession = Depends(get_db)) -> int:
    """The task is created and awaited at once, alone: it ends before the session does."""
    account = Account()
    db.add(account)
    await db.flush()
    await asyncio.create_task(mark_welcomed(db, account.id))
    await db.commit()
    return account.id
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function, seen in analysis.observations(Spawned):
        origins = [o for o in seen.origins if _is_lent(o, function)]
        if not origins or seen.kind.startswith("thread"):
            continue
        name = _named(origins[0])
        if seen.kind == "background":
            message = f"{name} is handed to `{seen.work}`, which runs after the response: {_after_response(analysis)}"
            label = "runs when the request is over"
        else:
            message = f"{name} is handed to the task `{seen.work}`, which outlives the scope that closes it"
            label = "closed while the task still uses it; the closed session reopens and leaks"
        yield Draft(function, seen.loc, message, "pass ids, and open a session inside the job", label)


def _named(origin: v.Origin) -> str:
    if origin.kind == "param":
        return f"`{spelled(origin)}`"
    return "the session of the framework" if origin.kind == "dependency" else "the session opened here"


def _is_lent(origin: v.Origin, function: Function) -> bool:
    """A session that somebody else closes: a parameter, or one opened in a scope here; not the object's own."""
    return origin.kind in {"local", "dependency"} or (origin.kind == "param" and origin.name != function.receiver)


def _after_response(analysis: Analysis) -> str:
    version = analysis.settings.versions.get("fastapi")
    known = fastapi.lifecycle(version)
    if version is None or (version.exact is None and version.spec is None):
        return (
            "depending on the FastAPI version it is closed by then, or its connection stays pinned until the job ends"
        )
    if known.early:
        also = f" ({known.other})" if known.other else ""
        return f"FastAPI 0.106-0.117 has closed the session by then: what the job writes is lost{also}"
    return "the request's connection stays pinned until the job ends"
