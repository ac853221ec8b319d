"""A scoped registry of sessions is closed after use, but never emptied.

## What it does

Reports `close()` on a `scoped_session` or `async_scoped_session` when nothing in the project calls `remove()` on that
registry; and an `async_scoped_session` (or one with a `scopefunc`) that is neither closed nor emptied anywhere.

## Why is this bad

The registry keeps one session per scope: per thread, or per whatever `scopefunc` returns. `close()` ends the session's
transaction and leaves the session in the registry, under a key that will never come again: with `current_task` the
registry grows by one finished task, its session and all it had loaded, for every request.

## Instead

    try:
        ...
    finally:
        await registry.remove()

`remove()` closes the session and drops it from the registry.

## When it is silent

`remove()` is called anywhere on the same registry; Flask-SQLAlchemy and pyramid_tm, which do it at the end of a request;
a thread-local registry that is never closed either (scripts, workers with one thread); a registry that is kept where it
cannot be named.

## Fix safety

Safe: `close` becomes `remove`, which closes too. Objects loaded before are detached either way.

## Options

None.

## Symptom at run time

Memory grows with every request; 50 finished tasks leave 50 sessions in `registry.registry`.

## References

- https://docs.sqlalchemy.org/en/20/orm/contextual.html#using-thread-local-scope-with-web-applications
- https://docs.sqlalchemy.org/en/20/orm/extensions/asyncio.html#using-asyncio-scoped-session
- https://github.com/sqlalchemy/sqlalchemy/issues/8340
- https://github.com/DataJunction/dj/pull/1430
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.findings import Severity
from sessionlint.project.registries import scoped_registries
from sessionlint.rules.base import Draft, step

SEVERITY = Severity.WARNING
DEFAULT = True

BAD = (
    """
# --- app/db.py ---
import asyncio
import os

from sqlalchemy.ext.asyncio import async_scoped_session, async_sessionmaker, create_async_engine

maker = async_sessionmaker(create_async_engine(os.environ["DATABASE_URL"]), expire_on_commit=False)
session = async_scoped_session(maker, scopefunc=asyncio.current_task)
other = async_scoped_session(maker, asyncio.current_task)  # SES110

# --- app/jobs.py ---
from sqlalchemy import text

from app import db
from app.db import other, session


async def prune() -> None:
    try:
        await session.execute(text("delete from logs"))
        await session.commit()
    finally:
        await session.close()  # SES110


async def count() -> None:
    await db.session.execute(text("select 1"))
    await other.execute(text("select 1"))
    await db.session.close()  # SES110
""",
)

GOOD = (
    '''
# --- app/db.py ---
import asyncio
import os

from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import scoped_session, sessionmaker

maker = async_sessionmaker(create_async_engine(os.environ["DATABASE_URL"]), expire_on_commit=False)
session = async_scoped_session(maker, scopefunc=asyncio.current_task)
threads = scoped_session(sessionmaker(create_engine(os.environ["DATABASE_URL"])))

# --- app/jobs.py ---
from sqlalchemy import text

from app.db import maker, session, threads


async def prune() -> None:
    try:
        await session.execute(text("delete from logs"))
        await session.commit()
    finally:
        await session.remove()


async def early() -> None:
    """Closed here, and emptied by the caller's `finally`."""
    await session.close()


async def plain() -> None:
    """A session, not a registry."""
    db = maker()
    try:
        await db.execute(text("select 1"))
    finally:
        await db.close()


def script() -> None:
    threads.execute(text("select 1"))
''',
    """
# --- app.py ---
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import scoped_session, sessionmaker

app = Flask(__name__)
db = SQLAlchemy(app)
extra = scoped_session(sessionmaker())


def finish() -> None:
    db.session.close()
    extra.close()
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for registry in scoped_registries(analysis.infer) if analysis.concerned else ():
        if registry.emptied:
            continue
        made = registry.made
        key = f"`{registry.scoped_by}`" if registry.scoped_by else "thread"
        for closing in registry.closed:
            yield Draft(
                closing.owner,
                closing.loc,
                f"`{closing.text}()` leaves the session in the registry: nothing ever calls `remove()`",
                "call `remove()` instead: it closes the session and drops it from the registry",
                f"one entry per {key} is left behind",
                (step(made.module.path, made.call.loc, "the registry"),),
            )
        if not registry.closed and (registry.is_async or registry.scoped_by):
            yield Draft(
                made.owner,
                made.call.loc,
                "sessions enter this registry and never leave it: nothing calls `remove()`",
                "call `remove()` where the scope ends, in a `finally`",
                f"grows by one session per {key}",
            )
