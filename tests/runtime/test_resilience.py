"""Circuit breaker, health and shutdown."""

from __future__ import annotations

import asyncio

import pytest
from httpx import ASGITransport, AsyncClient
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from starlette.applications import Starlette

from sessionlint.runtime import (
    CircuitOpenError,
    PurgatoryCircuitBreaker,
    Readiness,
    ShuttingDownError,
    SSEUnitOfWork,
    create_probe_engine,
    health_routes,
    retry_unit_of_work,
    shut_down,
)
from sessionlint.runtime.open_units import OPEN_UNITS
from tests.runtime.conftest import Database
from tests.runtime.models import Conversation, Message

pytestmark = pytest.mark.asyncio


def unavailable() -> DBAPIError:
    error = DBAPIError("SELECT 1", {}, Exception("server closed the connection"))
    error.connection_invalidated = True
    return error


async def use(breaker: PurgatoryCircuitBreaker, error: BaseException | None = None) -> str:
    try:
        async with breaker.guard():
            if error is not None:
                raise error
        return "ok"
    except BaseException as raised:
        return type(raised).__name__


async def test_opens_after_failures_and_closes_after_a_good_probe():
    states: list[str] = []
    breaker = PurgatoryCircuitBreaker(threshold=3, ttl=0.3, on_state=lambda _name, state: states.append(state))
    assert [await use(breaker, unavailable()) for _ in range(3)] == ["DBAPIError"] * 3
    assert breaker.state == "opened"
    assert await use(breaker) == "CircuitOpenError"
    await asyncio.sleep(0.35)
    assert await use(breaker) == "ok"
    assert breaker.state == "closed"
    assert states == ["closed", "opened", "half-opened", "closed"]


async def test_a_failed_probe_opens_again():
    breaker = PurgatoryCircuitBreaker(threshold=1, ttl=0.3)
    await use(breaker, unavailable())
    await asyncio.sleep(0.35)
    assert await use(breaker, unavailable()) == "DBAPIError"
    assert await use(breaker) == "CircuitOpenError"


@pytest.mark.parametrize("error", [asyncio.CancelledError(), GeneratorExit(), ValueError("the application's own")])
async def test_what_says_nothing_about_the_database_changes_nothing(error: BaseException):
    breaker = PurgatoryCircuitBreaker(threshold=2, ttl=0.3)
    assert [await use(breaker, error) for _ in range(5)] == [type(error).__name__] * 5
    assert breaker.state == "closed"
    await use(breaker, unavailable())
    await use(breaker, error)
    await use(breaker, unavailable())
    assert breaker.state == "opened", "nor does it excuse the failures around it"
    await asyncio.sleep(0.35)
    await use(breaker, error)
    assert breaker.state == "half-opened", "nor is it a good probe"
    assert await use(breaker) == "ok"
    assert breaker.state == "closed"


async def test_one_probe_at_a_time():
    breaker = PurgatoryCircuitBreaker(threshold=1, ttl=0.3)
    await use(breaker, unavailable())
    await asyncio.sleep(0.35)
    entered: list[int] = []

    async def slow(number: int) -> str:
        try:
            async with breaker.guard():
                entered.append(number)
                await asyncio.sleep(0.02)
            return "ok"
        except CircuitOpenError:
            return "refused"

    assert await asyncio.gather(*(slow(number) for number in range(4))) == ["ok", "refused", "refused", "refused"]
    assert entered == [0]


async def test_a_latecomer_does_not_decide_for_the_probe():
    breaker = PurgatoryCircuitBreaker(threshold=1, ttl=0.2)
    release = asyncio.Event()

    async def slow() -> None:
        async with breaker.guard():
            await release.wait()

    late = asyncio.ensure_future(slow())
    await asyncio.sleep(0)
    await use(breaker, unavailable())
    await asyncio.sleep(0.25)
    async with breaker.guard():
        release.set()
        await late
        assert breaker.state == "half-opened"
    assert breaker.state == "closed"


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_refused_constraints_do_not_open_the_circuit(database: Database):
    breaker = PurgatoryCircuitBreaker(threshold=1)

    async def orphan(uow: SSEUnitOfWork) -> None:
        uow.session.add(Message(conversation_id="missing"))

    for _ in range(3):
        with pytest.raises(IntegrityError):
            await retry_unit_of_work(database.unit, orphan, breaker=breaker)
    assert breaker.state == "closed"


@pytest.mark.parametrize("backend", ["asyncpg", "psycopg"])
async def test_health(database: Database):
    probe = create_probe_engine(database.settings)
    readiness = Readiness(database.engine, probe)
    app = Starlette(routes=health_routes(readiness))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://t") as client:
        ready = await client.get("/health/ready")
        assert ready.status_code == 200
        assert (ready.json()["pool_in_use"], ready.json()["pool_limit"]) == (0, 3)
        units = [database.unit() for _ in range(3)]
        for unit in units:
            await unit.__aenter__()
            await unit.session.execute(text("SELECT 1"))
        busy = await client.get("/health/ready")
        assert busy.status_code == 200, "an exhausted pool is no dead database"
        assert busy.json()["pool_in_use"] == 3
        strict = await Readiness(database.engine, probe, saturation_limit=1.0).check()
        assert (strict.ready, strict.database) == (False, "ok")
        for unit in units:
            await unit.__aexit__(None, None, None)
        readiness.start_draining()
        drained = await client.get("/health/ready")
        assert (drained.status_code, drained.json()["draining"]) == (503, True)
        assert (await client.get("/health/live")).status_code == 200
    await probe.dispose()


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_readiness_of_a_database_that_is_gone_or_silent(database: Database):
    class Silent:
        def connect(self):
            return self

        async def __aenter__(self):
            await asyncio.sleep(30)

        async def __aexit__(self, *_):
            pass

    silent = await Readiness(database.engine, Silent(), timeout=0.05).check()
    assert (silent.ready, silent.database) == (False, "timeout")

    class Gone(Silent):
        async def __aenter__(self):
            raise ConnectionRefusedError("password=secret")

    gone = await Readiness(database.engine, Gone()).check()
    assert (gone.ready, gone.database) == (False, "error")
    assert "secret" not in str(gone)


@pytest.fixture
def reopened():
    yield
    OPEN_UNITS.reopen()


@pytest.mark.usefixtures("reopened")
async def test_shutdown_waits_for_those_who_finish_and_cancels_the_others(database: Database):
    finish, waiting = asyncio.Event(), asyncio.Event()

    async def quick() -> None:
        async with database.unit("quick") as uow:
            uow.session.add(Conversation(id="quick"))
            await finish.wait()
            await uow.commit()

    async def endless() -> None:
        async with database.unit("endless") as uow:
            uow.session.add(Conversation(id="first"))
            await uow.commit()
            if database.server is not None:
                uow.session.add(Conversation(id="endless"))
                await uow.flush()
            waiting.set()
            await asyncio.sleep(30)

    tasks = [asyncio.ensure_future(quick()), asyncio.ensure_future(endless())]
    await waiting.wait()
    asyncio.get_running_loop().call_later(0.1, finish.set)
    report = await shut_down([database.engine], grace=2.0, cancel_grace=5.0)
    assert (report.open_at_start, report.cancelled, report.abandoned) == (2, 1, 0)
    assert [task.cancelled() for task in tasks] == [False, True]
    assert database.ids() == ["first", "quick"]
    assert len(OPEN_UNITS) == 0
    with pytest.raises(ShuttingDownError):
        async with database.unit():
            pass
    for _ in range(100):  # the server needs a moment to see that its clients have gone
        if database.server is None or database.server_states() == []:
            break
        await asyncio.sleep(0.05)
    else:
        pytest.fail(f"connections are left: {database.server_states()}")


@pytest.mark.usefixtures("reopened")
@pytest.mark.parametrize("backend", ["sqlite"])
async def test_shutdown_waits_for_a_rollback_under_way(database: Database):
    """A unit counts as open until its connection is back: the engine must not be disposed before."""

    class Slow(AsyncSession):
        async def rollback(self) -> None:
            await asyncio.sleep(0.3)
            await super().rollback()

    waiting = asyncio.Event()

    async def endless() -> None:
        async with SSEUnitOfWork(async_sessionmaker(database.engine, class_=Slow), name="endless") as uow:
            uow.session.add(Conversation(id="endless"))
            await uow.flush()
            waiting.set()
            await asyncio.sleep(30)

    task = asyncio.ensure_future(endless())
    await waiting.wait()
    report = await shut_down([database.engine], grace=0.1, cancel_grace=5.0)
    assert (report.cancelled, report.abandoned, task.cancelled()) == (1, 0, True)


@pytest.mark.usefixtures("reopened")
@pytest.mark.parametrize("backend", ["sqlite"])
async def test_shutdown_of_an_idle_service_takes_no_time(database: Database):
    report = await shut_down([database.engine], grace=10)
    assert report.seconds < 5
    assert (report.open_at_start, report.cancelled, report.abandoned) == (0, 0, 0)


@pytest.mark.usefixtures("reopened")
@pytest.mark.parametrize("backend", ["sqlite"])
async def test_streams_may_still_save_while_draining(database: Database):
    async def stream() -> None:
        async with database.unit("question"):
            await asyncio.sleep(0.05)
            async with database.unit("answer") as uow:
                uow.session.add(Conversation(id="answer"))
                await uow.commit()

    task = asyncio.ensure_future(stream())
    await asyncio.sleep(0)
    await shut_down([database.engine], grace=5)
    await task
    assert database.ids() == ["answer"]
