"""A coroutine of an async session is made and never awaited: the statement, the commit or the rollback never happens.

## What it does

Reports a call of an `AsyncSession` method that gives a coroutine (`commit`, `rollback`, `flush`, `refresh`, `execute`,
`scalars`, `scalar`, `get`, `stream`, `merge`, `delete`, `close` and their relatives) whose coroutine is dropped, or is
used as if it were the result (`db.execute(q).scalars()`). `begin()` and `begin_nested()` count where they are dropped:
they do nothing until they are entered or awaited. A call of a coroutine function of the project that uses a session and
is dropped in the same way is reported too, and so is `return db.scalar(q)` in an `async def` that declares to return
the value.

## Why is this bad

Calling a coroutine function runs nothing. `db.commit()` leaves the rows in the session, which rolls them back when it is
closed; `db.delete(row)` deletes nothing; `db.rollback()` in a handler leaves the transaction aborted. There is no
exception, only a `RuntimeWarning` when the coroutine is collected, in whatever log that ends up.

`add`, `add_all` and `expunge` are plain methods on both kinds of session; `delete` and `merge` are coroutines on
`AsyncSession`, because they may have to load related rows first.

## Instead

    await db.commit()
    result = (await db.execute(query)).scalars().all()

## When it is silent

The receiver is a sync `Session`, or may be either kind; the coroutine is handed on (`asyncio.gather(...)`,
`create_task(...)`, `wait_for`, `shield`, a list, an attribute); it is returned by a function that does not say what it
returns; it is kept under a name that is awaited or handed on later; a callback of `run_sync()`, which is given a sync
session.

## Fix safety

Safe inside `async def`: puts `await` in front of the call. None in a plain `def`.

## Options

None.

## Symptom at run time

`RuntimeWarning: coroutine 'AsyncSession.commit' was never awaited` and 0 rows; where the coroutine is used as the
result, `AttributeError: 'coroutine' object has no attribute 'scalars'`.

## References

- https://docs.sqlalchemy.org/en/20/orm/extensions/asyncio.html#sqlalchemy.ext.asyncio.AsyncSession
- https://docs.python.org/3/library/asyncio-dev.html#detect-never-awaited-coroutines
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.session_calls import BEGINNERS, SessionCall
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft

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


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]


async def get_db() -> AsyncIterator[AsyncSession]:
    async with maker() as db:
        try:
            yield db
            await db.commit()
        except Exception:
            db.rollback()  # SES302
            raise

# --- app/orders.py ---
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Order, maker


class OrderRepository:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def remove(self, order: Order) -> None:
        self._db.delete(order)  # SES302
        await self._db.flush()

    async def close_all(self) -> None:
        await self._db.execute(update(Order).values(state="closed"))

    async def first(self) -> Order | None:
        return self._db.scalar(select(Order))  # SES302


async def finish(order_id: int) -> None:
    async with maker() as db:
        order = await db.get(Order, order_id)
        order.state = "finished"
        db.commit()  # SES302


async def states() -> list[str]:
    async with maker() as db:
        result = db.execute(select(Order.state))  # SES302
        return list(result.scalars())


async def close_shop() -> None:
    async with maker.begin() as db:
        OrderRepository(db).close_all()  # SES302
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


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]


async def get_db() -> AsyncIterator[AsyncSession]:
    async with maker() as db:
        try:
            yield db
            await db.commit()
        except Exception:
            await db.rollback()
            raise

# --- app/orders.py ---
import asyncio
from collections.abc import Awaitable

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from app.db import Order, maker


class OrderRepository:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def remove(self, order: Order) -> None:
        """`add` is plain, `delete` is a coroutine."""
        self._db.add(Order(state="tombstone"))
        await self._db.delete(order)

    def first(self) -> Awaitable[Order | None]:
        """A plain function may hand the coroutine out; its caller awaits it."""
        return self._db.scalar(select(Order))


async def first(db: AsyncSession) -> Order | None:
    return await OrderRepository(db).first()


async def finish(order_id: int) -> None:
    async with maker() as db:
        order = await db.get(Order, order_id)
        if order is None:
            return
        order.state = "finished"
        await asyncio.shield(db.commit())


async def count(db: AsyncSession) -> int:
    waiting = db.scalar(text("select count(*) from orders"))
    return await asyncio.wait_for(waiting, timeout=1.0) or 0


async def later(db: AsyncSession) -> int:
    waiting = db.scalar(text("select count(*) from orders"))
    return await waiting or 0


async def savepoint(db: AsyncSession, order: Order) -> None:
    async with db.begin_nested():
        db.add(order)


def _load(db: AsyncSession) -> list[Order]:
    """Handed to `run_sync`: what arrives is a plain session, whatever is declared."""
    found = db.execute(select(Order)).scalars().all()
    db.flush()
    return list(found)


async def load(db: AsyncSession) -> list[Order]:
    return await db.run_sync(_load)


def nightly(db: Session) -> None:
    """A sync session in the same file."""
    db.add(Order(state="nightly"))
    db.commit()
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function in analysis.functions:
        for found in analysis.session_calls.unawaited(function):
            if isinstance(found, SessionCall):
                text = f"{found.receiver}.{found.method}()"
            else:
                summary = analysis.result(found.callee).summary
                if not summary.touches and not summary.opens:
                    continue  # a forgotten await, but none of a session
                text = f"{found.callee.qualname}()"
            if isinstance(found, SessionCall) and found.method in BEGINNERS:
                message = f"`{text}` is neither entered nor awaited, so nothing begins"
            elif found.fate == "used":
                message = f"`{text}` gives a coroutine, and is used as if it were the result"
            else:
                message = f"`{text}` is never awaited, so it does not happen"
            help_ = "put `await` in front of it" if function.facts.is_async else "await it in an `async def`"
            yield Draft(function, found.loc, message, help_, "the coroutine made here never runs")
