"""A `for` loop commits once per item.

## What it does

Reports `commit()` inside a `for` loop, on a session that was opened outside of it, when the next turn is reached after
the commit.

## Why is this bad

A failure in the middle leaves half of the list done, and nobody can tell which half: neither can the operation be
repeated, nor taken back. Every turn waits for the disk, and with `expire_on_commit=True` every object is loaded again
(200 rows: 243 statements and 121 commits instead of 2 and 1).

## Instead

One transaction around the loop:

    for item in items:
        item.quantity = 0
    await db.commit()

or batches with a key from which to go on, or a short session of its own per item (`async with maker.begin() as db:`)
where items are independent.

## When it is silent

Loops over batches (`for chunk in ...`, `range(0, n, size)`, items that are lists) and commits under a counting test; `while` loops, which poll;
a loop that opens its session inside; a loop whose body catches its own failures and goes on (each item is a unit); a
loop that awaits the network or anything else outside the project, hands out values, or queues a job in each turn; a fixed handful of turns; a
commit after which the loop is left; scripts and migrations.

## Fix safety

There is no fix: whether the items belong together is a decision.

## Options

None; the rule does not depend on `commit-owner`.

## Symptom at run time

After an exception in turn 121 of 200: 120 rows changed for good. Each item costs a COMMIT and, with the default
`expire_on_commit`, a reload.

## References

- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#when-do-i-construct-a-session-when-do-i-commit-it-and-when-do-i-close-it
- https://docs.sqlalchemy.org/en/20/faq/performance.html
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import CommittedInLoop
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, step

SEVERITY = Severity.WARNING
DEFAULT = True

BAD = (
    """
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    quantity: Mapped[int]

# --- app/items.py ---
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session

from app.models import Item


async def reset(maker: async_sessionmaker[AsyncSession]) -> None:
    async with maker() as db:
        for item in (await db.scalars(select(Item))).all():
            item.quantity = 0
            await db.commit()  # SES206


class ItemService:
    def __init__(self, session: Session) -> None:
        self.session = session

    def load(self, quantities: list[int]) -> None:
        for quantity in quantities:
            if quantity < 0:
                continue
            self.session.add(Item(quantity=quantity))
            self.session.commit()  # SES206
""",
)

GOOD = (
    '''
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    quantity: Mapped[int]

# --- app/items.py ---
import logging
import time
from collections.abc import AsyncIterator
from itertools import islice
from typing import Any

import httpx
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session

from app.models import Item

log = logging.getLogger(__name__)


async def once(db: AsyncSession) -> None:
    """One transaction around the loop."""
    for item in (await db.scalars(select(Item))).all():
        item.quantity = 0
    await db.commit()


async def slices(db: AsyncSession, keys: list[int]) -> None:
    for start in range(0, len(keys), 500):
        await db.execute(update(Item).where(Item.id.in_(keys[start : start + 500])).values(quantity=0))
        await db.commit()


def chunks(session: Session, batches: list[list[int]]) -> None:
    for batch in batches:
        session.add_all([Item(quantity=quantity) for quantity in batch])
        session.commit()


def counted(session: Session, quantities: list[int]) -> None:
    for index, quantity in enumerate(quantities):
        session.add(Item(quantity=quantity))
        if index % 1000 == 999:
            session.commit()
    session.commit()


async def own_each(maker: async_sessionmaker[AsyncSession], keys: list[int]) -> None:
    """Each item has a session of its own."""
    for key in keys:
        async with maker() as db:
            await db.execute(update(Item).where(Item.id == key).values(quantity=0))
            await db.commit()


def worker(session: Session) -> None:
    while True:
        for item in session.scalars(select(Item).limit(1)):
            item.quantity = 0
        session.commit()
        time.sleep(1)


def contained(session: Session, quantities: list[int]) -> None:
    """A bad item is logged and the others go on: each is a unit."""
    for quantity in quantities:
        try:
            session.add(Item(quantity=quantity))
            session.commit()
        except ValueError:
            session.rollback()
            log.exception("skipped")


async def fetched(db: AsyncSession, urls: list[str]) -> None:
    """No transaction stays open while the network is waited for."""
    async with httpx.AsyncClient() as client:
        for url in urls:
            answer = await client.get(url)
            db.add(Item(quantity=len(answer.content)))
            await db.commit()


async def progress(db: AsyncSession, quantities: list[int]) -> AsyncIterator[int]:
    for quantity in quantities:
        db.add(Item(quantity=quantity))
        await db.commit()
        yield quantity


def first(session: Session, quantities: list[int]) -> int | None:
    """The loop is left after the commit."""
    for quantity in quantities:
        if quantity > 0:
            session.add(Item(quantity=quantity))
            session.commit()
            return quantity
    return None


def two(session: Session) -> None:
    for name in ("a", "b"):
        session.add(Item(quantity=len(name)))
        session.commit()


def groups(session: Session, grid: dict[str, list[int]]) -> None:
    """An item is a group of rows."""
    for row in grid.values():
        for quantity in row:
            session.add(Item(quantity=quantity))
        session.commit()


async def asked(db: AsyncSession, model: Any, texts: list[str]) -> None:
    """Each turn waits for something outside the project."""
    for text in texts:
        db.add(Item(quantity=await model.count(text)))
        await db.commit()


def iterated(session: Session, quantities: list[int]) -> None:
    iterator = iter(quantities)
    for page in iter(lambda: list(islice(iterator, 100)), []):
        session.add_all(Item(quantity=quantity) for quantity in page)
        session.commit()
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function, seen in analysis.observations(CommittedInLoop):
        if seen.why or analysis.is_script(function):
            continue
        yield Draft(
            function,
            seen.loc,
            f"`{function.qualname}` commits in every turn of the loop: a failure half-way leaves the first part done for good",
            "commit once after the loop, commit batches, or open a short session for each independent item",
            "one COMMIT per item",
            (step(function.module.path, seen.loop, "the loop"),),
        )
