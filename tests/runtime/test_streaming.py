"""Server-sent events: framing, no chunk from within a transaction, the error event after the rollback."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator

import pytest
from pydantic import BaseModel

from sessionlint.runtime import (
    EventStreamResponse,
    ServerSentEvent,
    StreamingTransactionWarning,
    TransactionOpenError,
    sse_events,
)
from tests.runtime.conftest import Database
from tests.runtime.models import Conversation

pytestmark = pytest.mark.asyncio


class Chunk(BaseModel):
    text: str


@pytest.mark.parametrize(
    ("event", "lines"),
    [
        (ServerSentEvent("one"), "data: one\n\n"),
        (ServerSentEvent("a\nb\r\nc\rd"), "data: a\ndata: b\ndata: c\ndata: d\n\n"),
        (ServerSentEvent("u\u2028v\x0bw"), "data: u\u2028v\x0bw\n\n"),
        (ServerSentEvent(""), "data: \n\n"),
        (ServerSentEvent({"text": "ж"}), 'data: {"text": "ж"}\n\n'),
        (ServerSentEvent(Chunk(text="a\nb")), 'data: {"text":"a\\nb"}\n\n'),
        (ServerSentEvent("x", event="end", id="7", retry=500), "event: end\nid: 7\nretry: 500\ndata: x\n\n"),
    ],
)
async def test_framing(event: ServerSentEvent, lines: str):
    assert event.encode().decode() == lines


@pytest.mark.parametrize("bad", [{"event": "a\ndata: injected"}, {"id": "1\r2"}, {"id": "\0"}])
async def test_no_field_can_be_smuggled_in(bad: dict[str, str]):
    with pytest.raises(ValueError, match="line break"):
        ServerSentEvent("x", **bad).encode()


async def test_a_chunk_from_within_a_transaction(database: Database):
    async def stream() -> AsyncIterator[str]:
        async with database.unit("chat") as uow:
            uow.session.add(Conversation(id="a"))
            await uow.flush()
            yield "saved"
            await uow.commit()

    with pytest.warns(StreamingTransactionWarning, match="'chat'"):
        assert [chunk async for chunk in sse_events(stream())] == [b"data: saved\n\n"]
    assert database.ids() == ["a"]
    database.rows("DELETE FROM conversations")
    sent = []
    with pytest.raises(TransactionOpenError, match="'chat'"):
        async for chunk in sse_events(stream(), strict=True):
            sent.append(chunk)
    assert sent == []
    assert database.ids() == []
    assert database.checked_out() == 0


@pytest.mark.parametrize("backend", ["asyncpg"])
async def test_no_warning_between_transactions_or_for_the_units_of_others(database: Database):
    async def stream() -> AsyncIterator[str]:
        async with database.unit("chat") as uow:
            async with uow.transaction("question") as session:
                session.add(Conversation(id="a"))
            yield "question saved"
            await uow.session.get(Conversation, "a")
            await uow.release()
            yield "read"

    held = asyncio.Event()

    async def somebody_else() -> None:
        async with database.unit("other") as uow:
            await uow.session.get(Conversation, "a")
            held.set()
            await asyncio.sleep(30)

    other = asyncio.ensure_future(somebody_else())
    await held.wait()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len([chunk async for chunk in sse_events(stream(), strict=True)]) == 2
    other.cancel()


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_a_plain_session_can_be_watched(database: Database):
    async with database.factory() as session:

        async def stream() -> AsyncIterator[str]:
            await session.get(Conversation, "a")
            yield "x"

        with pytest.raises(TransactionOpenError, match="watched"):
            async for _ in sse_events(stream(), strict=True, watch=[session]):
                pass


async def test_the_error_event_comes_after_the_rollback(database: Database):
    seen_by_handler: list[tuple[int, list[str]]] = []

    async def stream() -> AsyncIterator[str]:
        async with database.unit("chat") as uow:
            uow.session.add(Conversation(id="half"))
            await uow.flush()
            raise RuntimeError("INSERT INTO secret_table")
            yield "never"

    def on_error(error: Exception) -> ServerSentEvent:
        seen_by_handler.append((database.checked_out(), database.ids()))
        return ServerSentEvent({"type": "error"}, event="error")

    chunks = [chunk async for chunk in sse_events(stream(), on_error=on_error)]
    assert chunks == [b'event: error\ndata: {"type": "error"}\n\n']
    assert seen_by_handler == [(0, [])]


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_closing_the_events_closes_the_source(database: Database):
    async def stream() -> AsyncIterator[str]:
        async with database.unit("chat") as uow:
            await uow.session.get(Conversation, "a")
            await uow.release()
            while True:
                yield "x"

    events = sse_events(stream())
    await events.__anext__()
    await events.aclose()
    assert database.checked_out() == 0


async def test_headers_of_an_event_stream():
    async def stream() -> AsyncIterator[str]:
        yield "x"

    response = EventStreamResponse(stream(), headers={"X-Mine": "1"})
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-accel-buffering"] == "no"
    assert response.headers["x-mine"] == "1"
