"""All checks in order: connect, round trip (only when asked for), activity, integrity, limits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from .activity import activity
from .answers import Answer, Status, failed, fine, not_applicable, render
from .database import Database
from .integrity import integrity
from .limits import PoolPlan, limits
from .round_trip import Pair, built_in_pair, pair_of, round_trip


@dataclass(frozen=True)
class Wishes:
    """What is asked of an examination; times in seconds. Only ``round_trip`` or a pair of models makes it write."""

    round_trip: bool = False
    parent: str | None = None
    child: str | None = None
    long_seconds: float = 60.0
    idle_seconds: float = 5.0
    connect_timeout: float = 10.0
    plan: PoolPlan = field(default_factory=PoolPlan)


def examine(url: str, wishes: Wishes) -> Iterator[Answer]:
    """The answers, one by one. Raises ``Refused`` before the first where nothing can be examined."""
    pair = _pair(wishes)
    with Database(url, wishes.connect_timeout) as database:
        try:
            yield database.read(_connected)
        except (SQLAlchemyError, OSError, asyncio.TimeoutError, ValueError) as error:
            yield _unconnected(database, error)
            return
        except Exception as error:
            # Drivers raise errors of their own before SQLAlchemy can wrap them.
            if type(error).__module__.partition(".")[0] not in {"asyncpg", "psycopg", "aiosqlite", "sqlite3"}:
                raise
            yield _unconnected(database, error)
            return
        if pair is None:
            yield not_applicable(
                "parent and child round trip", "it writes: ask for it with --round-trip or --parent/--child"
            )
        else:
            yield from round_trip(database, pair)
        checks: tuple[tuple[str, Iterator[Answer]], ...] = (
            ("activity", activity(database, wishes.long_seconds, wishes.idle_seconds)),
            ("integrity", integrity(database, pair)),
            ("limits", limits(database, wishes.plan)),
        )
        for title, check in checks:
            try:
                yield from check
            except SQLAlchemyError as error:
                step = "this role may need pg_monitor; the other lines still hold"
                yield failed(f"{title}: {database.said(error)}", step)


def report(url: str, wishes: Wishes, encoding: str | None) -> Iterator[tuple[str, bool]]:
    """The same as text; the flag says whether the line is a failure."""
    for answer in examine(url, wishes):
        yield render([answer], encoding), answer.status is Status.FAILED


def _pair(wishes: Wishes) -> Pair | None:
    if wishes.parent and wishes.child:
        return pair_of(wishes.parent, wishes.child)
    return built_in_pair() if wishes.round_trip else None


def _connected(connection: Connection) -> Answer:
    name = connection.dialect.name
    version = ".".join(str(part) for part in connection.dialect.server_version_info or ())
    url = connection.engine.url
    where = f"{url.host or 'local socket'}/{url.database}" if name != "sqlite" else str(url.database)
    connection.execute(text("SELECT 1"))
    return fine(f"connected to {name} {version} at {where} with {connection.dialect.driver}")


def _unconnected(database: Database, error: BaseException) -> Answer:
    url = database.url
    where = f"{url.host or 'local socket'}{f':{url.port}' if url.port else ''}"
    said = database.said(error)
    lowered = said.lower()
    if "password" in lowered or "authentication" in lowered:
        step = f"check user `{url.username}` and its password, and pg_hba.conf on the server"
    elif "does not exist" in lowered:
        step = f"check the database name `{url.database}`; list them with psql -l"
    elif isinstance(error, (asyncio.TimeoutError, TimeoutError)) or "timeout" in lowered or "timed out" in lowered:
        step = f"{where} does not answer: check host, port, firewall and VPN"
        said = said if "timeout" in lowered or "timed out" in lowered else f"no answer in time ({said})"
    else:
        step = f"check that the server listens at {where}, and that the name resolves"
    return failed(f"cannot connect to {where}: {said}", step)
