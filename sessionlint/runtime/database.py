"""The recipe for one database per service: a bounded pool, timeouts that the server enforces, one session factory.

    engine = create_engine(DatabaseSettings(url="postgresql+asyncpg://...", application_name="chat"))
    configure(engine)                      # once, at start-up

`session_factory` may be imported before that: it is configured, never rebound. (A module global that is ``None`` until
an ``init`` function runs stays ``None`` for everyone who imported it by name.)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from .unit_of_work import SSEUnitOfWork

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection

ConnectArgument = str | int | float | bool | dict[str, str]


@dataclass(frozen=True)
class DatabaseSettings:
    """Times are in seconds. ``None`` leaves a limit to the server's own configuration.

    ``pool_size + max_overflow`` times the number of worker processes has to stay below ``max_connections``.
    ``connection_check_interval`` (PostgreSQL 14, Linux) makes the server stop a statement whose client is gone;
    without it such a statement runs on and keeps its locks. Set it to ``None`` behind PgBouncer, as the other limits:
    it refuses unknown start-up parameters, so set them there with ``ALTER ROLE ... SET``.
    """

    url: str | URL
    application_name: str = "service"
    pool_size: int = 5
    max_overflow: int = 5
    pool_timeout: float = 5.0
    pool_recycle: float = 1800.0
    connect_timeout: float = 5.0
    statement_timeout: float | None = 30.0
    lock_timeout: float | None = 10.0
    idle_in_transaction_timeout: float | None = 60.0
    connection_check_interval: float | None = 2.0
    echo: bool = False

    def server_settings(self) -> dict[str, str]:
        """PostgreSQL's run-time parameters (milliseconds) for every connection of the pool."""
        limits = {
            "statement_timeout": self.statement_timeout,
            "lock_timeout": self.lock_timeout,
            "idle_in_transaction_session_timeout": self.idle_in_transaction_timeout,
            "client_connection_check_interval": self.connection_check_interval,
        }
        return {name: str(round(seconds * 1000)) for name, seconds in limits.items() if seconds is not None}


def create_engine(settings: DatabaseSettings) -> AsyncEngine:
    """An engine for asyncpg, psycopg or aiosqlite; any other driver gets the pool and no server limits."""
    url = make_url(settings.url)
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(settings, url)
    return create_async_engine(
        url,
        echo=settings.echo,
        pool_size=settings.pool_size,
        max_overflow=settings.max_overflow,
        pool_timeout=settings.pool_timeout,
        pool_recycle=round(settings.pool_recycle),
        pool_pre_ping=True,
        connect_args=connect_args(settings),
    )


def create_probe_engine(settings: DatabaseSettings) -> AsyncEngine:
    """An engine without a pool for readiness checks, so that an exhausted pool does not look like a dead database."""
    probe = replace(settings, application_name=f"{settings.application_name}-probe", statement_timeout=2.0)
    return create_async_engine(make_url(settings.url), poolclass=NullPool, connect_args=connect_args(probe))


def connect_args(settings: DatabaseSettings) -> dict[str, ConnectArgument]:
    """The driver's own spelling of the limits."""
    driver = make_url(settings.url).get_driver_name()
    if driver == "asyncpg":
        arguments: dict[str, ConnectArgument] = {
            "timeout": settings.connect_timeout,
            "server_settings": {"application_name": settings.application_name, **settings.server_settings()},
        }
        if settings.statement_timeout is not None:
            # The client's own limit, for a network that swallows packets: the server can't cancel what it never got.
            arguments["command_timeout"] = settings.statement_timeout + 5.0
        return arguments
    if driver == "psycopg":
        options = " ".join(f"-c {name}={value}" for name, value in settings.server_settings().items())
        return {
            "connect_timeout": max(2, round(settings.connect_timeout)),
            "application_name": settings.application_name,
            "options": options,
            "keepalives_idle": 30,
            "tcp_user_timeout": 35_000,
        }
    return {}


def _sqlite_engine(settings: DatabaseSettings, url: URL) -> AsyncEngine:
    engine = create_async_engine(url, echo=settings.echo, connect_args={"timeout": settings.lock_timeout or 5.0})
    make_sqlite_transactional(engine.sync_engine)
    return engine


def make_sqlite_transactional(engine: Engine) -> None:
    """Make SQLite check foreign keys, and make its savepoints part of a transaction.

    Without the first it stores orphans silently. Without the second the driver begins a transaction only at the first
    INSERT, so that a savepoint before it is a transaction of its own and its release a commit (SQLAlchemy's manual,
    "Serializable isolation / Savepoints / Transactional DDL" of the SQLite dialect).
    """

    @event.listens_for(engine, "connect")
    def _on_connect(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")


# ``close_resets_only=False``: a session used after close() raises instead of silently opening a new transaction.
session_factory: async_sessionmaker[AsyncSession] = async_sessionmaker(expire_on_commit=False, close_resets_only=False)


def configure(engine: AsyncEngine) -> None:
    """Give `session_factory` its engine; also what a test does to use another database."""
    session_factory.configure(bind=engine)


def unit_of_work(name: str = "unit_of_work") -> SSEUnitOfWork[AsyncSession]:
    """A unit of work on `session_factory`: what a stream, a background task or a consumer opens for itself."""
    return SSEUnitOfWork(session_factory, name=name)


async def get_db() -> AsyncIterator[AsyncSession]:
    """Dependency for endpoints that answer at once: the endpoint commits, leaving rolls back.

    It never commits by itself: code after ``yield`` runs, depending on the version of FastAPI and the dependency's
    scope, after the client got its 200, and then a failing COMMIT is a silent loss. Never use it in a stream or a
    background task, which outlive it or hold its transaction open: they take a `unit_of_work`.
    """
    async with unit_of_work("request") as uow:
        yield uow.session


async def get_unit_of_work() -> AsyncIterator[SSEUnitOfWork[AsyncSession]]:
    """As `get_db`, with the unit of work itself."""
    async with unit_of_work("request") as uow:
        yield uow


def get_unit_of_work_factory() -> Callable[[str], SSEUnitOfWork[AsyncSession]]:
    """Dependency for streams: gives the function that opens a unit of work, and holds nothing itself."""
    return unit_of_work
