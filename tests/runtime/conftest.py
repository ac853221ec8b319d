"""Databases for the runtime's tests: PostgreSQL by asyncpg and by psycopg, and SQLite."""

from __future__ import annotations

import itertools
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from sessionlint.runtime import SSEUnitOfWork
from sessionlint.runtime.database import DatabaseSettings, create_engine
from tests.runtime.models import Base
from tests.runtime.postgresql import Server, run_server

POSTGRESQL = ("asyncpg", "psycopg")
BACKENDS = (*POSTGRESQL, "sqlite")
_numbers = itertools.count()


@dataclass
class Database:
    """A database with the tables of `models`, and a way to look into it that shares nothing with SQLAlchemy."""

    settings: DatabaseSettings
    engine: AsyncEngine
    factory: async_sessionmaker[AsyncSession]
    server: Server | None = None
    path: Path | None = None

    @property
    def name(self) -> str:
        """Under this name the server knows our connections."""
        return self.settings.application_name

    def unit(self, name: str = "test", **options: bool) -> SSEUnitOfWork[AsyncSession]:
        return SSEUnitOfWork(self.factory, name=name, **options)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Ask through a connection of our own: only what was committed is seen."""
        if self.server is None:
            assert self.path is not None
            with sqlite3.connect(self.path) as lite:
                return list(lite.execute(statement))
        url = self.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def ids(self) -> list[str]:
        return [row[0] for row in self.rows("SELECT id FROM conversations ORDER BY id")]

    def checked_out(self) -> int:
        pool: Any = self.engine.pool
        return int(pool.checkedout())

    def server_states(self) -> list[str]:
        """The states of our connections as the server sees them."""
        found = self.rows(f"SELECT state FROM pg_stat_activity WHERE application_name = '{self.name}'")
        return sorted(state for (state,) in found)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    yield from run_server()


@pytest.fixture(scope="session")
def postgresql_database(server: Server) -> Iterator[str]:
    name = f"runtime_{os.getpid()}"
    server.execute(f"CREATE DATABASE {name}")
    yield name
    server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
def settings_changes() -> dict[str, Any]:
    """Overridden where a test needs other limits or another pool."""
    return {}


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest_asyncio.fixture
async def database(
    backend: str, request: pytest.FixtureRequest, tmp_path: Path, settings_changes: dict[str, Any]
) -> AsyncIterator[Database]:
    name = f"test{next(_numbers)}"
    server: Server | None = None
    path: Path | None = None
    if backend == "sqlite":
        path = tmp_path / "test.sqlite"
        url = f"sqlite+aiosqlite:///{path}"
    else:
        server = request.getfixturevalue("server")
        url = server.url(backend, request.getfixturevalue("postgresql_database"))
    options: dict[str, Any] = {"pool_size": 3, "max_overflow": 0, "pool_timeout": 2.0, **settings_changes}
    settings = DatabaseSettings(url=url, application_name=name, **options)
    engine = create_engine(settings)
    made = Database(settings, engine, async_sessionmaker(engine, expire_on_commit=False), server, path)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    yield made
    await engine.dispose()
