"""Connects to the database under examination: any driver, one way to run a function, no password shown."""

from __future__ import annotations

import asyncio
import importlib.util
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus

from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.engine import URL, Engine
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from .answers import Refused

R = TypeVar("R")

_SECRET_KEYS = ("password", "passwd", "pwd", "sslpassword")
_INSTALLABLE = {
    "asyncpg": "asyncpg", "psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary", "aiosqlite": "aiosqlite",
    "MySQLdb": "mysqlclient", "aiomysql": "aiomysql", "asyncmy": "asyncmy", "pymysql": "pymysql",
}  # fmt: skip


class Database:
    """A context manager that owns an engine without a pool and, for async drivers, an event loop of its own."""

    def __init__(self, url: str, connect_timeout: float = 10.0) -> None:
        """Raises ``Refused`` for what is no usable URL; connects to nothing yet. ``connect_timeout`` in seconds."""
        self.url = parsed(url)
        self._timeout = connect_timeout
        self._engine: Engine | AsyncEngine = self._made()
        self._loop = asyncio.new_event_loop() if isinstance(self._engine, AsyncEngine) else None

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(self._engine, AsyncEngine):
            self._wait(self._engine.dispose())
        else:
            self._engine.dispose()
        if self._loop is not None:
            self._loop.close()

    @property
    def backend(self) -> str:
        return self.url.get_backend_name()

    def read(self, function: Callable[[Connection], R]) -> R:
        """Run ``function`` on a new connection and roll back; on PostgreSQL in a transaction that cannot write."""

        def reading(connection: Connection) -> R:
            if self.backend == "postgresql":
                connection.execute(text("SET TRANSACTION READ ONLY"))
                connection.execute(text("SET LOCAL statement_timeout = '10s'"))
            try:
                return function(connection)
            finally:
                connection.rollback()

        return self._run(reading)

    def write(self, function: Callable[[Connection], R]) -> R:
        """Run ``function`` on a new connection and commit, unless it raises."""

        def writing(connection: Connection) -> R:
            result = function(connection)
            connection.commit()
            return result

        return self._run(writing)

    def said(self, error: BaseException) -> str:
        """The first line of an error, without any secret of the URL."""
        origin = getattr(error, "orig", None) or error
        words = str(origin).strip().splitlines()
        first = words[0] if words else ""
        name = type(origin).__name__
        return self.without_secrets(f"{name}: {first}" if first else name)

    def without_secrets(self, words: str) -> str:
        secrets = {self.url.password or "", *(_flat(self.url.query.get(key)) for key in _SECRET_KEYS)}
        spellings = {
            form
            for secret in secrets
            if secret
            for form in (secret, quote(secret), quote(secret, safe=""), quote_plus(secret))
        }
        for spelling in sorted(spellings, key=len, reverse=True):
            words = words.replace(spelling, "***")
        return words

    # ---- connecting ------------------------------------------------------------------------------------------------

    def _made(self) -> Engine | AsyncEngine:
        try:
            dialect = self.url.get_dialect()
            arguments = _connect_arguments(self.url, self._timeout)
            if dialect.is_async:
                return create_async_engine(self.url, poolclass=NullPool, connect_args=arguments)
            return create_engine(self.url, poolclass=NullPool, connect_args=arguments)
        except NoSuchModuleError:
            name = self.url.drivername
            hint = "; write postgresql+asyncpg://" if name.startswith("postgres") else ""
            raise Refused(f"no SQLAlchemy dialect for `{name}`{hint}") from None
        except ModuleNotFoundError as missing:
            package = _INSTALLABLE.get(missing.name or "", missing.name)
            raise Refused(f"the driver of `{self.url.drivername}` is not installed: pip install '{package}'") from None
        except (SQLAlchemyError, ValueError, TypeError) as error:
            raise Refused(f"SQLAlchemy does not accept this URL: {self.said(error)}") from None

    def _run(self, function: Callable[[Connection], R]) -> R:
        if isinstance(self._engine, Engine):
            with self._engine.connect() as connection:
                return function(connection)
        return self._wait(self._run_async(self._engine, function))

    async def _run_async(self, engine: AsyncEngine, function: Callable[[Connection], R]) -> R:
        connection = engine.connect()
        await asyncio.wait_for(connection.start(), self._timeout)
        try:
            return await connection.run_sync(function)
        finally:
            await connection.close()

    def _wait(self, coroutine: Coroutine[Any, Any, R]) -> R:
        assert self._loop is not None
        return self._loop.run_until_complete(coroutine)


def parsed(url: str) -> URL:
    """The URL. Raises ``Refused``, and repeats nothing of a text that may hold a password anywhere."""
    try:
        result = make_url(url)
    except (ArgumentError, ValueError):
        raise Refused(
            "this is no database URL; expected driver://user:password@host:port/database, "
            "as in postgresql+asyncpg://app@localhost/app"
        ) from None
    if result.drivername == "postgresql" and importlib.util.find_spec("psycopg2") is None:
        driver = next((name for name in ("asyncpg", "psycopg") if importlib.util.find_spec(name)), None)
        result = result.set(drivername=f"postgresql+{driver}") if driver else result
    if result.get_backend_name() == "sqlite":
        name = result.database
        # Connecting would make an empty file, and examining an empty database says nothing about the real one.
        if not name or name == ":memory:":
            raise Refused("an in-memory SQLite database is seen by its own process only: name a file")
        if not name.startswith("file:") and not Path(name).is_file():
            raise Refused(f"no such SQLite file: {name}")
    return result


def _connect_arguments(url: URL, timeout: float) -> dict[str, Any]:
    driver = url.drivername.partition("+")[2]
    if driver == "asyncpg":
        return {"timeout": timeout, "server_settings": {"application_name": f"sessionlint-diagnose-{os.getpid()}"}}
    if driver in {"psycopg", "psycopg2"}:
        return {"connect_timeout": max(2, round(timeout)), "application_name": f"sessionlint-diagnose-{os.getpid()}"}
    return {}


def _flat(value: str | tuple[str, ...] | None) -> str:
    return value if isinstance(value, str) else "".join(value or ())
