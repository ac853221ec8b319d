"""Cancelled in any way at any moment: one COMMIT or ROLLBACK on the wire, the connection kept, the cancellation seen.

"During" a statement is made certain by stopping the server process that would answer it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable

import anyio
import pytest
from sqlalchemy import text

from sessionlint.runtime import run_shielded
from tests.runtime.conftest import POSTGRESQL, Database
from tests.runtime.models import Conversation

pytestmark = pytest.mark.asyncio

Body = Callable[[], Awaitable[None]]


async def by_task(times: int, body: Body, moment: asyncio.Event) -> bool:
    task = asyncio.ensure_future(body())
    await moment.wait()
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0.01)
    await asyncio.wait({task})
    return task.cancelled()


async def once(body: Body, moment: asyncio.Event) -> bool:
    return await by_task(1, body, moment)


async def four_times(body: Body, moment: asyncio.Event) -> bool:
    return await by_task(4, body, moment)


async def anyio_scope(body: Body, moment: asyncio.Event) -> bool:
    """Cancels again at every await, as Starlette's task groups do."""
    went_on = False

    async def run() -> None:
        nonlocal went_on
        await body()
        await anyio.sleep(0)
        went_on = True

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await moment.wait()
        group.cancel_scope.cancel()
    return not went_on


async def asyncio_timeout(body: Body, moment: asyncio.Event) -> bool:
    if sys.version_info < (3, 11):
        pytest.skip("asyncio.timeout is of Python 3.11")

    async def run() -> None:
        async with asyncio.timeout(3600) as limit:
            waiting = asyncio.ensure_future(moment.wait())
            waiting.add_done_callback(lambda _: limit.reschedule(asyncio.get_running_loop().time()))
            await body()

    try:
        await run()
    except TimeoutError:
        return True
    return False


@pytest.fixture(params=[once, four_times, anyio_scope, asyncio_timeout], ids=lambda how: how.__name__)
def cancel(request: pytest.FixtureRequest):
    return request.param


class Frozen:
    """Stops the server process of one connection, and lets it go on a little later."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def stop_for(self, seconds: float, moment: asyncio.Event) -> None:
        os.kill(self.pid, signal.SIGSTOP)
        loop = asyncio.get_running_loop()

        def cancel_now_and_go_on_later() -> None:
            # Counted from here, so that a machine that is late is late with both.
            moment.set()
            loop.call_later(seconds, os.kill, self.pid, signal.SIGCONT)

        loop.call_later(seconds / 2, cancel_now_and_go_on_later)


async def _pid(session) -> int:
    return (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one()


def _endings(statements: list[str]) -> list[str]:
    """How the unit's transaction ended; what came before it is the pool's test of the connection."""
    start = statements.index("SELECT pg_backend_pid()")
    return [statement for statement in statements[start:] if statement in {"COMMIT", "ROLLBACK"}]


async def _same_connection(database: Database, pid: int) -> None:
    assert database.checked_out() == 0
    assert "idle in transaction" not in database.server_states()
    async with database.engine.connect() as connection:
        assert (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one() == pid


@pytest.mark.parametrize("backend", POSTGRESQL)
async def test_during_commit(database: Database, cancel):
    moment = asyncio.Event()
    fates: list[str] = []
    units = []
    pids: list[int] = []

    async def body() -> None:
        async with database.unit() as uow:
            units.append(uow)
            pids.append(await _pid(uow.session))
            uow.session.add(Conversation(id="saved"))
            await uow.flush()
            uow.after_commit(lambda: fates.append("committed"))
            uow.after_rollback(lambda: fates.append("rolled back"))
            Frozen(pids[0]).stop_for(0.1, moment)
            await uow.commit("save")

    with database.server.statements(database.name) as statements:
        assert await cancel(body, moment), "the cancellation was swallowed"
    assert _endings(statements) == ["COMMIT"]
    assert (units[0].commits, units[0].rollbacks, units[0].commit_in_doubt) == (1, 0, False)
    assert fates == ["committed"]
    assert database.ids() == ["saved"]
    await _same_connection(database, pids[0])


@pytest.mark.parametrize("backend", POSTGRESQL)
@pytest.mark.filterwarnings("ignore::sessionlint.runtime.errors.LostWriteWarning")
@pytest.mark.parametrize("ending", ["rollback()", "exception", "exit"])
async def test_during_rollback(database: Database, cancel, ending: str):
    moment = asyncio.Event()
    fates: list[str] = []
    pids: list[int] = []

    async def unit() -> None:
        async with database.unit() as uow:
            pids.append(await _pid(uow.session))
            uow.session.add(Conversation(id="gone"))
            await uow.flush()
            uow.after_rollback(lambda: fates.append("rolled back"))
            Frozen(pids[0]).stop_for(0.1, moment)
            if ending == "rollback()":
                await uow.rollback()
            elif ending == "exception":
                raise ValueError("the application's own")

    async def body() -> None:
        # An application that survives its own errors must not survive the cancellation with them.
        with contextlib.suppress(ValueError):
            await unit()

    with database.server.statements(database.name) as statements:
        assert await cancel(body, moment), "the cancellation was swallowed"
    assert _endings(statements) == ["ROLLBACK"]
    assert fates == ["rolled back"]
    assert database.ids() == []
    await _same_connection(database, pids[0])


async def test_while_waiting_in_a_transaction(database: Database, cancel):
    moment = asyncio.Event()

    async def body() -> None:
        async with database.unit() as uow:
            uow.session.add(Conversation(id="kept"))
            await uow.commit()
            uow.session.add(Conversation(id="gone"))
            await uow.flush()
            moment.set()
            await asyncio.sleep(30)

    assert await cancel(body, moment), "the cancellation was swallowed"
    assert database.ids() == ["kept"]
    assert database.checked_out() == 0


@pytest.mark.parametrize("backend", POSTGRESQL)
async def test_in_a_transaction_block_and_a_savepoint(database: Database, cancel):
    moment = asyncio.Event()
    pids: list[int] = []

    async def body() -> None:
        async with database.unit() as uow, uow.transaction("outer") as session:
            pids.append(await _pid(session))
            session.add(Conversation(id="outer"))
            async with uow.savepoint():
                session.add(Conversation(id="inner"))
                await session.flush()
                moment.set()
                await asyncio.sleep(30)

    with database.server.statements(database.name) as statements:
        assert await cancel(body, moment), "the cancellation was swallowed"
    assert _endings(statements) == ["ROLLBACK"]
    assert database.ids() == []
    await _same_connection(database, pids[0])


async def test_a_closed_generator_rolls_back(database: Database):
    async def stream():
        async with database.unit() as uow:
            uow.session.add(Conversation(id="gone"))
            await uow.flush()
            yield "chunk"

    chunks = stream()
    await chunks.__anext__()
    await chunks.aclose()
    assert database.checked_out() == 0
    assert database.ids() == []


async def test_failure_while_cancelled_is_logged_and_the_cancellation_wins(caplog: pytest.LogCaptureFixture):
    moment = asyncio.Event()

    async def failing() -> None:
        moment.set()
        await asyncio.sleep(0.02)
        raise ConnectionError("the database said no")

    task = asyncio.ensure_future(run_shielded(failing()))
    await moment.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "the database said no" in caplog.text


async def test_shielded_result_and_error_pass_through():
    async def answer() -> int:
        return 42

    async def fail() -> None:
        raise KeyError("x")

    assert await run_shielded(answer()) == 42
    with pytest.raises(KeyError):
        await run_shielded(fail())
