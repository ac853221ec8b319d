"""A second connection is asked for while the first is held: under load the pool waits for itself.

## What it does

Reports a session that is opened, here or in a function that is called, while another session of the same pool has a
transaction open: it was read from or written to and neither committed, rolled back nor closed since. One finding per
place that holds the first connection.

## Why is this bad

A session holds a connection from its first statement to the end of its transaction. When every request holds one and
asks for another, the pool is empty as soon as as many requests as it has connections are in between: each waits for a
connection that only another waiting one could give back. Nothing moves until `pool_timeout` (30 s), then all fail.

## Instead

Hand the first session down; or end its transaction before the call (`await db.commit()` gives the connection back);
or do the other work after the block.

## When it is silent

The first session has no open transaction at that point; the function is the main function of a script, a command or a
migration, where nobody competes; the project makes several engines, and it cannot be told that both sessions are of
one; SES102 or SES605 says more about the same call.

## Fix safety

No fix: whether the inner work belongs to the outer transaction is a decision.

## Options

None.

## Symptom at run time

`sqlalchemy.exc.TimeoutError: QueuePool limit of size 5 overflow 10 reached, connection timed out, timeout 30.00`, in
many requests at once and never on a developer's machine.

## References

- https://docs.sqlalchemy.org/en/20/core/pooling.html
- https://docs.sqlalchemy.org/en/20/errors.html#error-3o7r
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import Exposed, SecondCheckout
from sessionlint.findings import Severity
from sessionlint.project.constructions import engines
from sessionlint.rules.base import Draft, chain_steps, spelled, step

SEVERITY = Severity.WARNING
DEFAULT = True
YIELDS_TO = ("SES102", "SES105", "SES106", "SES116", "SES605")

BAD = (
    """
# --- app/db.py ---
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine("postgresql+asyncpg://app@db/app", pool_size=5, max_overflow=0)
maker = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Event(Base):
    __tablename__ = "events"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]

# --- app/events.py ---
from app.db import Event, maker


async def log_event(kind: str) -> None:
    async with maker.begin() as db:
        db.add(Event(kind=kind))

# --- app/report.py ---
from sqlalchemy import select

from app.db import Event, maker
from app.events import log_event


async def report() -> list[str]:
    async with maker() as db:
        kinds = list(await db.scalars(select(Event.kind)))
        await log_event("report")  # SES412
        return kinds


class Reports:
    async def run(self) -> None:
        async with maker() as db:
            for kind in await db.scalars(select(Event.kind)):
                await self._one(kind)  # SES412

    async def _one(self, kind: str) -> None:
        await log_event(kind)
""",
)

GOOD = (
    """
# --- app/db.py ---
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine("postgresql+asyncpg://app@db/app", pool_size=5, max_overflow=0)
maker = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Event(Base):
    __tablename__ = "events"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]

# --- app/events.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Event, maker


async def log_event(kind: str) -> None:
    async with maker.begin() as db:
        db.add(Event(kind=kind))


async def log_event_in(db: AsyncSession, kind: str) -> None:
    db.add(Event(kind=kind))

# --- app/report.py ---
from sqlalchemy import select

from app.db import Event, maker
from app.events import log_event, log_event_in


async def report_in_one_transaction() -> list[str]:
    async with maker.begin() as db:
        kinds = list(await db.scalars(select(Event.kind)))
        await log_event_in(db, "report")
        return kinds


async def report_committed_before() -> list[str]:
    async with maker() as db:
        kinds = list(await db.scalars(select(Event.kind)))
        await db.commit()
        await log_event("report")
        return kinds


async def report_after_the_block() -> list[str]:
    async with maker() as db:
        kinds = list(await db.scalars(select(Event.kind)))
    await log_event("report")
    return kinds


async def nothing_sent_yet() -> list[str]:
    async with maker() as db:
        await log_event("report")
        return list(await db.scalars(select(Event.kind)))

# --- scripts/copy.py ---
from sqlalchemy import select

from app.db import Event, maker
from app.events import log_event


async def main() -> None:
    async with maker() as db:
        await db.scalars(select(Event.kind))
        await log_event("copied")
""",
    """
# --- app/two_databases.py ---
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

orders = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@orders/app"))
audit = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@audit/app"))


async def log(kind: str) -> None:
    async with audit.begin() as db:
        await db.execute(text("insert into events (kind) values (:kind)"), {"kind": kind})


async def report() -> None:
    async with orders() as db:
        await db.execute(select(1))
        await log("report")
""",
    """
# --- app/unpooled.py ---
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.pool import NullPool

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app", poolclass=NullPool))


async def log(kind: str) -> None:
    async with maker.begin() as db:
        await db.execute(text("insert into events (kind) values (:kind)"), {"kind": kind})


async def report() -> None:
    async with maker() as db:
        await db.execute(select(1))
        await log("report")
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    if not _one_pool(analysis):
        return
    reported: set[tuple[str, str]] = set()
    said = {(f.key, e.loc) for f, e in analysis.observations(Exposed) if e.kind == "session" and e.models}  # SES102's
    for function, seen in analysis.observations(SecondCheckout):
        opener = analysis.table.functions.get(seen.opener)
        if opener is None or opener.module.is_test or analysis.is_script(function):
            continue
        if analysis.entries.boundary(function) in {"script", "command", "lifespan"} or seen.origin.kind == "global":
            continue
        if (function.key, seen.opener) in reported or (function.key, seen.loc) in said:
            continue
        reported.add((function.key, seen.opener))
        held = "the session opened here" if seen.origin.kind == "local" else f"`{spelled(seen.origin)}`"
        how = f"`{opener.qualname}` opens" if opener is not function else f"`{seen.text}` opens"
        yield Draft(
            function,
            seen.loc,
            f"{how} a second session while {held} holds a connection",
            "hand the session down, or end its transaction before",
            "asks the pool for a second connection",
            (*chain_steps(seen.chain), step(opener.module.path, seen.at, f"session opened by {seen.text}")),
        )


def _one_pool(analysis: Analysis) -> bool:
    """Whether all sessions share one pool that can run dry."""
    made = [c for c in engines(analysis.infer) if not analysis.is_script_module(c.module)]
    pools = [c for c in made if not any(k.name == "poolclass" for k in c.call.keywords)]
    return len(made) <= 1 and len(pools) == len(made)
