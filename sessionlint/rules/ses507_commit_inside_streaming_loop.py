"""A loop over a streamed result commits the session that the result streams from.

## What it does

Reports a commit inside a loop over a server-side cursor - `async for` over `stream()` or `stream_scalars()`, or a result
with `yield_per` or `stream_results` - on the same session, where the loop goes on afterwards.

## Why is this bad

The cursor lives in the transaction. The commit ends the transaction and with it the cursor; the next turn that needs rows
from the server fails, in the middle of the work and only once the first batch is used up, so small test data hides it.

## Instead

Read in batches by key, one short transaction each:

    last = 0
    while True:
        async with maker.begin() as db:
            rows = (await db.scalars(select(Item).where(Item.id > last).order_by(Item.id).limit(500))).all()
            for row in rows:
                row.done = True
        if not rows:
            break
        last = rows[-1].id

or write through a second session.

## When it is silent

The commit is on another session, the loop is left right after it, or the result was fetched as a whole (`all()`).

## Fix safety

No fix: batches by key need to know the key.

## Options

None.

## Symptom at run time

asyncpg: `NoActiveSQLTransactionError: cursor cannot be created outside of a transaction`; psycopg: `InvalidCursorName`.

## References

- https://www.postgresql.org/docs/current/sql-declare.html
- https://docs.sqlalchemy.org/en/20/core/connections.html#using-server-side-cursors-a-k-a-stream-results
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import CommittedInLoop
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, step

SEVERITY = Severity.ERROR
DEFAULT = True

BAD = (
    """
# --- app/jobs.py ---
from sqlalchemy import create_engine, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)
engine = create_engine("postgresql+psycopg://app@db/app")


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    done: Mapped[bool]


async def mark() -> None:
    async with maker() as db:
        async for item in await db.stream_scalars(select(Item)):
            item.done = True
            await db.commit()  # SES507


async def mark_some() -> None:
    async with maker() as db:
        result = await db.stream(select(Item).execution_options(yield_per=100))
        count = 0
        async for item in result.scalars():
            item.done = True
            count += 1
            if count % 100 == 0:
                await db.commit()  # SES507
        await db.commit()


def mark_sync() -> None:
    with Session(engine) as db:
        query = select(Item).execution_options(yield_per=100)
        for item in db.scalars(query):
            item.done = True
            db.commit()  # SES507
""",
)

GOOD = (
    '''
# --- app/jobs.py ---
from sqlalchemy import create_engine, select, update
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)
engine = create_engine("postgresql+psycopg://app@db/app")


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    done: Mapped[bool]


async def after_the_loop() -> None:
    async with maker() as db:
        async for item in await db.stream_scalars(select(Item)):
            item.done = True
        await db.commit()


async def second_session() -> None:
    async with maker() as reader, maker() as writer:
        async for item_id in await reader.stream_scalars(select(Item.id)):
            await writer.execute(update(Item).where(Item.id == item_id).values(done=True))
            await writer.commit()


async def first_only() -> None:
    """The loop ends with the commit."""
    async with maker() as db:
        async for item in await db.stream_scalars(select(Item)):
            item.done = True
            await db.commit()
            break


async def fetched() -> None:
    async with maker() as db:
        for item in (await db.scalars(select(Item))).all():
            item.done = True
            await db.commit()


def buffered() -> None:
    """Without yield_per the driver has all rows already."""
    with Session(engine) as db:
        for item in db.scalars(select(Item)):
            item.done = True
            db.commit()
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    told = set()
    for function, seen in analysis.observations(CommittedInLoop):
        streamed = analysis.row_loops.streamed_from(function, seen.loop)
        if streamed is None or streamed != seen.origin or (function.key, seen.loc) in told:
            continue
        told.add((function.key, seen.loc))
        yield Draft(
            function,
            seen.loc,
            f"`{function.qualname}` commits while it still reads a streamed result of the same session",
            "read in batches by key, or write through a second session",
            "ends the transaction in which the cursor lives",
            (step(function.module.path, seen.loop, "the loop reads from the cursor"),),
        )
