"""Where the guide is wrong, shown: each test is the proof of a line in docs/runtime/migration.md."""

from __future__ import annotations

import asyncio
import time
import types
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pydantic
import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from sqlalchemy import event, make_url, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from sessionlint.runtime import ServerSentEvent, SessionLockManager, sqlstate_of, sse_events
from tests.runtime.conftest import POSTGRESQL, Database
from tests.runtime.models import Conversation, Message

pytestmark = pytest.mark.asyncio
asyncpg_only = pytest.mark.parametrize("backend", ["asyncpg"])
sqlite_only = pytest.mark.parametrize("backend", ["sqlite"])


class GuidesUnitOfWork:
    """The guide's class in what matters: a normal exit commits."""

    def __init__(self, factory) -> None:
        self._factory = factory

    async def __aenter__(self):
        self.session = self._factory()
        return self

    async def __aexit__(self, exc_type, exc, traceback) -> None:
        try:
            if exc_type is not None:
                await self.session.rollback()
            else:
                await self.session.commit()
        finally:
            await self.session.close()


@pytest.mark.parametrize("backend", POSTGRESQL)
async def test_g3_deferred_constraints_pass_flush_and_fail_at_commit(database: Database):
    database.rows("ALTER TABLE messages ALTER CONSTRAINT messages_conversation_id_fkey DEFERRABLE INITIALLY DEFERRED")
    async with database.unit() as uow:
        uow.session.add(Message(conversation_id="missing"))
        await uow.flush()
        with pytest.raises(IntegrityError):
            await uow.commit()


async def test_g4_psycopg2_is_no_driver_of_an_async_engine():
    """The error text that the guide quotes can't come from its own service."""
    assert not make_url("postgresql+psycopg2://postgres@localhost/x").get_dialect().is_async
    assert make_url("postgresql+asyncpg://postgres@localhost/x").get_dialect().is_async


@pytest.mark.parametrize("backend", POSTGRESQL)
async def test_g4_the_sqlstate_is_the_same_for_every_driver(database: Database):
    async with database.factory() as session:
        session.add(Message(conversation_id="missing"))
        with pytest.raises(IntegrityError) as caught:
            await session.flush()
    assert sqlstate_of(caught.value) == "23503"
    assert "psycopg2" not in str(caught.value)


def _get_db_of_the_guide(factory, reported: list[int]):
    """Section 3.1, without its logger."""

    async def get_db() -> AsyncIterator[AsyncSession]:
        start_time = time.time()
        commit_count = 0
        async with factory() as session:
            try:
                original_commit = session.commit

                async def tracked_commit() -> None:
                    nonlocal commit_count
                    commit_count += 1
                    await original_commit()

                session.commit = tracked_commit
                yield session
                await session.commit()
                commit_count += 1
            except Exception:
                await session.rollback()
                raise
            finally:
                reported.append(commit_count)
                assert time.time() - start_time >= 0
                await session.close()

    return asynccontextmanager(get_db)


@asyncpg_only
async def test_g5_tracked_commit_counts_wrong(database: Database):
    reported: list[int] = []
    real: list[int] = []
    event.listen(database.engine.sync_engine, "commit", lambda _connection: real.append(1))
    get_db = _get_db_of_the_guide(database.factory, reported)

    async with get_db() as session:
        session.add(Conversation(id="one"))
    assert (reported[-1], len(real)) == (2, 1), "one COMMIT, counted twice"
    real.clear()
    async with get_db() as session:
        await session.commit()
    assert (reported[-1], len(real)) == (3, 0), "no COMMIT at all, counted three times"
    real.clear()
    with pytest.raises(IntegrityError):
        async with get_db() as session:
            session.add(Conversation(id="one"))
    assert (reported[-1], database.ids()) == (1, ["one"]), "a failed commit, counted as one"


@asyncpg_only
async def test_g7_an_error_caught_inside_the_unit_commits_half(database: Database):
    async def stream(outside: bool) -> AsyncIterator[str]:
        async with GuidesUnitOfWork(database.factory) as uow:
            try:
                uow.session.add(Conversation(id="half"))
                await uow.session.flush()
                raise RuntimeError("the model failed")
            except Exception as error:
                yield f"error: {error}"

    assert [chunk async for chunk in stream(False)] == ["error: the model failed"]
    assert database.ids() == ["half"], "half of the work is permanent"
    database.rows("DELETE FROM conversations")

    async def ours() -> AsyncIterator[ServerSentEvent]:
        async with database.unit() as uow:
            uow.session.add(Conversation(id="half"))
            await uow.flush()
            raise RuntimeError("the model failed")
            yield ServerSentEvent()

    events = [chunk async for chunk in sse_events(ours(), on_error=lambda _error: ServerSentEvent(event="error"))]
    assert len(events) == 1
    assert database.ids() == []


@asyncpg_only
async def test_g7_the_error_text_shows_statements_and_values(database: Database):
    async with database.unit() as uow:
        uow.session.add(Message(conversation_id="missing", content="a secret"))
        with pytest.raises(IntegrityError) as caught:
            await uow.commit()
    assert "INSERT INTO messages" in str(caught.value)
    assert "a secret" in str(caught.value)


async def test_g8_a_factory_bound_by_name_before_init_stays_none():
    database = types.ModuleType("database")
    exec(
        "async_session_maker = None\n"
        "def init_database():\n"
        "    global async_session_maker\n"
        "    async_session_maker = lambda: 'session'\n",
        database.__dict__,
    )
    async_session_maker = database.async_session_maker
    database.init_database()
    assert database.async_session_maker() == "session"
    with pytest.raises(TypeError, match="NoneType"):
        async_session_maker()


@asyncpg_only
async def test_g9_two_owners_commit_the_wrong_session(database: Database):
    """`if uow: await uow.commit() else: await db.commit()`, while the service was built on another session."""
    async with database.factory() as services_own, database.unit() as uow:
        services_own.add(Conversation(id="lost"))
        await uow.commit()
    assert database.ids() == []


async def test_g10_a_lock_held_while_streaming_waits_for_the_client():
    locks = SessionLockManager()

    async def execute() -> AsyncIterator[int]:
        async with locks.acquire("chat"):
            yield 1
            yield 2

    async def second_request() -> None:
        async with locks.acquire("chat"):
            pass

    stalled = execute()
    await stalled.__anext__()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(second_request(), 0.05)
    await stalled.aclose()
    await asyncio.wait_for(second_request(), 1)


class EvictingLockManager:
    """The project's way to keep its dictionary small: drop what is not locked at the moment."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}

    def lock(self, key: str) -> asyncio.Lock:
        return self._locks.setdefault(key, asyncio.Lock())

    def evict(self) -> None:
        for key in [key for key, lock in self._locks.items() if not lock.locked()]:
            del self._locks[key]


async def test_g11_evicting_unlocked_locks_lets_two_in():
    manager = EvictingLockManager()
    inside = worst = 0

    async def work() -> None:
        nonlocal inside, worst
        async with manager.lock("chat"):
            inside += 1
            worst = max(worst, inside)
            await asyncio.sleep(0.01)
            inside -= 1

    waiting = asyncio.Event()

    async def first() -> None:
        async with manager.lock("chat"):
            await waiting.wait()
        manager.evict()  # a waiter has been woken, and the lock is free until it runs
        await work()

    holder = asyncio.ensure_future(first())
    await asyncio.sleep(0)
    waiter = asyncio.ensure_future(work())
    await asyncio.sleep(0)
    waiting.set()
    await asyncio.gather(holder, waiter)
    assert worst == 2


@sqlite_only
async def test_g12_the_guides_tests_fail_on_their_second_run(database: Database):
    async def test_uow_commit() -> None:
        async with GuidesUnitOfWork(database.factory) as uow:
            uow.session.add(Conversation(id="test-123"))
            await uow.session.commit()

    await test_uow_commit()
    with pytest.raises(IntegrityError):
        await test_uow_commit()


async def test_g13_metrics_made_at_import_fail_on_a_second_import():
    registry = CollectorRegistry()
    Counter("db_commits_total", "c", ["endpoint"], registry=registry)
    with pytest.raises(ValueError, match="Duplicated"):
        Counter("db_commits_total", "c", ["endpoint"], registry=registry)


async def test_g14_a_histogram_has_no_series_of_its_own_name():
    registry = CollectorRegistry()
    Histogram("db_transaction_duration_seconds", "d", ["operation"], registry=registry).labels("x").observe(2)
    names = {line.split("{")[0] for line in generate_latest(registry).decode().splitlines() if line[0] != "#"}
    assert "db_transaction_duration_seconds" not in names
    assert "db_transaction_duration_seconds_bucket" in names


@pytest.mark.parametrize("backend", POSTGRESQL)
async def test_g18_read_committed_is_what_one_has(database: Database):
    async with database.factory() as session:
        assert await session.scalar(text("SHOW transaction_isolation")) == "read committed"


async def test_g21_json_is_deprecated_and_breaks_at_line_ends():
    class Chunk(pydantic.BaseModel):
        text: str

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        Chunk(text="x").json()
    assert any("deprecated" in str(each.message) for each in seen)
    assert ServerSentEvent("a\nb").encode() == b"data: a\ndata: b\n\n"
    assert f"data: {'a' + chr(10) + 'b'}\n\n" == "data: a\nb\n\n", "the second line belongs to no field"
