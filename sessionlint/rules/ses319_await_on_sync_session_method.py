"""Something is awaited that is no coroutine: the call takes effect, then the `await` raises.

## What it does

Reports `await` on a method of an `AsyncSession` that is plain (`add`, `add_all`, `expunge`, `expunge_all`, `expire`,
`expire_all`, `in_transaction`, `is_modified`), on any method of a sync `Session`, and on methods of a result that is
already loaded (`await (await db.execute(q)).scalars().all()`).

## Why is this bad

The call itself runs, and only then does `await` find out that `None` cannot be awaited. The object *is* in the session;
a handler that carries on commits what the caller believes to have failed.

## Instead

    db.add(order)
    rows = (await db.execute(query)).scalars().all()

On a sync session: no `await`, in a plain `def`.

## When it is silent

Results of `stream()` and `stream_scalars()`: their `all()`, `first()`, `one()` are coroutines. A session class of the
project that overrides the method. A session that is declared as `Session`, where the dependency or a caller hands in
an `AsyncSession`.

## Fix safety

Safe: removes the `await`.

## Options

None.

## Symptom at run time

`TypeError: object NoneType can't be used in 'await' expression` (Python 3.14: `'NoneType' object can't be awaited`);
`object list can't be used in 'await' expression` on a result.

## References

- https://docs.sqlalchemy.org/en/20/orm/extensions/asyncio.html#sqlalchemy.ext.asyncio.AsyncSession.add
- https://docs.sqlalchemy.org/en/20/orm/extensions/asyncio.html#sqlalchemy.ext.asyncio.AsyncResult
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft

SEVERITY = Severity.ERROR
DEFAULT = True

BAD = (
    """
# --- app/orders.py ---
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]


class OrderRepository:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def save(self, order: Order) -> None:
        await self._db.add(order)  # SES319
        await self._db.flush()

    async def all(self) -> list[Order]:
        return await (await self._db.execute(select(Order))).scalars().all()  # SES319

    async def newest(self) -> Order | None:
        result = await self._db.execute(select(Order).order_by(Order.id.desc()))
        return await result.scalars().first()  # SES319


async def nightly(db: Session) -> None:
    await db.commit()  # SES319
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

# --- app/orders.py ---
from typing import Any

from fastapi import Depends, FastAPI
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from app.db import Order, get_db

app = FastAPI()


class OrderRepository:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def save(self, order: Order) -> None:
        self._db.add(order)
        await self._db.flush()

    async def all(self) -> list[Order]:
        return list((await self._db.execute(select(Order))).scalars().all())

    async def streamed(self) -> list[Order]:
        result = await self._db.stream(select(Order))
        return list(await result.scalars().all())

    async def streamed_at_once(self) -> list[Order]:
        return list(await (await self._db.stream_scalars(select(Order))).all())

    async def in_savepoint(self, order: Order) -> None:
        savepoint = await self._db.begin_nested()
        self._db.add(order)
        await savepoint.commit()


@app.get("/orders")
async def orders(db: Session = Depends(get_db)) -> list[Any]:
    # declared as the wrong kind; what arrives is an AsyncSession
    return list((await db.execute(select(Order))).scalars())


class Basket:
    async def add(self, order: Order) -> None:
        pass


async def fill(basket: Basket, order: Order) -> None:
    await basket.add(order)
""",
    """
# --- app/outbox.py ---
from sqlalchemy.ext.asyncio import AsyncSession


class AuditedSession(AsyncSession):
    async def add(self, instance: object) -> None:
        super().add(instance)
        await self.flush()


async def record(db: AuditedSession, row: object) -> None:
    await db.add(row)
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function in analysis.functions:
        for found in analysis.session_calls.awaited_plain(function):
            kind = "a sync session" if found.session.is_async is False else "an async session, too"
            yield Draft(
                function,
                found.loc,
                f"`{found.receiver}.{found.method}()` is awaited, but is no coroutine",
                "remove the `await`",
                f"a plain method of {kind}",
            )
        for loc, text in analysis.session_calls.awaited_results(function):
            yield Draft(
                function, loc, f"`{text}` of a loaded result is awaited, but is no coroutine", "remove the `await`"
            )
