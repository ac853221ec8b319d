"""Isolation, timeouts and room for the pool, as the server sees them for this role and database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, text

from .answers import Answer, failed, fine, not_applicable
from .database import Database

_TIMEOUTS = (
    (
        "idle_in_transaction_session_timeout",
        "a forgotten transaction keeps its locks and its connection for ever",
        "60s",
    ),
    ("statement_timeout", "a statement whose client has gone runs on", "30s"),
    ("lock_timeout", "a statement waits for a lock for ever", "10s"),
)


@dataclass(frozen=True)
class PoolPlan:
    """What the service intends: connections per process, and processes."""

    pool_size: int = 5
    max_overflow: int = 10
    workers: int = 1

    @property
    def connections(self) -> int:
        return (self.pool_size + self.max_overflow) * self.workers


def limits(database: Database, plan: PoolPlan) -> Iterator[Answer]:
    """One line per setting; a timeout that is set per connection by the service counts only there, and is said so."""
    if database.backend == "postgresql":
        yield from database.read(lambda connection: _postgresql(connection, plan))
    elif database.backend == "sqlite":
        yield from database.read(_sqlite)
    else:
        for title in ("isolation", "timeouts", "room for the pool"):
            yield not_applicable(title, f"not known for {database.backend}")


def _postgresql(connection: Connection, plan: PoolPlan) -> list[Answer]:
    answers = [_isolation(_setting(connection, "default_transaction_isolation"))]
    role = connection.execute(text("SELECT current_user")).scalar_one()
    # The reading connection has set a statement_timeout of its own.
    own = {
        row[0]: row[1]
        for row in connection.execute(
            text("SELECT name, reset_val FROM pg_settings WHERE name = ANY(:names)"),
            {"names": [name for name, _, _ in _TIMEOUTS]},
        )
    }
    for name, harm, proposal in _TIMEOUTS:
        if own.get(name, "0") in {"0", ""}:
            answers.append(
                failed(
                    f"{name} is not set for role {role}: {harm}",
                    f"ALTER ROLE {role} SET {name} = '{proposal}', or set it per connection "
                    "(sessionlint.runtime.database does), and then ignore this line",
                )
            )
        else:
            answers.append(fine(f"{name} is {int(own[name]) / 1000:g} s"))
    answers.append(_room(connection, plan))
    return answers


def _isolation(level: str) -> Answer:
    if level in {"repeatable read", "serializable"}:
        return fine(f"isolation is {level}: every unit of work needs a retry on SQLSTATE 40001")
    return fine(f"isolation is {level}")


def _room(connection: Connection, plan: PoolPlan) -> Answer:
    most = int(_setting(connection, "max_connections"))
    reserved = int(_setting(connection, "superuser_reserved_connections"))
    used = int(
        connection.execute(
            text("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")
        ).scalar_one()
    )
    described = (
        f"{plan.workers} x ({plan.pool_size} + {plan.max_overflow}) = {plan.connections} connections of the pools"
    )
    if plan.connections > most - reserved:
        return failed(
            f"{described} do not fit into {most - reserved} (max_connections {most}, {reserved} reserved)",
            "smaller pools, fewer workers, PgBouncer, or a higher max_connections",
        )
    if used > 0.8 * (most - reserved):
        return failed(
            f"{used} of {most - reserved} connections are in use", "find who holds them: SELECT * FROM pg_stat_activity"
        )
    return fine(f"{described} fit into {most - reserved}; {used} are in use now")


def _sqlite(connection: Connection) -> list[Answer]:
    answers = []
    journal = connection.execute(text("PRAGMA journal_mode")).scalar_one()
    if journal == "wal":
        answers.append(fine("journal_mode is wal: readers and one writer do not block each other"))
    else:
        answers.append(
            failed(
                f"journal_mode is {journal}: every write blocks all readers", "PRAGMA journal_mode = WAL, once per file"
            )
        )
    answers.append(fine("isolation is serializable (SQLite knows no other), one writer at a time"))
    waiting = int(connection.execute(text("PRAGMA busy_timeout")).scalar_one())
    if waiting:
        answers.append(fine(f"busy_timeout is {waiting / 1000:g} s for this driver"))
    else:
        answers.append(failed("busy_timeout is 0: a second writer fails at once", "connect_args={'timeout': 5}"))
    answers.append(not_applicable("room for the pool", "a file has no connection limit"))
    return answers


def _setting(connection: Connection, name: str) -> str:
    return str(connection.execute(text("SELECT current_setting(:name)"), {"name": name}).scalar_one())
