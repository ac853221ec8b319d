"""Databases for the scenarios: one of each kind, on the server that the proofs use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.proofs.conftest import _execute, fresh_database, postgresql_dsn

__all__ = ["fresh_database", "postgresql_dsn"]


@pytest.fixture(scope="module")
def databases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """``databases("postgresql")`` is the URL of a database that the tests of a module share."""
    made: dict[str, str] = {}

    def url(backend: str) -> str:
        if backend == "sqlite":
            folder = made.setdefault(backend, str(tmp_path_factory.mktemp("database")))
            return f"sqlite+aiosqlite:///{Path(folder) / 'db.sqlite'}"
        if backend not in made:
            dsn = request.getfixturevalue("postgresql_dsn")
            name = f"sanitizer_{abs(hash(request.node.nodeid)) % 10**10}"
            asyncio.run(_execute(dsn, f"DROP DATABASE IF EXISTS {name}"))
            asyncio.run(_execute(dsn, f"CREATE DATABASE {name}"))
            made[backend] = _at(dsn, name)
        return made[backend]

    return url


def _at(dsn: str, name: str) -> str:
    scheme, _, rest = dsn.partition("://")
    authority, _, tail = rest.partition("/")
    _, question, query = tail.partition("?")
    return f"{scheme.partition('+')[0]}+asyncpg://{authority}/{name}{question}{query}"
