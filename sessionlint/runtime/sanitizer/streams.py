"""Watches HTTP responses: a chunk sent while a transaction is open (SES502), too many commits in one request (SES290).

`SanitizerMiddleware` is pure ASGI. Starlette and FastAPI applications are wrapped by the sanitizer itself; other
frameworks add the middleware by hand.
"""

from __future__ import annotations

import functools
import gc
import sys
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import TYPE_CHECKING, Any

from .records import RequestRecord, TransactionRecord, current_request
from .stacks import Site, StackReader
from .violations import Step

if TYPE_CHECKING:
    from .sanitizer import Sanitizer

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

_MARK = "sessionlint.request"
_LINKS = ("async_generator_asend", "async_generator_athrow", "coroutine_wrapper", "anext_awaitable")


class SanitizerMiddleware:
    """Gives each HTTP request a record and looks at every chunk; mounted applications share the outer request."""

    def __init__(self, app: Application, sanitizer: Sanitizer) -> None:
        self._app = app
        self._sanitizer = sanitizer

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        await watched(self._sanitizer, self._app, scope, receive, send)


async def watched(sanitizer: Sanitizer, app: Application, scope: Message, receive: Receive, send: Send) -> None:
    """Run one ASGI call of ``app`` under the sanitizer."""
    if scope.get("type") != "http" or _MARK in scope:
        await app(scope, receive, send)
        return
    request = RequestRecord(str(scope.get("path", "")))
    token = current_request.set(request)

    async def looking(message: Message) -> None:
        if message["type"] == "http.response.body" and message.get("more_body") and message.get("body"):
            if not request.encoded_ahead:
                _look(sanitizer, request)
        await send(message)

    try:
        await app({**scope, _MARK: request}, receive, looking)
    finally:
        current_request.reset(token)


def watch_event_encoder(sanitizer: Sanitizer) -> None:
    """FastAPI sends the events of a path operation that yields through a queue (0.135 and newer): looked at is the
    moment it encodes one, with the generator at its ``yield``."""
    try:
        from fastapi import routing
    except ImportError:
        return
    if not hasattr(routing, "format_sse_event"):
        return

    def looking(original: Callable[..., bytes]) -> Callable[..., bytes]:
        @functools.wraps(original)
        def encode(*args: Any, **keywords: Any) -> bytes:
            request = current_request.get()
            if request is not None:
                request.encoded_ahead = True
                _look(sanitizer, request)
            return original(*args, **keywords)

        return encode

    sanitizer.patches.replace(routing, "format_sse_event", looking)


def _look(sanitizer: Sanitizer, request: RequestRecord) -> None:
    """A chunk of this request is handed out now."""
    for transaction in sanitizer.open_transactions():
        if transaction.request is request and not transaction.external:
            _report(sanitizer, transaction)


def _report(sanitizer: Sanitizer, transaction: TransactionRecord) -> None:
    site = _yielding(sanitizer.reader, transaction) or next(iter(transaction.last_stack.sites), None)
    if site is None:
        return
    begun = transaction.first_spot()
    transaction.reported = True
    sanitizer.report(
        "SES502",
        site,
        f"`{site.spot.function}` hands a chunk to the client while a transaction is open",
        (Step(begun, "the transaction begins"),) if begun else (),
    )


def _yielding(reader: StackReader, transaction: TransactionRecord) -> Site | None:
    """The generator of the project that stands at its ``yield`` now, preferably one that used the session."""
    body = _body_iterator()
    if body is None:
        return None
    sites = [reader.site(frame) for frame in _suspended(body) if reader.is_project(frame.f_code)]
    used = [site.code for site in transaction.last_stack.sites]
    for site in reversed(sites):
        if any(site.code is code for code in used):
            return site
    return sites[-1] if sites else None


def _body_iterator() -> object | None:
    """What is iterated over: Starlette's response keeps it as ``body_iterator``, FastAPI's producer of events in a
    variable."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        response = frame.f_locals.get("self") if frame.f_code.co_varnames[:1] == ("self",) else None
        body: object | None = getattr(response, "body_iterator", None)
        if body is not None:
            return body
        if frame.f_globals.get("__name__") == "fastapi.routing":
            for value in frame.f_locals.values():
                if isinstance(value, AsyncGeneratorType):
                    return value
        frame = frame.f_back
    return None


def _suspended(body: object) -> Iterable[FrameType]:
    """Frames of the generators below ``body``, outermost first. Iterators of a running loop are no attributes of
    anything: they are found as the garbage collector finds them."""
    seen: set[int] = set()
    level: list[object] = [body]
    for _ in range(12):
        following: list[object] = []
        for item in level:
            if id(item) in seen:
                continue
            seen.add(id(item))
            if isinstance(item, AsyncGeneratorType) and item.ag_frame is not None:
                yield item.ag_frame
                following += (item.ag_frame, *gc.get_referents(item))
            elif isinstance(item, GeneratorType) and item.gi_frame is not None:
                yield item.gi_frame
                following += (item.gi_frame, *gc.get_referents(item))
            elif isinstance(item, (CoroutineType, FrameType)) or type(item).__name__ in _LINKS:
                following += gc.get_referents(item)
        level = following
