"""What other connections do now: long transactions, idle ones, and who blocks whom. PostgreSQL only; texts of queries
are never shown, because they may hold data and secrets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, text

from .answers import Answer, failed, fine, not_applicable
from .database import Database

TITLES = ("long transactions", "idle in transaction", "blocked locks")

_VISIBLE = text(
    "SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') OR rolsuper "
    "FROM pg_roles WHERE rolname = current_user"
)
_OPEN = text(
    """
    SELECT pid, coalesce(nullif(application_name, ''), '(no application_name)') AS application, usename,
           state, extract(epoch FROM clock_timestamp() - xact_start)::float AS seconds,
           extract(epoch FROM clock_timestamp() - state_change)::float AS idle
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
      AND backend_type = 'client backend'
    ORDER BY xact_start
    """
)
_BLOCKED = text(
    """
    SELECT waiting.pid, extract(epoch FROM clock_timestamp() - waiting.query_start)::float AS seconds,
           pg_blocking_pids(waiting.pid) AS blockers
    FROM pg_stat_activity AS waiting
    WHERE waiting.datname = current_database() AND cardinality(pg_blocking_pids(waiting.pid)) > 0
    ORDER BY waiting.query_start
    """
)


def activity(database: Database, long_seconds: float, idle_seconds: float) -> Iterator[Answer]:
    """Three lines; transactions older than ``long_seconds`` and idle ones older than ``idle_seconds`` are failures."""
    if database.backend != "postgresql":
        for title in TITLES:
            yield not_applicable(title, f"{database.backend} does not list the transactions of others")
        return
    if not database.read(lambda connection: connection.execute(_VISIBLE).scalar()):
        yield failed(
            "this role sees only its own connections", "GRANT pg_monitor TO the role, or run with one that has it"
        )
    rows = database.read(lambda connection: connection.execute(_OPEN).mappings().all())
    long = [row for row in rows if (row["seconds"] or 0) >= long_seconds]
    yield _listed(
        f"no transaction is older than {long_seconds:g} s",
        f"{_count(long, 'transaction')} older than {long_seconds:g} s",
        [
            f"pid {row['pid']} ({row['application']}, {row['usename']}) {row['seconds']:.0f} s {row['state']}"
            for row in long
        ],
        "commit earlier, before slow work; SELECT pg_terminate_backend(PID) ends one that is stuck",
    )
    idle = [row for row in rows if str(row["state"]).startswith("idle in") and (row["idle"] or 0) >= idle_seconds]
    yield _listed(
        f"nobody is idle in a transaction for more than {idle_seconds:g} s",
        f"{_count(idle, 'connection')} idle in transaction",
        [f"pid {row['pid']} ({row['application']}, {row['usename']}) {row['idle']:.0f} s" for row in idle],
        "look for SES501, SES502, SES503 and SES103 with `sessionlint check`; set idle_in_transaction_session_timeout",
    )
    blocked = database.read(_blocked)
    yield _listed(
        "nobody waits for a lock",
        f"{_count(blocked, 'connection')} wait for a lock" if len(blocked) != 1 else "1 connection waits for a lock",
        blocked,
        "end the blocking transaction: commit or roll back there, or SELECT pg_terminate_backend(PID)",
    )


def _blocked(connection: Connection) -> list[str]:
    return [
        f"pid {row['pid']} waits {row['seconds']:.0f} s for pid {', '.join(str(pid) for pid in row['blockers'])}"
        for row in connection.execute(_BLOCKED).mappings()
    ]


def _count(rows: Sequence[object], noun: str) -> str:
    return f"1 {noun}" if len(rows) == 1 else f"{len(rows)} {noun}s"


def _listed(good: str, bad: str, rows: list[str], next_step: str) -> Answer:
    if not rows:
        return fine(good)
    shown = "; ".join(rows[:5]) + (f"; and {len(rows) - 5} more" if len(rows) > 5 else "")
    return failed(f"{bad}: {shown}", next_step)
