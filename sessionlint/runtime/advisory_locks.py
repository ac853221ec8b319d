"""PostgreSQL's advisory locks: the same key excludes each other over all processes and machines.

A transaction-level lock ends with its transaction, so it can neither be forgotten nor be released before the COMMIT.
(PostgreSQL manual, "Advisory Locks".)
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from .errors import LockTimeoutError, UnitOfWorkError
from .locks import SessionLockManager
from .sqlstate import LOCK_NOT_AVAILABLE, sqlstate_of
from .unit_of_work import SSEUnitOfWork

S = TypeVar("S", bound=AsyncSession)


def advisory_key(key: str) -> int:
    """A signed 64-bit number for ``key``, the same in every process (Python's own ``hash`` differs between them)."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big", signed=True)


async def advisory_xact_lock(session: AsyncSession, key: str, timeout: float | None = None) -> None:
    """Wait for the lock of ``key`` and hold it until the transaction ends.

    Takes effect before reads only if it is the first thing in the transaction (under REPEATABLE READ the snapshot is
    older otherwise). ``timeout`` in seconds applies to this wait alone; when it is over, `LockTimeoutError` is raised
    and PostgreSQL accepts nothing but a rollback. Without it, the connection's own ``lock_timeout`` applies.
    """
    _require_postgresql(session)
    acquire = text("SELECT pg_advisory_xact_lock(:key)")
    try:
        if timeout is None:
            await session.execute(acquire, {"key": advisory_key(key)})
            return
        set_timeout = text("SELECT set_config('lock_timeout', :value, true)")
        before = (await session.execute(text("SELECT current_setting('lock_timeout')"))).scalar_one()
        await session.execute(set_timeout, {"value": f"{max(1, round(timeout * 1000))}ms"})
        await session.execute(acquire, {"key": advisory_key(key)})
        await session.execute(set_timeout, {"value": before})
    except DBAPIError as error:
        if sqlstate_of(error) != LOCK_NOT_AVAILABLE:
            raise
        raise LockTimeoutError(f"The advisory lock of {key!r} was not free in time.") from error


async def try_advisory_xact_lock(session: AsyncSession, key: str) -> bool:
    """Take the lock if it is free; never waits."""
    _require_postgresql(session)
    taken = await session.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": advisory_key(key)})
    return bool(taken.scalar_one())


@asynccontextmanager
async def locked_unit_of_work(
    open_unit: Callable[[], SSEUnitOfWork[S]],
    key: str,
    *,
    locks: SessionLockManager | None = None,
    across_processes: bool = True,
    timeout: float | None = None,
) -> AsyncIterator[SSEUnitOfWork[S]]:
    """Lock, open the unit of work, let the block commit, close, unlock: in this order and no other.

    ``locks`` lets the waiters of this process queue without holding a connection each. The advisory lock covers the
    first transaction of the block: commit once, at its end.
    """
    if locks is None:
        async with _locked_in_database(open_unit, key, across_processes, timeout) as unit:
            yield unit
        return
    async with (
        locks.acquire(key, timeout),
        _locked_in_database(open_unit, key, across_processes, timeout) as unit,
    ):
        yield unit


@asynccontextmanager
async def _locked_in_database(
    open_unit: Callable[[], SSEUnitOfWork[S]], key: str, across_processes: bool, timeout: float | None
) -> AsyncIterator[SSEUnitOfWork[S]]:
    async with open_unit() as unit:
        if across_processes:
            await advisory_xact_lock(unit.session, key, timeout)
        yield unit


def _require_postgresql(session: AsyncSession) -> None:
    name = session.get_bind().dialect.name
    if name != "postgresql":
        raise UnitOfWorkError(f"Advisory locks are PostgreSQL's; this session's database is {name}.")
