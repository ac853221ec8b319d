"""Reads database errors: which SQLSTATE, worth a retry or not, a sign that the database is unavailable or not.

Classes of exceptions say little: asyncpg's serialization failure arrives as a bare ``DBAPIError``, psycopg's as an
``OperationalError``. The five characters of SQLSTATE are the same everywhere (PostgreSQL manual, appendix A).
"""

from __future__ import annotations

from types import TracebackType
from typing import Final

from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

SERIALIZATION_FAILURE: Final = "40001"
DEADLOCK_DETECTED: Final = "40P01"
LOCK_NOT_AVAILABLE: Final = "55P03"
QUERY_CANCELED: Final = "57014"
FOREIGN_KEY_VIOLATION: Final = "23503"
UNIQUE_VIOLATION: Final = "23505"
TOO_MANY_CONNECTIONS: Final = "53300"

# The server rolled the transaction back and says that it may succeed when repeated.
CONFLICTS: Final = frozenset({SERIALIZATION_FAILURE, DEADLOCK_DETECTED})
# admin_shutdown, crash_shutdown, cannot_connect_now, too_many_connections, idle sessions ended by the server
_UNAVAILABLE: Final = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03", TOO_MANY_CONNECTIONS})


def sqlstate_of(error: BaseException) -> str:
    """The SQLSTATE of an error of SQLAlchemy or of its driver; an empty string where there is none."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(origin, "sqlstate", None) or getattr(origin, "pgcode", None)
    return state if isinstance(state, str) else ""


def is_conflict(error: BaseException) -> bool:
    """A deadlock or a serialization failure: nothing was saved, and a repetition may succeed."""
    return sqlstate_of(error) in CONFLICTS


def is_unavailable(error: BaseException) -> bool:
    """The connection was lost or could not be made: restart, failover, kill, network, too many connections.

    An exhausted pool is not: the database is there, and more attempts would make things worse.
    """
    if isinstance(error, PoolTimeoutError):
        return False
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    state = sqlstate_of(error)
    if state:
        return state in _UNAVAILABLE or state.startswith("08")
    return isinstance(error, (OSError, DBAPIError)) and _raised_while_connecting(error.__traceback__)


def is_transient(error: BaseException, *, retry_lock_timeout: bool = False) -> bool:
    """A repetition of the whole unit of work may succeed. Never true for constraints or cancelled statements."""
    if is_conflict(error) or is_unavailable(error):
        return True
    return retry_lock_timeout and sqlstate_of(error) == LOCK_NOT_AVAILABLE


def may_have_committed(error: BaseException) -> bool:
    """An error of ``Session.commit()`` after which nobody knows whether the COMMIT took effect.

    Not so when the server itself refused, when the error belongs to a statement (which was flushed before the COMMIT),
    or when there never was a connection.
    """
    state = sqlstate_of(error)
    if state and not is_unavailable(error):
        return False
    if isinstance(error, StatementError) and error.statement is not None:
        return False
    return not _raised_while_connecting(error.__traceback__)


def _raised_while_connecting(traceback: TracebackType | None) -> bool:
    """An ``OSError`` proves nothing by itself: an HTTP client within the unit of work raises the same."""
    while traceback is not None:
        if traceback.tb_frame.f_globals.get("__name__", "").startswith("sqlalchemy.pool"):
            return True
        traceback = traceback.tb_next
    return False
