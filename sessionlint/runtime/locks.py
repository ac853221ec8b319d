"""Locks by key within one process: what must not run twice at once for the same conversation, order, user.

The order that works is lock, session, commit, unlock: a session opened before the lock may read what the former holder
was about to change, and a lock released before the commit lets the next holder read the old state. For several
processes see `advisory_locks`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import anyio

from .errors import LockTimeoutError

LockWait = Callable[[float, bool], None]
"""Called with the seconds waited and whether the lock was acquired."""


@dataclass
class _Entry:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0
    holder: asyncio.Task[Any] | None = None


class SessionLockManager:
    """One lock for each key, made on first use and dropped with its last user.

    Users are counted, waiters included. Dropping locks that merely are not locked at the moment would give a newcomer
    a second lock beside the one that a woken waiter is about to take.
    """

    def __init__(self, *, timeout: float | None = None, on_wait: LockWait | None = None) -> None:
        self._entries: dict[Hashable, _Entry] = {}
        self._timeout = timeout
        self._on_wait = on_wait

    def __len__(self) -> int:
        """Keys that are held or waited for."""
        return len(self._entries)

    @asynccontextmanager
    async def acquire(self, key: Hashable, timeout: float | None = None) -> AsyncIterator[None]:
        """Hold the lock of ``key`` within the block; waiters are served in order.

        ``timeout`` in seconds (default: the one given to the constructor). Raises `LockTimeoutError` when it is over,
        and ``RuntimeError`` when this task holds the lock already, since it would wait for itself. Don't hold it
        while chunks are sent: a client that reads slowly would block everyone else.
        """
        entry = self._entries.setdefault(key, _Entry())
        task = asyncio.current_task()
        if entry.holder is not None and entry.holder is task:
            raise RuntimeError(f"This task holds the lock of {key!r} already.")
        entry.users += 1
        try:
            await self._wait(entry, key, self._timeout if timeout is None else timeout)
            entry.holder = task
            try:
                yield
            finally:
                entry.holder = None
                entry.lock.release()
        finally:
            entry.users -= 1
            if entry.users == 0:
                del self._entries[key]
                if not self._entries:
                    self._entries.clear()  # a dictionary keeps the room of its best days until then

    lock = acquire

    async def _wait(self, entry: _Entry, key: Hashable, timeout: float | None) -> None:
        acquired = False
        started = time.perf_counter()
        try:
            with anyio.move_on_after(timeout) if timeout is not None else nullcontext():
                acquired = await entry.lock.acquire()
        finally:
            if self._on_wait is not None:
                self._on_wait(time.perf_counter() - started, acquired)
        if not acquired:
            raise LockTimeoutError(f"The lock of {key!r} was not free within {timeout} s.")
