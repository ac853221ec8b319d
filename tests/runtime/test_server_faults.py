"""The server kills, restarts, refuses and conflicts: repeated where that is right, said where it is not."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from sessionlint.runtime import SSEUnitOfWork, is_transient, is_unavailable, retry_unit_of_work, sqlstate_of
from sessionlint.runtime.database import create_engine
from tests.runtime.conftest import POSTGRESQL, Database
from tests.runtime.models import Conversation, Message

pytestmark = pytest.mark.asyncio


@pytest.fixture(params=POSTGRESQL)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def _pid(session) -> int:
    return (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one()


async def _seed(database: Database, *ids: str) -> None:
    async with database.unit() as uow:
        uow.session.add_all(Conversation(id=each) for each in ids)
        await uow.commit()


async def test_killed_between_two_statements_is_repeated(database: Database):
    attempts: list[int] = []
    told: list[str] = []

    async def work(uow: SSEUnitOfWork) -> str:
        attempts.append(await _pid(uow.session))
        uow.session.add(Conversation(id="once"))
        await uow.flush()
        if len(attempts) == 1:
            database.server.execute("SELECT pg_terminate_backend(%s)", attempts[0])
            await asyncio.sleep(0.05)
        await uow.session.execute(text("SELECT 1"))
        return "done"

    assert await retry_unit_of_work(database.unit, work, on_retry=told.append) == "done"
    assert len(set(attempts)) == 2
    assert len(told) == 1
    assert database.ids() == ["once"]
    assert database.checked_out() == 0


async def test_killed_during_commit_is_reported_not_repeated(database: Database):
    """Nobody can know whether it was saved; saying so is all that can be done."""
    database.rows(
        """
        CREATE OR REPLACE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_sleep(5); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON conversations DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION slow()
        """
    )
    attempts: list[SSEUnitOfWork] = []
    fates: list[str] = []

    async def work(uow: SSEUnitOfWork) -> None:
        attempts.append(uow)
        pid = await _pid(uow.session)
        uow.session.add(Conversation(id="in doubt"))
        uow.after_commit(lambda: fates.append("committed"))
        asyncio.get_running_loop().call_later(0.2, database.server.execute, "SELECT pg_terminate_backend(%s)", pid)

    with pytest.raises(DBAPIError) as caught:
        await retry_unit_of_work(database.unit, work)
    assert is_unavailable(caught.value)
    assert len(attempts) == 1
    assert attempts[0].commit_in_doubt
    assert attempts[0].commits == 0
    assert fates == []
    assert database.checked_out() == 0
    assert database.ids() == []


async def test_idempotent_work_is_repeated_even_then(database: Database):
    attempts: list[int] = []

    async def work(uow: SSEUnitOfWork) -> None:
        attempts.append(1)
        if await uow.session.get(Conversation, "part") is None:
            uow.session.add(Conversation(id="part"))
        await uow.commit("part")
        pid = await _pid(uow.session)
        if len(attempts) == 1:
            database.server.execute("SELECT pg_terminate_backend(%s)", pid)
            await asyncio.sleep(0.05)
            await uow.session.execute(text("SELECT 1"))

    with pytest.raises(DBAPIError):
        await retry_unit_of_work(database.unit, work)
    assert len(attempts) == 1, "a committed part must not be done twice"
    attempts.clear()
    await retry_unit_of_work(database.unit, work, idempotent=True)
    assert len(attempts) == 2
    assert database.ids() == ["part"]


async def test_restart_of_the_server(database: Database):
    """Connections of the pool, and the one in use, are gone; work goes on as soon as the server is back."""
    await _seed(database, "before")
    attempts: list[int] = []

    async def work(uow: SSEUnitOfWork) -> None:
        attempts.append(1)
        uow.session.add(Conversation(id="after"))
        await uow.flush()
        if len(attempts) == 1:
            await anyio.to_thread.run_sync(database.server.restart)
        await uow.session.execute(text("SELECT 1"))

    await retry_unit_of_work(database.unit, work, attempts=5, timeout=20, wait_initial=0.1)
    assert len(attempts) >= 2
    assert database.ids() == ["after", "before"]
    assert database.checked_out() == 0
    async with database.unit() as uow:
        assert (await uow.session.scalars(select(Conversation.id))).all()


async def test_a_server_that_is_not_there(database: Database, tmp_path):
    """A refused connection is transient; an ``OSError`` of other code within the unit of work is not the database's."""
    nowhere = create_engine(
        database.settings.__class__(
            url=database.settings.url.replace("host=", "host=/nowhere")
            if "host=" in database.settings.url
            else database.settings.url,
            connect_timeout=1,
        )
    )
    with pytest.raises((OSError, DBAPIError)) as caught:
        async with nowhere.connect():
            pass
    assert is_transient(caught.value)
    await nowhere.dispose()
    assert not is_transient(ConnectionRefusedError("an HTTP client's"))


async def test_deadlock_is_repeated(database: Database):
    await _seed(database, "a", "b")
    both_hold = asyncio.Barrier(2) if hasattr(asyncio, "Barrier") else None
    if both_hold is None:
        pytest.skip("asyncio.Barrier is of Python 3.11")
    attempts = {"ab": 0, "ba": 0}
    told: list[str] = []

    async def transfer(order: str) -> None:
        async def work(uow: SSEUnitOfWork) -> None:
            attempts[order] += 1
            await _increment(uow, order[0])
            if attempts[order] == 1:
                await both_hold.wait()
            await _increment(uow, order[1])

        await retry_unit_of_work(database.unit, work, on_retry=told.append)

    await asyncio.gather(transfer("ab"), transfer("ba"))
    assert sorted(attempts.values()) == [1, 2]
    assert told == ["40P01"]
    assert database.rows("SELECT id, hits FROM conversations ORDER BY id") == [("a", 2), ("b", 2)]


async def _increment(uow: SSEUnitOfWork, key: str) -> None:
    await uow.session.execute(update(Conversation).where(Conversation.id == key).values(hits=Conversation.hits + 1))


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
async def test_serialization_failure_is_repeated_with_what_is_true_now(database: Database, level: str):
    await _seed(database, "a")
    attempts: list[int] = []
    told: list[str] = []

    async def work(uow: SSEUnitOfWork) -> None:
        await uow.session.connection(execution_options={"isolation_level": level})
        row = await uow.session.get(Conversation, "a")
        attempts.append(row.hits)
        if len(attempts) == 1:
            database.rows("UPDATE conversations SET hits = 10")
        row.hits += 1

    await retry_unit_of_work(database.unit, work, on_retry=told.append)
    assert attempts == [0, 10]
    assert told == ["40001"]
    assert database.rows("SELECT hits FROM conversations") == [(11,)]


async def test_what_is_never_repeated(database: Database):
    await _seed(database, "taken")
    attempts: list[int] = []

    async def duplicate(uow: SSEUnitOfWork) -> None:
        attempts.append(1)
        uow.session.add(Conversation(id="taken"))

    with pytest.raises(IntegrityError) as unique:
        await retry_unit_of_work(database.unit, duplicate)
    assert sqlstate_of(unique.value) == "23505"

    async def orphan(uow: SSEUnitOfWork) -> None:
        attempts.append(1)
        uow.session.add(Message(conversation_id="missing"))

    with pytest.raises(IntegrityError) as foreign:
        await retry_unit_of_work(database.unit, orphan)
    assert sqlstate_of(foreign.value) == "23503"

    async def slow(uow: SSEUnitOfWork) -> None:
        attempts.append(1)
        await uow.session.execute(text("SET LOCAL statement_timeout = 30"))
        await uow.session.execute(text("SELECT pg_sleep(2)"))

    with pytest.raises(DBAPIError) as canceled:
        await retry_unit_of_work(database.unit, slow)
    assert sqlstate_of(canceled.value) == "57014"
    assert len(attempts) == 3


async def test_lock_timeout_is_repeated_only_when_asked(database: Database):
    await _seed(database, "a")
    attempts: list[int] = []
    held = database.unit("holder")
    async with held:
        await held.session.execute(update(Conversation).values(hits=5))

        async def work(uow: SSEUnitOfWork) -> None:
            attempts.append(1)
            if len(attempts) == 3:
                await held.commit()
            await uow.session.execute(text("SET LOCAL lock_timeout = 30"))
            await uow.session.execute(update(Conversation).values(hits=Conversation.hits + 1))

        with pytest.raises(DBAPIError) as caught:
            await retry_unit_of_work(database.unit, work)
        assert sqlstate_of(caught.value) == "55P03"
        assert len(attempts) == 1
        await retry_unit_of_work(database.unit, work, retry_lock_timeout=True)
    assert len(attempts) == 3
    assert database.rows("SELECT hits FROM conversations") == [(6,)]


async def test_an_exhausted_pool_is_not_repeated(database: Database):
    from sqlalchemy.exc import TimeoutError as PoolTimeoutError

    assert not is_transient(PoolTimeoutError("QueuePool limit reached"))
