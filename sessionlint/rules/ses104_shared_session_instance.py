"""One session object is shared by everything that runs in the process.

## What it does

Reports a session that is opened where it lives as long as the process: in a module global, a class attribute, the
default of a parameter, the result of a cached function, a container's `Singleton`, application state, or an attribute
that the constructor of such an object sets.

## Why is this bad

A session is one conversation with the database: one transaction, one set of objects. Two requests (threads, tasks) that
share it share the transaction: the rollback of one throws away the pending rows of the other, without an error; the
commit of one saves half of what the other has begun. Under asyncio the driver refuses the second user. What was once
loaded is never read again, and a failure leaves the session unusable for everybody until somebody rolls back.

## Instead

Share the factory, and open a session for each unit of work:

    SessionLocal = sessionmaker(engine)

    with SessionLocal() as db:
        ...

Where a global is needed, `scoped_session` is one: each thread (task) that uses it gets a session of its own.

## When it is silent

Factories and scoped registries; a script's own session (a module with a main guard and without endpoints, or whose own
statements use the session); tests; a session opened for the time of a `with`.

## Fix safety

There is no fix: every user of the shared session needs one of its own.

## Options

None; suppress a deliberate case (`# sessionlint: ignore[SES104] -- single-threaded desktop tool`).

## Symptom at run time

Rows that were added, and are in no table, without an error; `This session is provisioning a new connection; concurrent
operations are not permitted`; `IllegalStateChangeError`; stale values until the next restart.

## References

- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#is-the-session-thread-safe-is-asyncsession-safe-to-share-in-concurrent-tasks
- https://docs.sqlalchemy.org/en/20/orm/contextual.html
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.findings import Severity
from sessionlint.project.symbols import Function
from sessionlint.rules.base import Draft, step

SEVERITY = Severity.ERROR
DEFAULT = True

BAD = (
    """
# --- app/db.py ---
import os
from functools import lru_cache

from sqlalchemy import create_engine
from sqlalchemy.orm import Session, sessionmaker

engine = create_engine(os.environ["DATABASE_URL"])
SessionLocal = sessionmaker(engine)
db = SessionLocal()  # SES104


@lru_cache
def get_session() -> Session:  # SES104
    return SessionLocal()


def find(key: int, session: Session = SessionLocal()) -> object:  # SES104
    return session.get(object, key)


class Archive:
    session = Session(engine)  # SES104

# --- app/lazy.py ---
from sqlalchemy.orm import Session

from app.db import SessionLocal

_session: Session | None = None


def session() -> Session:
    global _session
    if _session is None:
        _session = SessionLocal()  # SES104
    return _session

# --- app/stores.py ---
from sqlalchemy.orm import Session

from app.db import SessionLocal


class Storage:
    def __init__(self) -> None:
        self.session = SessionLocal()  # SES104

    def all(self) -> list[object]:
        return self.session.query(object).all()


class Users:
    def __init__(self, session: Session) -> None:
        self.session = session


users = Users(SessionLocal())  # SES104

# --- app/main.py ---
from app.db import db, find, get_session
from app.lazy import session
from app.stores import Storage, users

storage = Storage()


def handle(key: int) -> list[object]:
    return [find(key), db.get(object, key), get_session(), session(), storage.all(), users]
""",
    """
# --- app/containers.py ---
import os

from dependency_injector import containers, providers
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

maker = async_sessionmaker(create_async_engine(os.environ["DATABASE_URL"]), expire_on_commit=False)
session = providers.Singleton(maker)  # SES104


def start(app: FastAPI) -> None:
    app.state.db = maker()  # SES104

# --- app/main.py ---
from app.containers import session, start
""",
    """
# --- app.py ---
import os

from flask import Flask
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

app = Flask(__name__)
session = Session(create_engine(os.environ["DATABASE_URL"]))  # SES104


@app.route("/users")
def users() -> list[str]:
    return list(session.scalars(text("select name from users")))


if __name__ == "__main__":
    app.run()
""",
)

GOOD = (
    '''
# --- app/db.py ---
import os
from collections.abc import Iterator
from functools import lru_cache

from dependency_injector import providers
from fastapi import FastAPI
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session, scoped_session, sessionmaker

engine = create_engine(os.environ["DATABASE_URL"])
SessionLocal = sessionmaker(engine)
Registry = scoped_session(SessionLocal)
factory = providers.Singleton(sessionmaker, bind=engine)
per_call = providers.Factory(SessionLocal)

with SessionLocal() as starting:
    VERSION = starting.scalar(text("show server_version"))


@lru_cache
def get_engine() -> Engine:
    return create_engine(os.environ["DATABASE_URL"])


@lru_cache
def get_maker() -> sessionmaker[Session]:
    return sessionmaker(get_engine())


def get_db() -> Iterator[Session]:
    with SessionLocal() as db:
        yield db


def start(app: FastAPI) -> None:
    app.state.maker = SessionLocal


class Storage:
    """Built at module level, and opens a session per call."""

    maker = SessionLocal

    def __init__(self, maker: sessionmaker[Session] = SessionLocal) -> None:
        self._maker = maker
        self._open = lambda: maker()

    def count(self) -> int:
        with self._maker() as session:
            return len(session.execute(text("select 1")).all())


class Unit:
    """Built per use: what it opens ends with it."""

    def __init__(self) -> None:
        self.session = SessionLocal()

    def close(self) -> None:
        self.session.close()


storage = Storage()


def use() -> None:
    unit = Unit()
    unit.close()

# --- app/main.py ---
from app.db import Registry, storage, use

# --- import_customers.py ---
"""A script: the session is its own."""
from sqlalchemy import text

from app.db import SessionLocal

session = SessionLocal()
session.execute(text("insert into customers values (1)"))
session.commit()
session.close()

# --- shell.py ---
from app.db import SessionLocal

session = SessionLocal()


def show() -> None:
    print(session)


if __name__ == "__main__":
    show()
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    told = set()
    for seen in analysis.shared_sessions:
        place = (seen.owner.module.path, seen.loc)
        if place in told or (isinstance(seen.owner, Function) and analysis.is_script(seen.owner)):
            continue
        told.add(place)
        yield Draft(
            seen.owner,
            seen.loc,
            f"`{seen.text}` opens a session that everything in the process shares: {seen.where} keeps it",
            "keep the factory there, and open a session for each unit of work",
            "one transaction for all requests",
            tuple(step(reason.path, reason.loc, reason.text) for reason in seen.why),
        )
