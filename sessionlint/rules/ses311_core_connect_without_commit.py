"""Rows are written over `engine.connect()` and never committed: leaving the block rolls them back.

## What it does

Reports `insert`, `update` and `delete` (statements, `Table` methods, SQL text) that run on a connection from
`engine.connect()` in a function that commits nothing on it; also where the statement is run by a function that is handed
the connection. A transaction begun by hand (`trans = connection.begin()`) that is rolled back on failure but never
committed is reported too.

## Why is this bad

SQLAlchemy 1.x committed such statements by itself. Since 2.0 a connection begins a transaction with its first statement
and rolls it back when it is closed, unless `commit()` was called. Nothing is raised and nothing is logged; inside the
block the rows are even visible.

## Instead

    async with engine.begin() as connection:
        await connection.execute(insert(Event), rows)

or `await connection.commit()` before the block ends.

## When it is silent

A commit anywhere in the block, `with connection.begin():`, an isolation level of `AUTOCOMMIT` on the engine or the
connection, statements whose kind is not known (SQL text put together at run time), DDL (MySQL commits it by itself), a
connection that goes somewhere that cannot be read, and sync engines where the project runs on SQLAlchemy 1.x.

## Fix safety

Unsafe: turns `connect()` into `begin()`, which commits at the end of the block. What ran before an exception inside the
block is then rolled back with it.

## Options

- `target`: the SQLAlchemy version to judge by.

## Symptom at run time

No error, 0 rows. With `echo=True` the log ends in `ROLLBACK`.

## References

- https://docs.sqlalchemy.org/en/20/core/connections.html#commit-as-you-go
- https://docs.sqlalchemy.org/en/20/changelog/migration_20.html#library-level-but-not-driver-level-autocommit-removed-from-both-core-and-orm
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.core_connections import CoreConnections, Uncommitted
from sessionlint.findings import Severity
from sessionlint.project.symbols import Function
from sessionlint.rules.base import Draft, chain_steps, step

SEVERITY = Severity.ERROR
DEFAULT = True

BAD = (
    """
# --- app/db.py ---
from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine
from sqlalchemy.ext.asyncio import create_async_engine

engine = create_async_engine("postgresql+asyncpg://app@db/app")
sync_engine = create_engine("postgresql+psycopg://app@db/app")
events = Table("events", MetaData(), Column("id", Integer, primary_key=True), Column("kind", String))

# --- app/statements.py ---
from sqlalchemy import Connection, update

from app.db import events


def close_all(connection: Connection) -> None:
    connection.execute(update(events).values(kind="closed"))

# --- app/record.py ---
from sqlalchemy import insert, text

from app.db import engine, events, sync_engine
from app.statements import close_all


async def record(kinds: list[str]) -> None:
    async with engine.connect() as connection:
        await connection.execute(insert(events), [{"kind": kind} for kind in kinds])  # SES311


def record_one(kind: str) -> None:
    with sync_engine.connect() as connection:
        connection.execute(events.insert().values(kind=kind))  # SES311


def purge(limit: int) -> None:
    connection = sync_engine.connect()
    connection.execute(text("delete from events where id < :limit"), {"limit": limit})  # SES311
    connection.close()


def close() -> None:
    with sync_engine.connect() as connection:
        close_all(connection)  # SES311


def begun_by_hand(kind: str) -> None:
    connection = sync_engine.connect()
    transaction = connection.begin()  # SES311
    try:
        connection.execute(insert(events), {"kind": kind})
    except Exception:
        transaction.rollback()
        raise
    finally:
        connection.close()
""",
)

GOOD = (
    """
# --- app/db.py ---
from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine
from sqlalchemy.ext.asyncio import create_async_engine

engine = create_async_engine("postgresql+asyncpg://app@db/app")
sync_engine = create_engine("postgresql+psycopg://app@db/app")
logs = create_engine("postgresql+psycopg://app@db/app", isolation_level="AUTOCOMMIT")
events = Table("events", MetaData(), Column("id", Integer, primary_key=True), Column("kind", String))

# --- app/record.py ---
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, insert, select, text

from app.db import engine, events, logs, sync_engine


async def record(kinds: list[str]) -> None:
    async with engine.begin() as connection:
        await connection.execute(insert(events), [{"kind": kind} for kind in kinds])


async def record_as_you_go(kind: str) -> None:
    async with engine.connect() as connection:
        await connection.execute(insert(events), {"kind": kind})
        await connection.commit()


def record_in_block(kind: str) -> None:
    with sync_engine.connect() as connection, connection.begin():
        connection.execute(insert(events), {"kind": kind})


def begun_by_hand(kind: str) -> None:
    connection = sync_engine.connect()
    transaction = connection.begin()
    try:
        connection.execute(insert(events), {"kind": kind})
        transaction.commit()
    except Exception:
        transaction.rollback()
        raise
    finally:
        connection.close()


def log(kind: str) -> None:
    with logs.connect() as connection:
        connection.execute(insert(events), {"kind": kind})


def vacuum() -> None:
    with sync_engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("delete from events"))


def kinds() -> list[str]:
    with sync_engine.connect() as connection:
        connection.execute(text("set local statement_timeout = 100"))
        return list(connection.scalars(select(events.c.kind)))


def read_then_write(kind: str) -> None:
    with sync_engine.connect() as connection:
        known = connection.scalar(select(events.c.id).where(events.c.kind == kind))
    if known is None:
        with sync_engine.begin() as connection:
            connection.execute(insert(events), {"kind": kind})


def _record_and_commit(connection: Connection, kind: str) -> None:
    connection.execute(insert(events), {"kind": kind})
    connection.commit()


def record_elsewhere(kind: str) -> None:
    with sync_engine.connect() as connection:
        _record_and_commit(connection, kind)


@contextmanager
def opened() -> Iterator[Connection]:
    # whoever enters this commits
    with sync_engine.connect() as connection:
        connection.execute(text("insert into events (kind) values ('opened')"))
        yield connection
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    connections = CoreConnections(analysis.infer)
    commits_itself = not analysis.settings.versions["sqlalchemy"].admits("2.0", "99") if (
        "sqlalchemy" in analysis.settings.versions
    ) else False  # fmt: skip
    for function in analysis.functions:
        for found in connections.uncommitted(function):
            if commits_itself and not found.is_async and found.begun is None:
                continue
            yield _draft(function, found)


def _draft(function: Function, found: Uncommitted) -> Draft:
    opened = step(function.module.path, found.opened, "the connection is opened here")
    if found.begun is not None:
        return Draft(
            function,
            found.begun,
            f"the transaction begun on `{found.name}` is rolled back on failure, and never committed",
            "commit it, or enter it: `with connection.begin():`",
            "no commit follows",
            (opened,),
        )
    first = found.writes[0]
    loc = first.chain[0].loc if first.chain else first.loc
    return Draft(
        function,
        loc,
        f"the {first.verb} over `{found.name}` is never committed; closing the connection rolls it back",
        "open it with `engine.begin()`, or call `commit()`",
        "lost when the connection is closed",
        (opened, *chain_steps(first.chain), step(first.path, first.loc, first.verb)),
    )
