"""A session opened here is written to and closed, and nothing ever commits it.

## What it does

Follows a session from the place where it is opened (`async with maker() as db`, `AsyncSession(engine)`, any provider)
to the place where control leaves its scope. Reports when a write is pending there and no path has committed: `add`,
`add_all`, `delete`, `merge`, `execute(insert/update/delete)`, textual DML, an attribute set on a loaded object, a
savepoint (`begin_nested()`), or a call that does one of these with the session. The trace shows the write.

The finding stands at the `return` inside the scope; without one, at the last write of the function that owns the scope.

## Why is this bad

Closing a session rolls back what was not committed. There is no error and no warning, and inside the block everything
looks right: `flush()` gives out primary keys, queries see the new rows. They are gone one line later. With a
savepoint, SQLite may keep the row where PostgreSQL does not, so tests on SQLite do not show the fault.

## Instead

Let the owner of the scope commit, best by construction:

    async with maker.begin() as db:  # commits at the end, rolls back on an exception
        db.add(order)

or with `await db.commit()` as the last statement of the block. Do not add the commit to the repository that writes:
it does not own the session (SES201).

## When it is silent

The session was handed in (somebody else owns it, see SES309, SES320, SES321), is only read from, runs in AUTOCOMMIT,
is rolled back on purpose (a dry run), is committed by a function it is passed to, or is passed to code that cannot be
seen.

## Fix safety

No fix: whether the block should commit as a whole (`begin()`) or at a certain point is a decision.

## Options

`session-factories`, `session-providers`: further names that open a session.

## Symptom at run time

No error, 0 rows.

## References

- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#framing-out-a-begin-commit-rollback-block
- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#committing
- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#closing
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.afterwards import is_lost
from sessionlint.effects.observations import Ended, IdleCommit, ScopeEnd
from sessionlint.findings import Severity
from sessionlint.project.symbols import Function
from sessionlint.rules.base import Draft, described, local_place, step, write_steps

SEVERITY = Severity.ERROR
DEFAULT = True
YIELDS_TO = ("SES304", "SES309", "SES320", "function:SES303", "function:SES320")

BAD = (
    """
# --- app/db.py ---
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    article: Mapped[str]

# --- app/jobs.py ---
from app.db import Order, maker


async def place_order(article: str) -> int:
    async with maker() as db:
        order = Order(article=article)
        db.add(order)
        await db.flush()
        return order.id  # SES301
""",
    """
# --- app/db.py ---
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_engine("postgresql+psycopg://app@db/app")


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    open: Mapped[bool] = mapped_column(default=True)

# --- app/jobs.py ---
from sqlalchemy import update
from sqlalchemy.orm import Session

from app.db import Order, engine


def close_orders() -> None:
    with Session(engine) as db:
        db.execute(update(Order).where(Order.open).values(open=False))  # SES301
""",
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
    article: Mapped[str]


class OrderRepository:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def insert(self, article: str) -> Order:
        order = Order(article=article)
        async with self._db.begin_nested():
            self._db.add(order)
        return order

# --- app/service.py ---
from app.db import Order, OrderRepository


class OrderService:
    def __init__(self, orders: OrderRepository) -> None:
        self._orders = orders

    async def place(self, article: str) -> Order:
        return await self._orders.insert(article.strip())

# --- app/cli.py ---
import asyncio
import sys

from app.db import OrderRepository, maker
from app.service import OrderService


async def run(articles: list[str]) -> None:
    async with maker() as db:
        service = OrderService(OrderRepository(db))
        for article in articles:
            await service.place(article)  # SES301


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1:]))
""",
)

GOOD = (
    '''
# --- app/db.py ---
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine("postgresql+asyncpg://app@db/app")
maker = async_sessionmaker(engine, expire_on_commit=False)
autocommit_maker = async_sessionmaker(
    engine.execution_options(isolation_level="AUTOCOMMIT"), expire_on_commit=False
)


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    article: Mapped[str]


async def insert_order(db: AsyncSession, article: str) -> Order:
    """Writes in the caller's transaction; the caller commits."""
    order = Order(article=article)
    db.add(order)
    await db.flush()
    return order

# --- app/jobs.py ---
from sqlalchemy import func, select, text

from app.db import Order, autocommit_maker, insert_order, maker


async def place_order(article: str) -> int:
    async with maker.begin() as db:
        return (await insert_order(db, article)).id


async def place_orders(articles: list[str]) -> None:
    async with maker() as db:
        for article in articles:
            await insert_order(db, article)
        await db.commit()


async def count_orders() -> int:
    """Only reads."""
    async with maker() as db:
        return await db.scalar(select(func.count()).select_from(Order)) or 0


async def forget_orders() -> None:
    """AUTOCOMMIT: every statement is its own transaction."""
    async with autocommit_maker() as db:
        await db.execute(text("truncate orders"))


async def try_import(articles: list[str]) -> int:
    """A dry run: rolled back on purpose."""
    async with maker() as db:
        for article in articles:
            await insert_order(db, article)
        total = await db.scalar(select(func.count()).select_from(Order)) or 0
        await db.rollback()
        return total
''',
    '''
# --- app/db.py ---
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    article: Mapped[str]


class UnitOfWork:
    """Commits when its block ends well; the commit is behind `__aexit__`."""

    session: AsyncSession

    async def __aenter__(self) -> "UnitOfWork":
        self.session = maker()
        return self

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if kind is None:
                await self.session.commit()
            else:
                await self.session.rollback()
        finally:
            await self.session.close()

# --- app/jobs.py ---
from contextlib import AsyncExitStack

from app.db import Order, UnitOfWork, maker


async def place_order(article: str) -> None:
    async with UnitOfWork() as unit:
        unit.session.add(Order(article=article))


async def place_orders(articles: list[str]) -> None:
    async with AsyncExitStack() as stack:
        db = await stack.enter_async_context(maker.begin())
        for article in articles:
            db.add(Order(article=article))
''',
    '''
# --- tests/conftest.py ---
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

engine = create_engine("postgresql+psycopg://app@db/test")


@pytest.fixture
def seeded():
    """The rows live as long as the test: leaving the block rolls them back."""
    with Session(engine) as db:
        db.execute(text("insert into orders (article) values ('lamp')"))
        yield db
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    told = {(f.key, o.other) for f, o in analysis.observations(IdleCommit)}  # told by SES305: the commit went elsewhere
    for function, seen in analysis.observations(ScopeEnd):
        if seen.hands_out_object or seen.earlier or seen.elsewhere or (function.key, seen.origin) in told:
            continue
        told.add((function.key, seen.origin))
        write = seen.writes[-1]
        yield Draft(
            function,
            seen.loc if seen.leaving == "return" else local_place(write),
            f"{described(write)} is never committed: `{function.qualname}` closes the session it opened",
            "commit before the block ends, or open it with `maker.begin()`",
            "rolled back when the session closes",
            (step(function.module.path, seen.opened, "the session is opened"), *write_steps(write)),
        )
    yield from _boundaries(analysis)


def _boundaries(analysis: Analysis) -> Iterator[Draft]:
    """Entry points whose session comes from a dependency that only closes it."""
    told: set[Function] = set()
    for function, seen in analysis.observations(Ended):
        if seen.committed or function in told or not is_lost(analysis, function, seen.origin):
            continue
        told.add(function)
        write = seen.writes[-1]
        yield Draft(
            function,
            seen.loc if seen.leaving == "return" else local_place(write),
            f"{described(write)} is never committed: neither `{function.qualname}` nor the session's provider does",
            "commit here, at the boundary, before the response is returned",
            "rolled back when the request ends",
            write_steps(write),
        )
