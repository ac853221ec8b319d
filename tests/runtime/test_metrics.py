"""The metrics say what happened on the wire: nothing counted twice, nothing counted as saved that is not."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from prometheus_client import CollectorRegistry
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from sessionlint.runtime import (
    EndedTransaction,
    PrometheusMetrics,
    PurgatoryCircuitBreaker,
    RequestScopeMiddleware,
    SessionLockManager,
    SSEUnitOfWork,
    TransactionObserver,
    TransactionSpans,
    retry_unit_of_work,
)
from tests.runtime.conftest import POSTGRESQL, Database
from tests.runtime.models import Conversation, Message

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.filterwarnings("ignore::sessionlint.runtime.errors.LostWriteWarning"),
]


class Recorder:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[EndedTransaction] = []

    def ended(self, transaction: EndedTransaction) -> None:
        self.told.append(transaction)

    def outcomes(self) -> list[str]:
        return [
            each.outcome if each.outcome == "commit" else f"{each.reason} {each.sqlstate}".strip() for each in self.told
        ]


@pytest.fixture(params=[False, True], ids=["sessions", "connections"])
def observed(database: Database, request: pytest.FixtureRequest):
    """Told by the events of sessions alone, and by those of connections as well: the same must come out."""
    observer = TransactionObserver(database.engine, connections=request.param)
    recorder = Recorder()
    observer.add(recorder)
    yield recorder
    observer.detach()


async def test_each_ending_is_told_once(database: Database, observed: Recorder):
    async with database.unit("chat") as uow:
        uow.session.add(Conversation(id="a"))
        await uow.commit("create")
        await uow.commit("nothing to commit")
        async with uow.savepoint():
            uow.session.add(Message(conversation_id="a"))
        await uow.commit("with savepoint")
        uow.session.add(Conversation(id="b"))
        await uow.flush()
        await uow.rollback()
        await uow.session.get(Conversation, "a")
        await uow.release()
        await uow.session.get(Conversation, "a", populate_existing=True)
    assert [(each.outcome, each.operation) for each in observed.told] == [
        ("commit", "create"),
        ("commit", "with savepoint"),
        ("rollback", "chat"),
        ("commit", "release"),
        ("rollback", "chat"),
    ]
    assert observed.outcomes() == ["commit", "commit", "explicit", "commit", "implicit_close"]
    assert [each.saved for each in observed.told] == [True, True, False, False, False]


async def test_reasons_without_a_unit_of_work(database: Database, observed: Recorder):
    """Plain sessions are counted too."""
    async with database.factory() as session:
        session.add(Conversation(id="plain"))
        await session.commit()
        session.add(Conversation(id="undone"))
        await session.flush()
        await session.rollback()
        session.add(Conversation(id="forgotten"))
        await session.flush()
    async with database.factory.begin() as session:
        session.add(Conversation(id="begin"))
    assert observed.outcomes() == ["commit", "explicit", "implicit_close", "commit"]


@pytest.mark.parametrize("observed", [True], indirect=True, ids=["connections"])
async def test_connections_without_a_session(database: Database, observed: Recorder):
    async with database.engine.begin() as connection:
        await connection.execute(text("SELECT 1"))
    async with database.engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        await connection.commit()
        await connection.execute(text("SELECT 1"))
    assert observed.outcomes() == ["commit", "commit", "implicit_close"]


@pytest.mark.parametrize("mode", ["create_savepoint", "rollback_only"])
async def test_a_joined_transaction_is_its_owners(
    database: Database, observed: Recorder, mode: str, request: pytest.FixtureRequest
):
    """What test fixtures do: the sessions' commits end nothing, whatever they are called."""
    async with database.engine.connect() as connection:
        outer = await connection.begin()
        async with AsyncSession(connection, join_transaction_mode=mode) as session:
            session.add(Conversation(id="a"))
            await session.commit()
            session.add(Conversation(id="b"))
            await session.commit()
        assert observed.told == []
        await outer.rollback()
    sees_connections = "connections" in request.node.callspec.id
    assert observed.outcomes() == (["implicit_close"] if sees_connections else [])
    assert database.ids() == []


async def test_sessions_of_another_engine_are_not_told(database: Database, observed: Recorder):
    other = create_async_engine("sqlite+aiosqlite://")
    async with AsyncSession(other) as session:
        await session.execute(text("SELECT 1"))
        await session.commit()
    await other.dispose()
    assert observed.told == []


@pytest.mark.parametrize("backend", ["asyncpg"])
@pytest.mark.filterwarnings("ignore:The garbage collector is trying:sqlalchemy.exc.SAWarning")
async def test_a_forgotten_session_is_not_kept_alive(database: Database, observed: Recorder):
    session = database.factory()
    await session.execute(text("SELECT 1"))
    del session
    gc.collect()
    assert observed.outcomes() == ["implicit_close"]
    assert database.checked_out() == 0


@pytest.mark.parametrize("backend", POSTGRESQL)
async def test_errors_carry_their_sqlstate(database: Database, observed: Recorder):
    async with database.unit() as uow:
        uow.session.add(Message(conversation_id="missing"))
        with pytest.raises(IntegrityError):
            await uow.commit("orphan")
    with pytest.raises(IntegrityError):
        async with database.factory() as session:
            session.add(Message(conversation_id="missing"))
            await session.commit()
    with pytest.raises(ValueError):
        async with database.unit() as uow:
            uow.session.add(Conversation(id="x"))
            await uow.flush()
            raise ValueError
    async with database.unit() as uow:
        uow.session.add(Conversation(id="kept"))
        with pytest.raises(IntegrityError):
            async with uow.savepoint():
                uow.session.add(Message(conversation_id="missing"))
        await uow.commit("survived")
    assert observed.outcomes() == ["error 23503", "error 23503", "error", "commit"]


@pytest.mark.parametrize("backend", POSTGRESQL)
async def test_a_commit_that_fails_is_no_commit(database: Database, observed: Recorder):
    """A deferred constraint is checked by COMMIT itself: SQLAlchemy's commit event has fired by then."""
    database.rows("ALTER TABLE messages ALTER CONSTRAINT messages_conversation_id_fkey DEFERRABLE INITIALLY DEFERRED")
    async with database.unit() as uow:
        uow.session.add(Message(conversation_id="missing"))
        await uow.flush()
        with pytest.raises(DBAPIError):
            await uow.commit("deferred")
    assert observed.outcomes() == ["error 23503"]
    assert uow.commits == 0
    assert database.rows("SELECT count(*) FROM messages") == [(0,)]


@pytest.mark.parametrize("backend", POSTGRESQL)
async def test_killed_connections_and_cancellations(database: Database, observed: Recorder):
    flushed = asyncio.Event()

    async def stream() -> None:
        async with database.unit() as uow:
            uow.session.add(Conversation(id="x"))
            await uow.flush()
            flushed.set()
            await asyncio.sleep(30)

    task = asyncio.ensure_future(stream())
    await flushed.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(DBAPIError):
        async with database.unit() as uow:
            pid = (await uow.session.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            database.server.execute("SELECT pg_terminate_backend(%s)", pid)
            await asyncio.sleep(0.05)
            await uow.session.execute(text("SELECT 1"))
    assert [each.reason for each in observed.told] == ["cancel", "error"]
    assert database.checked_out() == 0


@pytest.mark.parametrize("backend", ["asyncpg"])
async def test_the_duration_is_that_of_the_whole_transaction(database: Database, observed: Recorder):
    async with database.unit() as uow:
        pid = (await uow.session.execute(text("SELECT pg_backend_pid()"))).scalar_one()
        uow.session.add(Conversation(id="a"))
        await uow.flush()
        await asyncio.sleep(0.1)
        os.kill(pid, signal.SIGSTOP)  # so that COMMIT takes its time as well
        asyncio.get_running_loop().call_later(0.1, os.kill, pid, signal.SIGCONT)
        await uow.commit()
    assert observed.told[0].seconds >= 0.2


@pytest.fixture
def metrics(database: Database):
    registry = CollectorRegistry()
    metrics = PrometheusMetrics(registry)
    observer = TransactionObserver(database.engine, name="main")
    metrics.observe(observer)
    yield metrics, registry
    observer.detach()


@pytest.mark.parametrize("backend", ["asyncpg"])
async def test_prometheus_series(database: Database, metrics):
    metrics, registry = metrics
    app = FastAPI()

    @app.post("/chats/{chat_id}")
    async def create(chat_id: str) -> dict[str, int]:
        async with database.unit("chat") as uow:
            for number in range(3):
                uow.session.add(Conversation(id=f"{chat_id}-{number}"))
                await uow.commit("save_message")
            return {"commits": uow.commits}

    metrics.preinitialise((route.path for route in app.routes if hasattr(route, "path")), ["save_message"])
    rollback = {"endpoint": "/chats/{chat_id}", "sqlstate": "23505", "reason": "error"}
    assert registry.get_sample_value("db_rollbacks_total", rollback) == 0.0
    wrapped = RequestScopeMiddleware(app, on_end=metrics.request_ended)
    async with AsyncClient(transport=ASGITransport(wrapped, raise_app_exceptions=False), base_url="http://t") as client:
        assert (await client.post("/chats/alpha")).status_code == 200
        assert (await client.post("/chats/beta")).status_code == 200
        assert (await client.post("/chats/beta")).status_code == 500
        assert (await client.get("/nowhere/at/all")).status_code == 404
    value = registry.get_sample_value
    commit = {"endpoint": "/chats/{chat_id}", "operation": "save_message"}
    assert value("db_commits_total", commit) == 6.0
    assert value("db_rollbacks_total", rollback) == 1.0
    assert value("db_commits_per_request_sum", {"endpoint": "/chats/{chat_id}"}) == 6.0
    assert value("db_commits_per_request_count", {"endpoint": "/chats/{chat_id}"}) == 3.0
    assert value("db_commits_per_request_count", {"endpoint": "unmatched"}) == 1.0
    assert value("db_transaction_duration_seconds_count", {"operation": "save_message", "outcome": "commit"}) == 6.0
    endpoints = {
        sample.labels["endpoint"]
        for family in registry.collect()
        for sample in family.samples
        if "endpoint" in sample.labels
    }
    assert not {each for each in endpoints if "alpha" in each or "beta" in each}


@pytest.mark.parametrize("backend", ["asyncpg"])
async def test_gauges_tell_what_is_true_at_the_scrape(database: Database, metrics):
    metrics, registry = metrics
    value = registry.get_sample_value
    async with database.unit("slow") as uow:
        await uow.session.execute(text("SELECT 1"))
        await asyncio.sleep(0.05)
        list(registry.collect())
        assert value("db_transaction_oldest_open_seconds", {"operation": "slow"}) >= 0.05
        assert value("db_pool_checked_out", {"pool": "main"}) == 1.0
        await uow.rollback()
    list(registry.collect())
    assert value("db_transaction_oldest_open_seconds", {"operation": "slow"}) == 0.0
    assert value("db_pool_checked_out", {"pool": "main"}) == 0.0
    assert value("db_pool_size", {"pool": "main"}) == 3.0


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_retries_locks_and_circuits(database: Database, metrics):
    metrics, registry = metrics
    locks = SessionLockManager(on_wait=metrics.lock_waited)
    async with locks.acquire("a"):
        pass
    breaker = PurgatoryCircuitBreaker("database", threshold=1, on_state=metrics.circuit_changed)
    value = registry.get_sample_value
    assert value("db_circuit_state", {"circuit": "database"}) == 0.0

    async def work(_uow: SSEUnitOfWork) -> None:
        error = DBAPIError("SELECT", {}, Exception("gone"))
        error.connection_invalidated = True
        raise error

    with pytest.raises(DBAPIError):
        await retry_unit_of_work(database.unit, work, attempts=2, on_retry=metrics.retried, wait_initial=0.001)
    with pytest.raises(DBAPIError):
        async with breaker.guard():
            await work(database.unit())
    assert value("db_lock_wait_seconds_count", {"acquired": "true"}) == 1.0
    assert value("db_circuit_state", {"circuit": "database"}) == 2.0
    assert value("db_retries_total", {"sqlstate": ""}) == 1.0


async def test_made_twice_for_one_registry():
    registry = CollectorRegistry()
    first, second = PrometheusMetrics(registry), PrometheusMetrics(registry)
    first.retried("40001")
    second.retried("40001")
    assert registry.get_sample_value("db_retries_total", {"sqlstate": "40001"}) == 2.0


async def test_multiprocess_mode(tmp_path):
    """Two workers, one scrape."""
    program = """
import asyncio, os, sys
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from prometheus_client import CollectorRegistry, multiprocess
from sessionlint.runtime import PrometheusMetrics, TransactionObserver
if sys.argv[1] == "scrape":
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    print(registry.get_sample_value("db_commits_total", {"endpoint": "none", "operation": "unnamed"}))
    sys.exit()
async def main():
    engine = create_async_engine("sqlite+aiosqlite://")
    metrics = PrometheusMetrics()
    metrics.observe(TransactionObserver(engine))
    async with AsyncSession(engine) as session:
        await session.execute(text("SELECT 1"))
        await session.commit()
    metrics.refresh()
    await engine.dispose()
asyncio.run(main())
"""
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for mode in ("work", "work"):
        subprocess.run([sys.executable, "-c", program, mode], env=environment, check=True)
    printed = subprocess.run(
        [sys.executable, "-c", program, "scrape"], env=environment, check=True, capture_output=True, text=True
    ).stdout
    assert printed.strip() == "2.0"


@pytest.mark.parametrize("backend", ["asyncpg"])
async def test_spans(database: Database):
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    observer = TransactionObserver(database.engine)
    observer.add(TransactionSpans(provider))
    with provider.get_tracer("test").start_as_current_span("request") as request:
        async with database.unit("chat") as uow:
            uow.session.add(Conversation(id="a"))
            await uow.commit("save")
            uow.session.add(Message(conversation_id="missing"))
            with pytest.raises(IntegrityError):
                await uow.commit("orphan")
    observer.detach()
    saved, orphan, _request = exporter.get_finished_spans()
    assert saved.name == "transaction save"
    assert saved.parent.span_id == request.get_span_context().span_id
    assert saved.status.is_ok
    assert saved.end_time > saved.start_time
    assert orphan.attributes["db.response.status_code"] == "23503"
    assert not orphan.status.is_ok


async def test_a_broken_listener_breaks_nothing(database: Database, caplog: pytest.LogCaptureFixture):
    class Broken:
        def ended(self, transaction: Any) -> None:
            raise RuntimeError("listener")

    observer = TransactionObserver(database.engine)
    observer.add(Broken())
    async with database.unit() as uow:
        uow.session.add(Conversation(id="a"))
        await uow.commit()
    observer.detach()
    assert database.ids() == ["a"]
    assert "listener" in caplog.text
