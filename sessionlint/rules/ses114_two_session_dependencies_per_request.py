"""One request is given two sessions on the same database.

## What it does

Reports an endpoint whose FastAPI dependencies open two sessions from one factory: through two different provider
functions (`get_db` and `get_db_session`), through one with two scopes, or with `use_cache=False`. The second session may
hide in a service, repository or authentication dependency; the trace shows the way to both.

FastAPI shares a dependency within a request by its callable (and, from 0.121 on, its scope): a wrapper is another key.

## Why is this bad

Two sessions are two transactions. What one has flushed the other does not see: a foreign key fails, a check passes that
should not. An object loaded by one cannot be added to the other. One commit does not save the other's work. Under load
each request holds one connection while it waits for the second: the pool locks up.

## Instead

One dependency, behind one alias, used everywhere:

    DbSession = Annotated[AsyncSession, Depends(get_db)]

## When it is silent

Providers that open their sessions from different factories (two databases, a read replica), or whose name says that they
only read; a provider that passes on another's session; the same provider reached twice.

## Fix safety

There is no fix: which of the providers is the right one, and what it does at the end of the request, is a decision.

## Options

None; a deliberate second transaction is a suppression with its reason.

## Symptom at run time

`ForeignKeyViolation` for a row that was just inserted; `InvalidRequestError: Object ... is already attached to session`;
`TimeoutError: QueuePool limit ... reached` although every session is closed.

## References

- https://fastapi.tiangolo.com/tutorial/dependencies/sub-dependencies/#using-the-same-dependency-multiple-times
- https://fastapi.tiangolo.com/advanced/advanced-dependencies/
- https://github.com/fastapi/fastapi/pull/14262
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.requests import Provided, opened_from, opens_session, provided
from sessionlint.findings import Severity, Step
from sessionlint.project.frameworks import fastapi
from sessionlint.project.symbols import Function
from sessionlint.rules.base import Draft, step

SEVERITY = Severity.WARNING
DEFAULT = True

_READS = re.compile(r"(^|_)(read|readonly|ro|replica|reader)(_|$)")

BAD = (
    """
# --- app/db.py ---
import os
from collections.abc import AsyncIterator

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

maker = async_sessionmaker(create_async_engine(os.environ["DATABASE_URL"]), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)


async def get_db() -> AsyncIterator[AsyncSession]:
    async with maker() as db:
        yield db


async def get_db_session() -> AsyncIterator[AsyncSession]:
    async with maker() as db:
        yield db

# --- app/repositories.py ---
from typing import Annotated

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Order, get_db_session


class OrderRepository:
    def __init__(self, db: Annotated[AsyncSession, Depends(get_db_session)]) -> None:
        self._db = db

    async def add(self) -> Order:
        order = Order()
        self._db.add(order)
        await self._db.flush()
        return order

# --- app/routes.py ---
from typing import Annotated

from fastapi import APIRouter, Depends
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Order, get_db
from app.repositories import OrderRepository

router = APIRouter()


@router.post("/orders")
async def create(
    orders: Annotated[OrderRepository, Depends()],
    db: Annotated[AsyncSession, Depends(get_db)],  # SES114
) -> int:
    order = await orders.add()
    await db.commit()
    return order.id


@router.post("/orders/scoped")
async def scoped(
    db: Annotated[AsyncSession, Depends(get_db)],
    early: Annotated[AsyncSession, Depends(get_db, scope="function")],  # SES114
) -> None:
    db.add(Order())
    await db.flush()
    await early.commit()


@router.post("/orders/uncached")
async def uncached(
    db: AsyncSession = Depends(get_db),
    again: AsyncSession = Depends(get_db, use_cache=False),  # SES114
) -> None:
    db.add(Order())
    await again.commit()
""",
)

GOOD = (
    '''
# --- app/db.py ---
import os
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

maker = async_sessionmaker(create_async_engine(os.environ["DATABASE_URL"]), expire_on_commit=False)
replica = async_sessionmaker(create_async_engine(os.environ["REPLICA_URL"]), expire_on_commit=False)


async def get_db() -> AsyncIterator[AsyncSession]:
    async with maker() as db:
        yield db


async def get_replica() -> AsyncIterator[AsyncSession]:
    async with replica() as db:
        yield db


async def get_read_session() -> AsyncIterator[AsyncSession]:
    async with maker() as db:
        yield db


async def get_tenant_db(db: Annotated[AsyncSession, Depends(get_db)]) -> AsyncSession:
    """Passes the same session on."""
    db.info["tenant"] = "x"
    return db


get_db_session = get_db
DbSession = Annotated[AsyncSession, Depends(get_db)]

# --- app/routes.py ---
from typing import Annotated

from fastapi import APIRouter, Depends
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import DbSession, get_db, get_db_session, get_read_session, get_replica, get_tenant_db

router = APIRouter()


class Audit:
    def __init__(self, db: DbSession) -> None:
        self._db = db


async def current_user(db: DbSession) -> str:
    return str(await db.scalar(text("select 1")))


@router.post("/orders")
async def create(
    db: DbSession,
    audit: Annotated[Audit, Depends()],
    user: Annotated[str, Depends(current_user)],
    same: Annotated[AsyncSession, Depends(get_db)],
    alias: Annotated[AsyncSession, Depends(get_db_session)],
    tenant: Annotated[AsyncSession, Depends(get_tenant_db)],
) -> str:
    """One session, reached six times."""
    await db.commit()
    return f"{user} {audit} {same} {alias} {tenant}"


@router.get("/orders")
async def orders(
    db: DbSession,
    replica: Annotated[AsyncSession, Depends(get_replica)],
    reader: Annotated[AsyncSession, Depends(get_read_session)],
) -> list[str]:
    """Another database, and one that says it only reads."""
    await db.commit()
    return [str(await replica.scalar(text("select 1"))), str(reader)]


@router.get("/first")
async def first(db: Annotated[AsyncSession, Depends(get_db)]) -> None:
    await db.commit()


@router.get("/second")
async def second(db: Annotated[AsyncSession, Depends(get_read_session)]) -> None:
    """Two providers in two endpoints are two requests."""
    await db.commit()
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    scopes = fastapi.lifecycle(analysis.settings.versions.get("fastapi")).scopes
    told = set()
    for function in analysis.functions:
        if analysis.entries.kind(function) != "route":
            continue
        found = [
            one
            for name in function.parameters
            for one in provided(analysis, function, name)
            if opens_session(analysis, one.provider)
        ]
        pair = _two(analysis, found, scopes)
        if pair is None:
            continue
        first, second = pair
        hidden = next((p for p in (second, first) if p.via and not _holds(analysis, function, p)), None)
        same = (function.key if hidden is None else "", first.provider.key, second.provider.key, *_names(hidden))
        if same in told:
            continue  # the same authentication dependency before another endpoint
        told.add(same)
        yield Draft(
            function,
            second.loc,
            f"`{function.qualname}` works with two sessions on one database: "
            f"{_described(first, second)} and {_described(second, first)}",
            "use one session dependency, through one alias, everywhere",
            "a second transaction in the same request",
            (*_way(function, first), *_way(function, second)),
        )


def _two(analysis: Analysis, found: list[Provided], scopes: bool) -> tuple[Provided, Provided] | None:
    """The first two that are different sessions of the same database."""
    for index, second in enumerate(found):
        for first in found[:index]:
            same = first.provider is second.provider
            if same and first.cached and second.cached and (first.scope == second.scope or not scopes):
                continue
            if not same and (_READS.search(first.provider.name) or _READS.search(second.provider.name)):
                continue
            source = opened_from(analysis, first.provider)
            if source and source == opened_from(analysis, second.provider):
                return first, second
    return None


def _holds(analysis: Analysis, function: Function, one: Provided) -> bool:
    """Whether what the endpoint is given works with the session itself, and is not just what was loaded by it."""
    return bool(analysis.infer.holds(analysis.infer.parameter(function, one.parameter)))


def _names(one: Provided | None) -> tuple[str, ...]:
    return () if one is None else (one.via[-1].key,)


def _described(one: Provided, other: Provided) -> str:
    """``db`` (``get_db``); with its module where the other's function has the same name."""
    same_name = one.provider is not other.provider and one.provider.name == other.provider.name
    provider = f"{one.provider.module.dotted}.{one.provider.name}" if same_name else one.provider.name
    options = f', scope="{one.scope}"' if one.scope else ""
    options += "" if one.cached else ", use_cache=False"
    return f"`{one.parameter}` (`{provider}{options}`)"


def _way(function: Function, one: Provided) -> tuple[Step, ...]:
    calls = [step(f.module.path, f.facts.loc, f"{f.qualname} is a dependency of `{one.parameter}`") for f in one.via]
    last = step(one.provider.module.path, one.provider.facts.loc, f"{one.provider.name} opens a session")
    return (*calls, last)
