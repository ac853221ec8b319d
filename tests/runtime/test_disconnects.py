"""Clients that vanish, over a real uvicorn socket: no connection stays behind, no unit is committed by half."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import socket
import threading
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import Response, StreamingResponse

from sessionlint.runtime import EventStreamResponse, SafeStreamingResponse, SSEUnitOfWork, safe_stream
from sessionlint.runtime.database import DatabaseSettings, create_engine
from tests.runtime.models import Base, Conversation
from tests.runtime.postgresql import Server

CLIENTS = 4
YIELD_ENDPOINTS = importlib.util.find_spec("fastapi.sse") is not None  # FastAPI 0.135 and newer
PIECE = "x" * 1_000_000
# The streams hold their transaction open on purpose: this is what must not harm.
pytestmark = pytest.mark.filterwarnings("ignore::sessionlint.runtime.errors.StreamingTransactionWarning")


@dataclass
class Service:
    """A running server, what its streams have seen, and the engine that they use."""

    port: int
    name: str
    engine: AsyncEngine
    server: Server
    database: str
    seen: list[str] = field(default_factory=list)
    entered: list[str] = field(default_factory=list)

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        import psycopg

        url = self.server.url("asyncpg", self.database).replace("postgresql+asyncpg", "postgresql")
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def backends(self) -> list[str]:
        rows = self.ask(f"SELECT state FROM pg_stat_activity WHERE application_name = '{self.name}'")
        return sorted(state for (state,) in rows)

    def checked_out(self) -> int:
        pool: Any = self.engine.pool
        return int(pool.checkedout())


def application(service: Service, factory: Any) -> FastAPI:
    app = FastAPI()

    async def stream(where: str, key: str) -> AsyncIterator[str]:
        try:
            async with SSEUnitOfWork(factory, name="stream") as uow:
                uow.session.add(Conversation(id=f"{key}-first"))
                await uow.flush()
                service.entered.append(key)
                yield "start\n"
                if where == "llm":
                    await asyncio.sleep(30)
                elif where == "statement":
                    await uow.session.execute(text("SELECT pg_sleep(30)"))
                elif where == "yield":
                    for _ in range(2000):
                        yield PIECE
                uow.session.add(Conversation(id=f"{key}-second"))
                await uow.commit("both")
        except BaseException as error:
            service.seen.append(type(error).__name__)
            raise

    @app.get("/{kind}/{where}/{key}")
    async def answer(kind: str, where: str, key: str) -> Response:
        if kind == "sse":
            return EventStreamResponse(stream(where, key))
        response: type[StreamingResponse] = SafeStreamingResponse if kind == "safe" else StreamingResponse
        return response(stream(where, key), media_type="text/event-stream")

    if YIELD_ENDPOINTS:
        add_yield_endpoints(app, stream)
    return app


def add_yield_endpoints(app: FastAPI, stream: Callable[[str, str], AsyncIterator[str]]) -> None:
    """The same stream as path operations that FastAPI iterates itself: as events, as JSON lines, and as it is."""
    from fastapi.sse import EventSourceResponse

    async def endless(where: str, key: str) -> AsyncIterable[str]:
        source = stream(where, key)
        try:
            async for chunk in source:
                yield chunk
        finally:
            await source.aclose()

    app.get("/native/events/{where}/{key}", response_class=EventSourceResponse)(safe_stream(endless))
    app.get("/native/lines/{where}/{key}")(safe_stream(endless))
    app.get("/native/raw/{where}/{key}", response_class=StreamingResponse)(safe_stream(strict=False)(endless))


@contextlib.contextmanager
def serve(app: Any) -> Iterator[int]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert until(lambda: server.started)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture(params=["plain", "BaseHTTPMiddleware"])
def service(request: pytest.FixtureRequest, server: Server, postgresql_database: str) -> Iterator[Service]:
    settings = DatabaseSettings(
        url=server.url("asyncpg", postgresql_database),
        application_name=f"disconnects-{request.param}",
        pool_size=CLIENTS,
        max_overflow=0,
        connection_check_interval=0.2,
    )
    engine = create_engine(settings)

    async def prepare() -> None:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
            await connection.run_sync(Base.metadata.create_all)
        await engine.dispose()

    asyncio.run(prepare())
    service = Service(0, settings.application_name, engine, server, postgresql_database)
    app = application(service, async_sessionmaker(engine, expire_on_commit=False))
    if request.param == "BaseHTTPMiddleware":

        async def dispatch(request: Any, call_next: Any) -> Response:
            response: Response = await call_next(request)
            return response

        app.add_middleware(BaseHTTPMiddleware, dispatch=dispatch)
    with serve(app) as port:
        service.port = port
        yield service


def vanish(service: Service, path: str) -> None:
    """Ask, wait until the stream has begun and stands where it should, and go away without a word."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(10)
        client.connect(("127.0.0.1", service.port))
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        received = b""
        while b"start" not in received:
            received += client.recv(100)
        time.sleep(0.15)


def until(condition: Any, seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return bool(condition())


KINDS = ["safe", "sse", *(["native/events", "native/lines", "native/raw"] if YIELD_ENDPOINTS else [])]


@pytest.mark.parametrize("where", ["llm", "statement", "yield"])
@pytest.mark.parametrize("kind", KINDS)
def test_vanished_clients_leave_nothing_behind(service: Service, kind: str, where: str):
    clients = [threading.Thread(target=vanish, args=(service, f"/{kind}/{where}/{n}")) for n in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert sorted(service.entered) == [str(n) for n in range(CLIENTS)], "every stream began its transaction"
    assert until(lambda: len(service.seen) == CLIENTS), f"streams that ended: {service.seen}"
    assert set(service.seen) <= {"CancelledError", "GeneratorExit"}, "the cancellation reached every stream"
    assert until(lambda: service.checked_out() == 0), "connections leaked"
    assert until(lambda: not {"active", "idle in transaction"} & set(service.backends())), service.backends()
    assert service.ask("SELECT id FROM conversations") == [], "half a unit was committed"


def test_the_pool_serves_on_afterwards(service: Service):
    """As many vanished clients as would exhaust the pool twice, then one who stays."""
    for round_ in range(2):
        clients = [threading.Thread(target=vanish, args=(service, f"/safe/yield/{round_}-{n}")) for n in range(CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    with socket.socket() as client:
        client.settimeout(10)
        client.connect(("127.0.0.1", service.port))
        client.sendall(b"GET /safe/none/stays HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        received = b""
        while piece := client.recv(65536):
            received += piece
    assert b"start" in received
    assert until(lambda: service.checked_out() == 0)
    assert service.ask("SELECT id FROM conversations ORDER BY id") == [("stays-first",), ("stays-second",)]


@pytest.mark.asyncio
async def test_a_body_is_closed_even_when_the_server_only_cancels():
    """What Starlette does to a response under BaseHTTPMiddleware, without a network: the send never returns."""
    closed: list[str] = []

    async def body() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"chunk"
        except GeneratorExit:
            await asyncio.sleep(0)
            closed.append("GeneratorExit")
            raise

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            await asyncio.sleep(30)

    async def receive() -> Any:
        await asyncio.sleep(30)

    scope = {"type": "http", "asgi": {"spec_version": "2.0"}}
    chunks = body()
    task = asyncio.ensure_future(SafeStreamingResponse(chunks)(scope, receive, send))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed == ["GeneratorExit"]
