"""A generator hands out items while it holds a lock.

## What it does

Reports the first `yield` of a generator that stands inside `with lock:` or `async with lock:`, or between `acquire()`
and the `release()` of a `finally`. A lock is one of asyncio, threading, anyio, trio, redis or filelock, a context manager
of the project that yields under one, or a class whose entry takes one.

## Why is this bad

The generator stops at its `yield` until its reader asks for more. Behind a response the reader is a client: one that
stalls keeps the lock, and every other request for the same key waits behind it - holding connections of its own. A
reader that goes away releases it only when the generator is closed.

## Instead

Take the lock around each short piece of work, not around the stream:

    async with locks.acquire(session_id):
        async with maker.begin() as db:
            message = await save(db, text)
    async for token in model.stream(message):
        yield token
    async with locks.acquire(session_id):
        ...

## When it is silent

Semaphores: to limit the number of streams they have to be held for as long as a stream lasts. Context managers,
dependencies and fixtures, whose users run under the lock on purpose. Yields after the block.

## Fix safety

No fix: what the lock protects is for the author to say.

## Options

None.

## Symptom at run time

The second request for the same key hangs until the first client has read everything or is disconnected.

## References

- https://flake8-async.readthedocs.io/en/latest/rules.html (ASYNC119)
- https://peps.python.org/pep-0789/
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, step

SEVERITY = Severity.WARNING
DEFAULT = True

BAD = (
    """
# --- app/locks.py ---
import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class SessionLocks:
    def __init__(self) -> None:
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @asynccontextmanager
    async def acquire(self, key: str) -> AsyncIterator[None]:
        async with self._locks[key]:
            yield


class Exclusive:
    def __init__(self, lock: asyncio.Lock) -> None:
        self._lock = lock

    async def __aenter__(self) -> None:
        await self._lock.acquire()

    async def __aexit__(self, *exc: object) -> None:
        self._lock.release()

# --- app/stream.py ---
import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

from sqlalchemy.ext.asyncio import AsyncSession

from app.locks import Exclusive, SessionLocks

_locks: dict[str, asyncio.Lock] = {}


class Processor:
    def __init__(self, db: AsyncSession, locks: SessionLocks) -> None:
        self._db = db
        self._locks = locks

    async def process(self, key: str, source) -> AsyncIterator[str]:
        async with self._locks.acquire(key):
            async for item in source:
                yield item  # SES510
            yield "end"


async def one_at_a_time(key: str, source) -> AsyncIterator[str]:
    async with _locks.setdefault(key, asyncio.Lock()):
        async for item in source:
            yield item  # SES510


async def by_class(lock: asyncio.Lock, source) -> AsyncIterator[str]:
    async with Exclusive(lock):
        async for item in source:
            yield item  # SES510


def by_hand(lock: threading.Lock, rows: list[str]) -> Iterator[str]:
    lock.acquire()
    try:
        for row in rows:
            yield row  # SES510
    finally:
        lock.release()
""",
)

GOOD = (
    '''
# --- app/stream.py ---
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)
_locks: dict[str, asyncio.Lock] = {}
_slots = asyncio.Semaphore(10)


@asynccontextmanager
async def locked(key: str) -> AsyncIterator[AsyncSession]:
    """A context manager: its user runs under the lock on purpose."""
    async with _locks.setdefault(key, asyncio.Lock()):
        async with maker.begin() as db:
            yield db


async def get_exclusive_db() -> AsyncIterator[AsyncSession]:
    """A provider of sessions."""
    async with _locks.setdefault("db", asyncio.Lock()):
        async with maker() as db:
            yield db


async def collected(key: str, source) -> AsyncIterator[str]:
    """The lock is released before the first item goes out."""
    async with _locks.setdefault(key, asyncio.Lock()):
        items = [item async for item in source]
    for item in items:
        yield item


async def limited(source) -> AsyncIterator[str]:
    """At most ten streams at a time."""
    async with _slots:
        async for item in source:
            yield item


async def timed(source) -> AsyncIterator[str]:
    async with asyncio.timeout(30):
        async for item in source:
            yield item


async def short(lock: asyncio.Lock, source) -> AsyncIterator[str]:
    async for item in source:
        async with lock:
            kept = item.upper()
        yield kept
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function in analysis.functions:
        if not analysis.hands_out_items(function):
            continue
        told = set()
        for found in analysis.generators.locked_yields(function):
            if found.opened in told:
                continue
            told.add(found.opened)
            yield Draft(
                function,
                found.loc,
                f"`{function.qualname}` yields while it holds `{found.text}`: its reader decides how long others wait",
                "hold the lock around each short piece of work, not around the stream",
                "stops here with the lock taken",
                (step(function.module.path, found.opened, f"{found.text} is taken"),),
            )
