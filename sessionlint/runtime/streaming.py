"""Responses whose body is always closed, and server-sent events that are not sent from within a transaction.

A client that goes away while the body waits at ``yield`` leaves the generator suspended: Starlette does not close it
(under ``BaseHTTPMiddleware`` in any version), so its unit of work keeps a connection until the garbage collector runs.
"""

from __future__ import annotations

import json
import logging
import re
import warnings
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import anyio
import anyio.lowlevel
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from .errors import StreamingTransactionWarning, TransactionOpenError
from .open_units import OPEN_UNITS

logger = logging.getLogger(__name__)

_LINE_END = re.compile(r"\r\n|\r|\n")  # what the event-stream format takes for one; str.splitlines takes more


class SafeStreamingResponse(StreamingResponse):
    """A StreamingResponse that closes its body when the response ends, however it ends.

    The body sees ``GeneratorExit`` at its ``yield``, so that its units of work roll back and give their connections
    back, protected from the cancellation that ended the response. Between two chunks the event loop gets a turn:
    servers drop what is sent to a client that is gone without waiting, and a body that never waits itself would run to
    its end, and commit, before anybody could tell it to stop.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_and_let_others_run(message: Message) -> None:
            await send(message)
            await anyio.lowlevel.checkpoint()

        try:
            await super().__call__(scope, receive, send_and_let_others_run)
        finally:
            close = getattr(self.body_iterator, "aclose", None)
            if close is not None:
                with anyio.CancelScope(shield=True):
                    await close()


@dataclass(frozen=True)
class ServerSentEvent:
    """One event. ``data`` that is no string is sent as JSON; ``None`` sends no ``data:`` field; ``retry`` is in
    milliseconds; ``comment`` is for proxies that close a silent connection, browsers pass over it."""

    data: object = ""
    event: str | None = None
    id: str | None = None
    retry: int | None = None
    comment: str | None = None

    def encode(self) -> bytes:
        """The event's lines, ended by an empty one; every line of ``data`` gets its own ``data:`` field.

        Raises ``ValueError`` when ``event`` or ``id`` holds a line break: it would start another field.
        """
        lines = [f": {line}" for line in _LINE_END.split(self.comment)] if self.comment is not None else []
        for name, value in (("event", self.event), ("id", self.id)):
            if value is None:
                continue
            if _LINE_END.search(value) or "\0" in value:
                raise ValueError(f"{name} of a server-sent event can't hold a line break: {value!r}")
            lines.append(f"{name}: {value}")
        if self.retry is not None:
            lines.append(f"retry: {self.retry}")
        if self.data is not None:
            lines += [f"data: {line}" for line in _LINE_END.split(_text(self.data))]
        return ("\n".join(lines) + "\n\n").encode()


@runtime_checkable
class _EventOfFastAPI(Protocol):
    """``fastapi.sse.ServerSentEvent`` (FastAPI 0.135 and newer)."""

    data: object
    raw_data: str | None
    event: str | None
    id: str | None
    retry: int | None
    comment: str | None


def _event(item: object) -> ServerSentEvent:
    """What a source has yielded as an event of ours; FastAPI's own mean the same here as in its own responses."""
    if isinstance(item, ServerSentEvent):
        return item
    if not isinstance(item, _EventOfFastAPI):
        return ServerSentEvent("null" if item is None else item)
    data: object = item.raw_data
    if data is None and item.data is not None:
        from fastapi.encoders import jsonable_encoder

        data = json.dumps(jsonable_encoder(item.data), ensure_ascii=False)  # a string too, unlike our ``data``
    return ServerSentEvent(data, item.event, item.id, item.retry, item.comment)


@runtime_checkable
class _Model(Protocol):
    """A pydantic model."""

    def model_dump_json(self) -> str: ...


def _text(data: object) -> str:
    if isinstance(data, str):
        return data
    return data.model_dump_json() if isinstance(data, _Model) else json.dumps(data, ensure_ascii=False)


async def sse_events(
    source: AsyncIterable[object],
    *,
    strict: bool = False,
    watch: Sequence[AsyncSession] = (),
    on_error: Callable[[Exception], ServerSentEvent] | None = None,
) -> AsyncIterator[bytes]:
    """Encode what ``source`` yields, and see that no transaction is open then.

    It yields `ServerSentEvent`, FastAPI's class of that name, or what is to be sent as ``data``.

    A chunk sent from within a transaction holds a connection, and every lock, for as long as the client likes; and it
    may tell of rows that are rolled back later. Watched are the units of work entered by this task and the sessions in
    ``watch``. With ``strict`` such a chunk is not sent: ``source`` is closed, which rolls back, and
    `TransactionOpenError` is raised; otherwise it is sent with a `StreamingTransactionWarning`.

    ``on_error`` makes the last event when ``source`` fails. It is sent after ``source`` has been closed, hence after
    the rollback. Put no exception texts into it: SQLAlchemy's hold statements and parameters.
    """
    try:
        try:
            async for item in source:
                refuse_open_transaction(strict, watch)
                yield _event(item).encode()
        finally:
            close = getattr(source, "aclose", None)
            if close is not None:
                with anyio.CancelScope(shield=True):
                    await close()
    except Exception as error:
        if on_error is None:
            raise
        logger.exception("An event stream failed")
        yield on_error(error).encode()


def refuse_open_transaction(strict: bool, watch: Sequence[AsyncSession] = ()) -> None:
    """Raise `TransactionOpenError`, or without ``strict`` warn, if this task holds a transaction open."""
    names = [repr(unit.name) for unit in OPEN_UNITS.of_this_task() if unit.in_transaction()]
    names += ["a watched session" for session in watch if session.in_transaction()]
    if not names:
        return
    message = (
        f"A chunk was to be sent within an open transaction ({', '.join(names)}): "
        f"commit(), rollback() or release() before yield."
    )
    if strict:
        raise TransactionOpenError(message)
    warnings.warn(message, StreamingTransactionWarning, stacklevel=3)


class EventStreamResponse(SafeStreamingResponse):
    """`sse_events` as a response that proxies neither cache nor buffer."""

    def __init__(
        self,
        source: AsyncIterable[object],
        *,
        strict: bool = False,
        watch: Sequence[AsyncSession] = (),
        on_error: Callable[[Exception], ServerSentEvent] | None = None,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            sse_events(source, strict=strict, watch=watch, on_error=on_error),
            status_code=status_code,
            media_type="text/event-stream",
            headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no", **(headers or {})},
        )
