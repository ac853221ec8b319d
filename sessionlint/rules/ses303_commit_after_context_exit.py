"""`commit()` is called on a session whose `with` block has ended already.

## What it does

Reports a `commit()` that is reached only after the `with`/`async with` block of the same session has closed it, when
the block did not commit itself.

## Why is this bad

Leaving the block closes the session, and closing rolls back what was not committed. A closed SQLAlchemy session is not
dead: the next call quietly begins a new, empty transaction. So the late `commit()` succeeds, and saves nothing. Most
often the line is just indented one level too little.

## Instead

Commit inside the block, or let the block commit:

    async with maker() as db:
        db.add(invoice)
        await db.commit()

    async with maker.begin() as db:
        db.add(invoice)

`sessionmaker(close_resets_only=False)` (SQLAlchemy 2.0.22 and later) turns the mistake into an error: a session that
was closed cannot be used again.

## When it is silent

The name was bound to another session in between, or the commit belongs to a session of another function that only has
the same name.

## Fix safety

Unsafe: indents the commit into the block. It changes what is saved, which is the purpose.

## Options

None.

## Symptom at run time

No error, 0 rows. With `close_resets_only=False`: `sqlalchemy.exc.InvalidRequestError: This Session has been permanently
closed and is unable to handle any more transaction requests.`

## References

- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#closing
- https://docs.sqlalchemy.org/en/20/orm/session_api.html#sqlalchemy.orm.Session.params.close_resets_only
- https://github.com/sqlalchemy/sqlalchemy/issues/6523
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import Committed
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, step

SEVERITY = Severity.ERROR
DEFAULT = True

BAD = (
    """
# --- app/db.py ---
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Invoice(Base):
    __tablename__ = "invoices"
    id: Mapped[int] = mapped_column(primary_key=True)
    cents: Mapped[int]

# --- app/jobs.py ---
from app.db import Invoice, maker


async def issue_invoice(cents: int) -> None:
    async with maker() as db:
        db.add(Invoice(cents=cents))
        await db.flush()
    await db.commit()  # SES303
""",
    """
# --- app/db.py ---
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

Session = sessionmaker(create_engine("postgresql+psycopg://app@db/app"))


class Base(DeclarativeBase):
    pass


class Invoice(Base):
    __tablename__ = "invoices"
    id: Mapped[int] = mapped_column(primary_key=True)
    cents: Mapped[int]

# --- app/jobs.py ---
from sqlalchemy import select

from app.db import Invoice, Session


def raise_prices(cents: int) -> int:
    changed = 0
    with Session() as db:
        for invoice in db.scalars(select(Invoice)):
            invoice.cents += cents
            changed += 1
    if changed:
        db.commit()  # SES303
    return changed
""",
)

GOOD = (
    '''
# --- app/db.py ---
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Invoice(Base):
    __tablename__ = "invoices"
    id: Mapped[int] = mapped_column(primary_key=True)
    cents: Mapped[int]

# --- app/jobs.py ---
from sqlalchemy import func, select

from app.db import Invoice, maker


async def issue_invoice(cents: int) -> None:
    async with maker() as db:
        db.add(Invoice(cents=cents))
        await db.commit()


async def issue_two(first: int, second: int) -> None:
    """The name is bound again: the second commit belongs to the second session."""
    async with maker() as db:
        db.add(Invoice(cents=first))
        await db.commit()
    async with maker() as db:
        db.add(Invoice(cents=second))
        await db.commit()


async def issue_highest_again() -> None:
    """The inner function's `db` is another variable than the outer one."""

    async def highest() -> int:
        async with maker() as db:
            return await db.scalar(select(func.max(Invoice.cents))) or 0

    cents = await highest()
    db = maker()
    try:
        db.add(Invoice(cents=cents))
        await db.commit()
    finally:
        await db.close()
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function, seen in analysis.observations(Committed):
        if not seen.after_scope or seen.opened is None:
            continue
        yield Draft(
            function,
            seen.loc,
            f"`{seen.receiver}.commit()` comes after the block that closed `{seen.receiver}`: it commits nothing",
            "move the commit into the `with` block",
            "already closed and rolled back",
            (step(function.module.path, seen.opened, "the session is opened; it is closed where this block ends"),),
        )
