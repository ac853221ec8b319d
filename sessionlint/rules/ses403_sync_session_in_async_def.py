"""A sync session is used inside `async def`: the whole event loop waits for the database.

## What it does

Reports the first statement that an `async def` runs on a sync `Session` (`execute`, `query`, `scalars`, `get`,
`flush`, `commit`, `refresh` ...), or its first call of a plain function of the project that runs one. One finding per
function.

## Why is this bad

A sync driver waits in the thread it is called from, and in `async def` that is the event loop's. For as long as the
query runs no other request, health check or heartbeat is served. Worse, when the pool is used up the wait for a
connection stops the very tasks that would give one back: nothing moves until `pool_timeout`.

## Instead

An `AsyncSession`; or a plain `def` endpoint, which FastAPI and Starlette run in a thread; or
`await run_in_threadpool(work)` / `await asyncio.to_thread(work)` around work that opens its own session.

## When it is silent

Callbacks of `AsyncSession.run_sync()`, plain functions handed to a thread, `async def main()` of scripts and commands
and what runs at startup (nobody else waits for that loop), sessions that are declared as `Session` but awaited.

## Fix safety

No fix: it decides between three designs.

## Options

None.

## Symptom at run time

No error. All other requests stand still while one queries; under load
`sqlalchemy.exc.TimeoutError: QueuePool limit of size 5 overflow 10 reached, connection timed out`, although every
query is short.

## References

- https://fastapi.tiangolo.com/async/#very-technical-details
- https://github.com/fastapi/fastapi/issues/3205
- https://docs.sqlalchemy.org/en/20/orm/extensions/asyncio.html
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.event_loop import Blocking
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, chain_steps, step

SEVERITY = Severity.WARNING
DEFAULT = True

BAD = (
    """
# --- app/db.py ---
from collections.abc import Iterator

from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

SessionLocal = sessionmaker(create_engine("postgresql+psycopg://app@db/app"))


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]


def get_db() -> Iterator[Session]:
    with SessionLocal() as db:
        yield db

# --- app/service.py ---
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db import Order


class OrderService:
    def __init__(self, db: Session) -> None:
        self._db = db

    def open_orders(self) -> list[Order]:
        return list(self._db.scalars(select(Order).where(Order.state == "open")))

# --- app/api.py ---
from fastapi import Depends, FastAPI
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db import Order, get_db
from app.service import OrderService

app = FastAPI()


@app.get("/orders")
async def orders(db: Session = Depends(get_db)) -> list[int]:
    return [order.id for order in db.scalars(select(Order))]  # SES403


@app.get("/orders/open")
async def open_orders(db: Session = Depends(get_db)) -> list[int]:
    service = OrderService(db)
    return [order.id for order in service.open_orders()]  # SES403
""",
)

GOOD = (
    '''
# --- app/db.py ---
from collections.abc import Iterator

from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

SessionLocal = sessionmaker(create_engine("postgresql+psycopg://app@db/app"))


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]


def get_db() -> Iterator[Session]:
    with SessionLocal() as db:
        yield db

# --- app/service.py ---
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db import Order


class OrderService:
    def __init__(self, db: Session) -> None:
        self._db = db

    def open_orders(self) -> list[Order]:
        return list(self._db.scalars(select(Order).where(Order.state == "open")))

# --- app/api.py ---
import asyncio

from fastapi import Depends, FastAPI
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from app.db import Order, SessionLocal, get_db
from app.service import OrderService

app = FastAPI()


@app.get("/orders")
def orders(db: Session = Depends(get_db)) -> list[int]:
    """A plain endpoint runs in a thread."""
    return [order.id for order in db.scalars(select(Order))]


def _open_orders() -> list[int]:
    with SessionLocal() as db:
        return [order.id for order in OrderService(db).open_orders()]


@app.get("/orders/open")
async def open_orders() -> list[int]:
    return await run_in_threadpool(_open_orders)


@app.get("/orders/open-by-thread")
async def open_orders_by_thread() -> list[int]:
    return await asyncio.to_thread(_open_orders)


def _load(db: Session) -> list[Order]:
    return list(db.scalars(select(Order)))


async def load(db: AsyncSession) -> list[Order]:
    return await db.run_sync(_load)

# --- scripts/seed.py ---
import asyncio

from app.db import Order, SessionLocal


async def main() -> None:
    with SessionLocal() as db:
        db.add(Order(state="open"))
        db.commit()


if __name__ == "__main__":
    asyncio.run(main())
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    blocking = Blocking(analysis)
    for function in analysis.functions:
        if not function.facts.is_async or analysis.is_script(function):
            continue
        if analysis.in_boundary(function) in {"script", "command", "lifespan", "test"}:
            continue
        found = blocking.first(function)
        if found is None:
            continue
        receiver = found.call.receiver
        how = f"`{receiver}.{found.call.method}()`" if not found.chain else f"`{found.chain[0].text}`"
        yield Draft(
            function,
            found.loc,
            f"{how} queries a sync session inside `async def {function.name}`, and the event loop waits for it",
            "use an AsyncSession, a plain `def`, or a thread",
            "blocks the event loop",
            (*chain_steps(found.chain), step(found.path, found.call.loc, f"{receiver}.{found.call.method}()"))
            if found.chain
            else (),
        )
