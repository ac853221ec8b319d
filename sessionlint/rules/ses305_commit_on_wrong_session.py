"""`commit()` on a session that holds nothing, while the rows are in another one that nobody commits.

## What it does

Reports a commit on a session (or unit of work) that the function opened itself and that has no changes, when on the same
path another session has writes that are still pending when the function ends: it was handed in, is held by the object,
or was opened beside it.

## Why is this bad

The commit succeeds, on the wrong connection. It reads as if the work were saved, and this is what makes the fault hard
to find: a service that was built on the request's session is used inside a fresh unit of work, the unit is committed,
and the rows go away with the other session.

## Instead

Build the service on the session that is committed:

    async with UnitOfWork(maker) as uow:
        await OrderService(uow.session).create(order)
        await uow.commit()

## When it is silent

The dependency that hands the other session in commits it after the request; the other session's writes are committed
later in the function; both names stand for one session; it cannot be known whether the committed session is empty
(it was handed in, or given to something that could not be read).

## Fix safety

No fix: which of the two sessions is meant decides what one transaction is.

## Options

None.

## Symptom at run time

No error, 0 rows. With `echo=True` the log shows `COMMIT` on a connection that sent no statement, or no `COMMIT` at all,
and later `ROLLBACK` on the one that did.

## References

- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#when-do-i-construct-a-session-when-do-i-commit-it-and-when-do-i-close-it
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.afterwards import policies
from sessionlint.effects.observations import IdleCommit
from sessionlint.findings import Severity
from sessionlint.project.symbols import Function
from sessionlint.rules.base import Draft, described, spelled, write_steps

SEVERITY = Severity.ERROR
DEFAULT = True

BAD = (
    """
# --- app/db.py ---
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]


class UnitOfWork:
    async def __aenter__(self) -> "UnitOfWork":
        self.session = maker()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.session.rollback()
        await self.session.close()

    async def commit(self) -> None:
        await self.session.commit()

# --- app/service.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Order


class OrderService:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def create(self, state: str) -> Order:
        order = Order(state=state)
        self._db.add(order)
        await self._db.flush()
        return order

# --- app/place_order.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import UnitOfWork, maker
from app.service import OrderService


class PlaceOrder:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def execute(self, state: str) -> None:
        service = OrderService(self._db)
        async with UnitOfWork() as uow:
            await service.create(state)
            await uow.commit()  # SES305


async def place(db: AsyncSession, state: str) -> None:
    async with maker() as fresh:
        await OrderService(db).create(state)
        await fresh.commit()  # SES305


async def copy(state: str) -> None:
    async with maker() as source, maker() as target:
        await OrderService(source).create(state)
        await target.commit()  # SES305
""",
)

GOOD = (
    """
# --- app/db.py ---
from collections.abc import AsyncIterator

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]


async def get_db() -> AsyncIterator[AsyncSession]:
    async with maker() as db:
        yield db
        await db.commit()


class UnitOfWork:
    async def __aenter__(self) -> "UnitOfWork":
        self.session = maker()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.session.rollback()
        await self.session.close()

    async def commit(self) -> None:
        await self.session.commit()

# --- app/service.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Order


class OrderService:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def create(self, state: str) -> Order:
        order = Order(state=state)
        self._db.add(order)
        await self._db.flush()
        return order

# --- app/place_order.py ---
from fastapi import Depends, FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import UnitOfWork, get_db, maker
from app.service import OrderService

app = FastAPI()


class PlaceOrder:
    async def execute(self, state: str) -> None:
        async with UnitOfWork() as uow:
            await OrderService(uow.session).create(state)
            await uow.commit()


async def both(state: str) -> None:
    async with maker() as source, maker() as target:
        await OrderService(source).create(state)
        await OrderService(target).create(state)
        await source.commit()
        await target.commit()


async def one_after_the_other(state: str) -> None:
    async with maker() as source, maker() as target:
        await target.commit()
        await OrderService(source).create(state)
        await target.commit()
        await source.commit()


@app.post("/orders")
async def place(state: str, db: AsyncSession = Depends(get_db)) -> None:
    await OrderService(db).create(state)
    async with maker() as audit:
        await OrderService(audit).create("audit")
        await audit.commit()


@app.post("/orders/checked")
async def place_checked(state: str, db: AsyncSession = Depends(get_db)) -> None:
    # what the request's session holds is committed by its dependency
    await OrderService(db).create(state)
    async with maker() as probe:
        await probe.commit()


async def same(state: str) -> None:
    async with maker() as db:
        session = db
        await OrderService(session).create(state)
        await db.commit()
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function, seen in analysis.observations(IdleCommit):
        if seen.other.kind == "param" and _is_committed_outside(analysis, function, seen.other.name):
            continue
        write = seen.writes[-1]
        other = "another session opened here" if seen.other.kind == "local" else f"`{spelled(seen.other)}`"
        text = seen.text if seen.text.endswith("()") else f"{seen.text}.commit()"
        yield Draft(
            function,
            seen.loc,
            f"`{text}` has nothing to commit: {described(write)} is in {other}, which nobody commits",
            "write through the session that is committed",
            "commits an empty session",
            write_steps(write),
        )


def _is_committed_outside(analysis: Analysis, function: Function, parameter: str) -> bool:
    """Whether the dependency that fills the parameter commits after the request."""
    return "commit" in policies(analysis, function, parameter)
