"""`session.begin()` on a session whose transaction has begun by itself raises.

## What it does

Reports `begin()` on a session that the same path has used before, by a query, an `add()` or a flush, without a commit,
rollback or close in between. The earlier use may be in a function that was called with the session; the trace shows it.

## Why is this bad

A session begins its transaction by itself on first use (autobegin). A second, explicit `begin()` raises. It is a fault
of order that appears as soon as somebody adds a query above a block that worked.

## Instead

Open the block first and put everything in it:

    async with db.begin():
        order = await db.get(Order, order_id)
        order.state = "paid"

or end the first transaction (`commit()`, `rollback()`) before the block; or use `begin_nested()` where a savepoint is
meant.

## Fix safety

There is no fix: which of the three is meant is a decision.

## Options

None.

## Symptom at run time

`sqlalchemy.exc.InvalidRequestError: A transaction is already begun on this Session.`

## References

- https://docs.sqlalchemy.org/en/20/orm/session_transaction.html#explicit-begin
- https://github.com/sqlalchemy/sqlalchemy/issues/6843
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import BegunTwice
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, chain_steps, spelled

SEVERITY = Severity.ERROR
DEFAULT = True

BAD = (
    """
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]

# --- app/reads.py ---
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Order


async def find(db: AsyncSession, key: int) -> Order | None:
    return await db.scalar(select(Order).where(Order.id == key))

# --- app/orders.py ---
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, sessionmaker

from app.models import Order
from app.reads import find


async def pay(db: AsyncSession, key: int) -> None:
    order = await find(db, key)
    if order is None:
        return
    async with db.begin():  # SES204
        order.state = "paid"


async def create(db: AsyncSession) -> None:
    db.add(Order(state="new"))
    async with db.begin():  # SES204
        db.add(Order(state="second"))


def count(maker: sessionmaker[Session]) -> None:
    with maker() as session:
        rows = session.execute(select(Order)).all()
        with session.begin():  # SES204
            session.add(Order(state=str(len(rows))))
""",
)

GOOD = (
    '''
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]

# --- app/orders.py ---
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from app.models import Order


async def first(db: AsyncSession, key: int) -> None:
    """The block comes first."""
    async with db.begin():
        order = await db.get_one(Order, key)
        order.state = "paid"


async def ended(db: AsyncSession, key: int) -> None:
    """The read's transaction has ended before the block."""
    order = await db.get_one(Order, key)
    await db.commit()
    async with db.begin():
        order.state = "paid"


async def blocks(db: AsyncSession) -> None:
    async with db.begin():
        db.add(Order(state="a"))
    async with db.begin():
        db.add(Order(state="b"))


async def savepoint(db: AsyncSession) -> None:
    """A savepoint needs the transaction to be open."""
    await db.scalar(select(Order))
    async with db.begin_nested():
        db.add(Order(state="a"))


async def fresh(maker: async_sessionmaker[AsyncSession]) -> None:
    async with maker() as db, db.begin():
        db.add(Order(state="a"))


async def branch(db: AsyncSession, read: bool) -> None:
    """Either a query or a block, never both."""
    if read:
        await db.scalar(select(Order))
    else:
        async with db.begin():
            db.add(Order(state="a"))


async def two(maker: async_sessionmaker[AsyncSession], db: AsyncSession) -> None:
    """The block belongs to another session."""
    await db.scalar(select(Order))
    async with maker.begin() as own:
        own.add(Order(state="a"))


async def core(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute(select(Order))
        await connection.rollback()
        async with connection.begin():
            await connection.execute(select(Order))
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function, seen in analysis.observations(BegunTwice):
        name = f"`{spelled(seen.origin)}`" if seen.origin.kind == "param" else "the session"
        since = "" if seen.since is None else f" by `{seen.since.text}`"
        yield Draft(
            function,
            seen.loc,
            f"`begin()` on {name}, whose transaction has begun already{since}",
            "open the block before the first use, end the first transaction, or use `begin_nested()`",
            "raises: a transaction is already begun on this Session",
            chain_steps([seen.since] if seen.since is not None else []),
        )
