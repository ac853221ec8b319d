"""Locks by key: exclusive, fair, timed, and gone when nobody needs them; and over several processes."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import tracemalloc

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import async_sessionmaker

from sessionlint.runtime import (
    LockTimeoutError,
    SessionLockManager,
    SSEUnitOfWork,
    UnitOfWorkError,
    advisory_key,
    advisory_xact_lock,
    locked_unit_of_work,
    try_advisory_xact_lock,
)
from sessionlint.runtime.database import create_engine
from tests.runtime.conftest import POSTGRESQL, Database
from tests.runtime.models import Conversation

pytestmark = pytest.mark.asyncio


async def test_one_at_a_time_in_order():
    locks = SessionLockManager()
    inside = 0
    order: list[int] = []

    async def work(number: int) -> None:
        nonlocal inside
        async with locks.acquire("chat"):
            inside += 1
            assert inside == 1
            await asyncio.sleep(0)
            order.append(number)
            inside -= 1

    await asyncio.gather(*(work(number) for number in range(20)))
    assert order == list(range(20))
    assert len(locks) == 0


async def test_five_thousand_keys_leave_nothing_behind():
    locks = SessionLockManager()

    async def work(number: int) -> None:
        async with locks.acquire(f"key-{number}"):
            await asyncio.sleep(0)

    async def all_keys() -> None:
        await asyncio.gather(*(work(number) for number in range(5000)))
        await asyncio.sleep(0)  # lets go of the tasks themselves
        gc.collect()

    await all_keys()  # what the event loop keeps for itself it has now
    tracemalloc.start()
    await all_keys()
    left, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(locks) == 0
    assert left < 100_000, f"{left} bytes for 5000 keys that nobody uses"


async def test_a_newcomer_never_gets_a_second_lock_beside_a_woken_waiter():
    """Between release and the waiter's turn the lock is free; a registry that drops free locks then breaks."""
    locks = SessionLockManager()
    inside = 0
    worst = 0

    async def work() -> None:
        nonlocal inside, worst
        async with locks.acquire("chat"):
            inside += 1
            worst = max(worst, inside)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            inside -= 1

    first = [asyncio.ensure_future(work()) for _ in range(2)]
    for _ in range(30):
        await asyncio.sleep(0)
        first.append(asyncio.ensure_future(work()))
    await asyncio.gather(*first)
    assert worst == 1


async def test_timeout_and_cancelled_waiters():
    waits: list[bool] = []
    locks = SessionLockManager(timeout=0.02, on_wait=lambda seconds, acquired: waits.append(acquired))
    async with locks.acquire("chat"):

        async def second(timeout: float | None) -> None:
            async with locks.acquire("chat", timeout):
                raise AssertionError("two holders")

        with pytest.raises(LockTimeoutError, match="chat"):
            await asyncio.ensure_future(second(None))
        waiter = asyncio.ensure_future(second(10))
        await asyncio.sleep(0)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        async with locks.acquire("another"):
            assert len(locks) == 2
    assert len(locks) == 0
    assert waits == [True, False, False, True]


async def test_the_same_task_is_refused_instead_of_waiting_for_itself():
    locks = SessionLockManager()
    async with locks.acquire("chat"):
        with pytest.raises(RuntimeError, match="already"):
            async with locks.acquire("chat"):
                pass
    async with locks.lock("chat"):
        pass
    assert len(locks) == 0


async def test_released_when_the_block_raises():
    locks = SessionLockManager()
    with pytest.raises(KeyError):
        async with locks.acquire("chat"):
            raise KeyError
    async with locks.acquire("chat", 0.1):
        pass


async def test_the_number_of_a_key_is_the_same_in_every_process():
    program = "from sessionlint.runtime import advisory_key; print(advisory_key('chat-1'))"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert int(printed) == advisory_key("chat-1") != advisory_key("chat-2")
    assert -(2**63) <= advisory_key("chat-1") < 2**63


async def _increment_everywhere(database: Database, locked: bool) -> int:
    """Ten read-modify-write units over two engines, which share nothing but the server, as two processes do."""
    other = create_engine(database.settings)
    factories = [database.factory, async_sessionmaker(other, expire_on_commit=False)]
    async with database.unit() as uow:
        uow.session.add(Conversation(id="shared"))
        await uow.commit()

    async def increment(number: int) -> None:
        factory = factories[number % 2]
        async with locked_unit_of_work(
            lambda: SSEUnitOfWork(factory), "shared", across_processes=locked, locks=None
        ) as uow:
            row = (await uow.session.scalars(select(Conversation))).one()
            await asyncio.sleep(0.01)
            row.hits += 1
            await uow.commit()

    await asyncio.gather(*(increment(number) for number in range(6)))
    await other.dispose()
    return database.rows("SELECT hits FROM conversations")[0][0]


@pytest.mark.parametrize("backend", POSTGRESQL)
async def test_advisory_lock_excludes_over_processes(database: Database):
    assert await _increment_everywhere(database, locked=True) == 6


@pytest.mark.parametrize("backend", ["asyncpg"])
async def test_without_it_updates_are_lost(database: Database):
    assert await _increment_everywhere(database, locked=False) < 6


@pytest.mark.parametrize("backend", POSTGRESQL)
async def test_advisory_lock_ends_with_its_transaction(database: Database):
    async with database.unit() as first, database.unit() as second:
        await advisory_xact_lock(first.session, "chat")
        assert not await try_advisory_xact_lock(second.session, "chat")
        with pytest.raises(LockTimeoutError):
            await advisory_xact_lock(second.session, "chat", timeout=0.05)
        await second.rollback()
        await first.rollback()
        await advisory_xact_lock(second.session, "chat", timeout=0.05)
        limit = await second.session.scalar(text("SELECT current_setting('lock_timeout')"))
        assert limit == "10s", "the connection's own limit is back"


@pytest.mark.parametrize("backend", ["asyncpg"])
async def test_lock_session_commit_unlock(database: Database):
    """The next holder sees what the former one committed."""
    locks = SessionLockManager()

    async def increment() -> None:
        async with locked_unit_of_work(database.unit, "chat", locks=locks) as uow:
            row = await uow.session.get(Conversation, "chat")
            if row is None:
                uow.session.add(Conversation(id="chat", hits=1))
            else:
                row.hits += 1
            await uow.commit()

    await asyncio.gather(*(increment() for _ in range(8)))
    assert database.rows("SELECT hits FROM conversations") == [(8,)]
    assert (len(locks), database.checked_out()) == (0, 0)


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_advisory_locks_are_postgresqls(database: Database):
    async with database.unit() as uow:
        with pytest.raises(UnitOfWorkError, match="sqlite"):
            await advisory_xact_lock(uow.session, "chat")
