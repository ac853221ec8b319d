"""A commit (or rollback) inside a `with session.begin():` block ends the transaction the block is about to end.

## What it does

Reports `commit()` on a session inside a block that frames its transaction: `with session.begin():`,
`with maker.begin() as session:`. Also `rollback()` there, when the session is used again before the block ends. The call
may be in a function that the block calls; then the finding is at the call, with the commit in the trace.

Where nothing follows inside the block, the commit is only redundant, and reported as information. Inside
`begin_nested()` it is SES210.

## Why is this bad

The block owns the transaction: it commits at its end, or rolls back if an exception leaves it. After a commit inside,
there is no transaction any more that the block could end. The next use of the session inside the block raises, and what
was committed before stays, although the block as a whole failed.

## Instead

Let the block commit, and use two blocks where two transactions are meant:

    async with db.begin():
        db.add(first)
    async with db.begin():
        db.add(second)

or leave `begin()` out and call `commit()` yourself.

## Fix safety

Safe for a commit that is the last thing in the block: it is deleted, and the block commits in its place. Otherwise
there is no fix: where the transactions should end is a decision.

## Options

None; the rule does not depend on `commit-owner`: SQLAlchemy raises whoever commits.

## Symptom at run time

`sqlalchemy.exc.InvalidRequestError: Can't operate on closed transaction inside context manager.  Please complete the
context manager before emitting further commands.`

## References

- https://docs.sqlalchemy.org/en/20/orm/session_transaction.html#explicit-begin
- https://github.com/sqlalchemy/sqlalchemy/issues/6288
- https://github.com/langgenius/dify/pull/34406
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import EndedInside
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, chain_steps, spelled, step

SEVERITY = Severity.ERROR
DEFAULT = True

BAD = (
    """
# --- app/db.py ---
import os

from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

open_session = async_sessionmaker(create_async_engine(os.environ["DATABASE_URL"]), expire_on_commit=False)

# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str]

# --- app/items.py ---
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import open_session
from app.models import Item


async def two(db: AsyncSession) -> None:
    async with db.begin():
        db.add(Item(sku="a"))
        await db.commit()  # SES203
        db.add(Item(sku="b"))


async def own() -> int:
    async with open_session.begin() as db:
        db.add(Item(sku="a"))
        await db.commit()  # SES203
        return len((await db.scalars(select(Item))).all())


async def each(skus: list[str]) -> None:
    async with open_session() as db, db.begin():
        for sku in skus:
            db.add(Item(sku=sku))
            await db.commit()  # SES203


async def undone(db: AsyncSession) -> None:
    async with db.begin():
        db.add(Item(sku="a"))
        await db.flush()
        if (await db.scalars(select(Item))).first() is None:
            await db.rollback()  # SES203
        db.add(Item(sku="b"))


async def redundant() -> None:
    async with open_session.begin() as db:
        db.add(Item(sku="a"))
        await db.commit()  # SES203
""",
    """
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str]

# --- app/store.py ---
from sqlalchemy.orm import Session

from app.models import Item


def save(session: Session, sku: str) -> None:
    session.add(Item(sku=sku))
    session.commit()

# --- app/jobs.py ---
import os

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from app.store import save

engine = create_engine(os.environ["DATABASE_URL"])


def load(skus: list[str]) -> None:
    with Session(engine) as session:
        with session.begin():
            save(session, skus[0])  # SES203
            save(session, skus[1])
""",
)

GOOD = (
    '''
# --- app/db.py ---
import os

from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)

# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str]

# --- app/items.py ---
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import engine, open_session
from app.models import Item


async def blocks(db: AsyncSession) -> None:
    """One block per transaction."""
    async with db.begin():
        db.add(Item(sku="a"))
    async with db.begin():
        db.add(Item(sku="b"))


async def by_hand() -> None:
    """No block: commits may be anywhere."""
    async with open_session() as db:
        db.add(Item(sku="a"))
        await db.commit()
        db.add(Item(sku="b"))
        await db.commit()


async def after_the_block(db: AsyncSession) -> None:
    async with db.begin():
        db.add(Item(sku="a"))
    db.add(Item(sku="b"))
    await db.commit()


async def begun_by_hand(db: AsyncSession) -> None:
    """The transaction object is ended by hand, no block waits for it."""
    transaction = await db.begin()
    db.add(Item(sku="a"))
    await transaction.commit()
    db.add(Item(sku="b"))
    await db.commit()


async def two_sessions(db: AsyncSession) -> None:
    """The block frames another session's transaction."""
    async with open_session.begin() as own:
        own.add(Item(sku="audit"))
        db.add(Item(sku="a"))
        await db.commit()
        own.add(Item(sku="done"))


async def gives_up(db: AsyncSession, sku: str) -> None:
    """Nothing uses the session between the rollback and the end of the block."""
    async with db.begin():
        db.add(Item(sku=sku))
        await db.flush()
        if not sku:
            await db.rollback()
            return
        db.add(Item(sku="log"))


async def core() -> None:
    """A connection, not a session."""
    async with engine.begin() as connection:
        await connection.execute(insert(Item).values(sku="a"))
        await connection.commit()
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function, seen in analysis.observations(EndedInside):
        if seen.block != "begin" or (seen.how == "rollback" and seen.then is None):
            continue
        if seen.chain and seen.then is None:
            continue  # a callee's commit that ends the block's work: SES202 has said it
        name = f"`{spelled(seen.origin)}`" if seen.origin.kind == "param" else "the session"
        trace = [step(function.module.path, seen.opened, "the block owns the transaction from here")]
        trace += chain_steps(seen.chain)
        if seen.then is None:
            message = "this commit is redundant: the `begin()` block commits when it ends"
            help_, label = "delete it", "the last thing in the block"
        else:
            message = f"{seen.how} of {name} inside its `begin()` block, and the session is used again in there"
            help_ = "let the block end the transaction; use one block per transaction"
            label = "ends the transaction of the block"
            trace.append(step(function.module.path, seen.then, "used again here: raises InvalidRequestError"))
        yield Draft(
            function, seen.loc, message, help_, label, tuple(trace), Severity.INFO if seen.then is None else None
        )
