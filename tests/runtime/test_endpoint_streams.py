"""FastAPI's own streams (`yield` in a path operation): events, errors, and the guard at each chunk."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterable, AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI

from sessionlint.runtime import (
    EventStreamResponse,
    StreamingTransactionWarning,
    TransactionOpenError,
    safe_stream,
    sse_events,
)
from tests.runtime.conftest import Database
from tests.runtime.models import Conversation

sse = pytest.importorskip("fastapi.sse", reason="FastAPI before 0.135 has no EventSourceResponse")
pytestmark = pytest.mark.asyncio

EVENTS: list[tuple[dict[str, Any], str]] = [
    ({"data": "one"}, 'data: "one"\n\n'),
    ({"data": {"text": "ж"}}, 'data: {"text": "ж"}\n\n'),
    ({"raw_data": "a\nb", "event": "end", "id": "7", "retry": 5}, "event: end\nid: 7\nretry: 5\ndata: a\ndata: b\n\n"),
    ({"comment": "ping"}, ": ping\n\n"),
    ({"raw_data": "", "comment": "a\nb"}, ": a\n: b\ndata: \n\n"),
]


def fields(text: str) -> set[str]:
    """The lines of an event; their order means nothing to a browser, ``data`` lines aside."""
    return {line if not line.startswith("data: ") else f"data {json.dumps(line)}" for line in text.splitlines()}


@pytest.mark.parametrize(("event", "lines"), EVENTS)
async def test_events_of_fastapi_mean_the_same_in_our_response(event: dict[str, Any], lines: str):
    async def source() -> AsyncIterator[object]:
        yield sse.ServerSentEvent(**event)

    assert [chunk.decode() async for chunk in sse_events(source())] == [lines]
    app = FastAPI()

    @app.get("/theirs", response_class=sse.EventSourceResponse)
    async def theirs() -> AsyncIterable[sse.ServerSentEvent]:
        yield sse.ServerSentEvent(**event)

    @app.get("/ours")
    async def ours() -> EventStreamResponse:
        return EventStreamResponse(source())

    async with client(app) as asking:
        answers = [(await asking.get(path)).text for path in ("/theirs", "/ours")]
    if "ж" not in lines:  # FastAPI escapes it
        assert fields(answers[0]) == fields(answers[1])


def client(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app, raise_app_exceptions=False), base_url="http://test")


async def question(text: str = "?") -> str:
    return text


def service(database: Database, *, strict: bool = False, seen: list[str]) -> FastAPI:
    app = FastAPI()

    @app.get("/answers", response_class=sse.EventSourceResponse)
    @safe_stream(strict=strict)
    async def answers(
        number: int, asked: Annotated[str, Depends(question)], inside: bool = False
    ) -> AsyncIterable[sse.ServerSentEvent]:
        """What the documentation of the endpoint says."""
        try:
            async with database.unit("answers") as uow:
                uow.session.add(Conversation(id=f"{asked}{number}"))
                await uow.flush()
                if inside:
                    yield sse.ServerSentEvent(raw_data="inside")
                await uow.commit()
            yield sse.ServerSentEvent(raw_data="saved")
        except BaseException as error:
            seen.append(type(error).__name__)
            raise

    return app


async def test_parameters_dependencies_and_documentation_stay(database: Database):
    app = service(database, seen=[])
    async with client(app) as asking:
        answer = await asking.get("/answers", params={"number": 1, "text": "why"})
        assert answer.text == "data: saved\n\n"
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert (await asking.get("/answers")).status_code == 422
    assert database.ids() == ["why1"]
    described = app.openapi()["paths"]["/answers"]["get"]
    assert [one["name"] for one in described["parameters"]] == ["number", "inside", "text"]
    assert described["description"] == "What the documentation of the endpoint says."


async def test_a_chunk_from_within_a_transaction_warns(database: Database):
    async with client(service(database, seen=[])) as asking:
        with pytest.warns(StreamingTransactionWarning, match="'answers'"):
            answer = await asking.get("/answers", params={"number": 1, "inside": True})
    assert answer.text == "data: inside\n\ndata: saved\n\n"
    assert database.ids() == ["?1"]


async def test_strict_sends_no_chunk_from_within_a_transaction(database: Database):
    seen: list[str] = []
    async with client(service(database, strict=True, seen=seen)) as asking:
        answer = await asking.get("/answers", params={"number": 1, "inside": True})
    assert answer.text == ""
    assert seen == ["GeneratorExit"]
    assert database.ids() == []
    assert database.checked_out() == 0


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_strict_says_why(database: Database):
    @safe_stream(strict=True)
    async def stream() -> AsyncIterator[str]:
        async with database.unit("direct") as uow:
            uow.session.add(Conversation(id="a"))
            yield "inside"

    with pytest.raises(TransactionOpenError, match="'direct'"):
        async for _ in stream():
            pass


async def test_only_async_generators_can_be_decorated():
    async def answer() -> str:
        return ""

    for wrong in (answer, lambda: iter(()), asyncio.sleep):
        with pytest.raises(TypeError, match="SafeStreamingResponse"):
            safe_stream(wrong)  # type: ignore[arg-type]
