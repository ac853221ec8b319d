"""Path operations of FastAPI that ``yield`` (0.134 and newer), closed when their request ends.

FastAPI iterates such a generator itself, for ``EventSourceResponse`` in a task of its own, and cancels the iteration
when the client has gone. At a ``yield`` that does not reach the generator: its unit of work would keep a connection
until the garbage collector runs (``fastapi/routing.py``, ``get_request_handler``).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Annotated, Any, ParamSpec, TypeVar, overload

import anyio
from fastapi import Depends

from .streaming import refuse_open_transaction

P = ParamSpec("P")
Item = TypeVar("Item")
_Endpoint = Callable[P, AsyncIterator[Item]]

_PARAMETER = "streams_of_this_request"


async def _streams_of_this_request() -> AsyncIterator[list[AsyncGenerator[Any, None]]]:
    """A list of generators, each closed when the request's exit stack unwinds: after the response, however it ended."""
    streams: list[AsyncGenerator[Any, None]] = []
    try:
        yield streams
    finally:
        with anyio.CancelScope(shield=True):
            for stream in streams:
                await stream.aclose()


@overload
def safe_stream(endpoint: _Endpoint[P, Item], *, strict: bool = False) -> _Endpoint[P, Item]: ...


@overload
def safe_stream(
    endpoint: None = None, *, strict: bool = False
) -> Callable[[_Endpoint[P, Item]], _Endpoint[P, Item]]: ...


def safe_stream(
    endpoint: _Endpoint[P, Item] | None = None, *, strict: bool = False
) -> _Endpoint[P, Item] | Callable[[_Endpoint[P, Item]], _Endpoint[P, Item]]:
    """Decorate an ``async def`` path operation that yields, below the route's own decorator.

        @router.get("/answers", response_class=EventSourceResponse)
        @safe_stream
        async def answers(question: str) -> AsyncIterable[ServerSentEvent]: ...

    The generator sees ``GeneratorExit`` at its ``yield`` when the client has gone, so that its units of work roll back.
    A chunk yielded while the task holds a transaction open is sent with a `StreamingTransactionWarning`, or with
    ``strict`` not sent: the generator is closed and `TransactionOpenError` raised. Raises ``TypeError`` for anything
    but an async generator function.
    """
    if endpoint is None:
        return functools.partial(_decorated, strict=strict)
    return _decorated(endpoint, strict=strict)


def _decorated(endpoint: _Endpoint[P, Item], *, strict: bool) -> _Endpoint[P, Item]:
    if not inspect.isasyncgenfunction(endpoint):
        name = getattr(endpoint, "__qualname__", repr(endpoint))
        raise TypeError(f"safe_stream needs an `async def` that yields, {name} is none: return a SafeStreamingResponse")

    @functools.wraps(endpoint)
    async def stream(*args: Any, **given: Any) -> AsyncIterator[Item]:
        streams: list[AsyncGenerator[Any, None]] = given.pop(_PARAMETER, [])
        source = endpoint(*args, **given)
        streams.append(source)
        try:
            async for item in source:
                refuse_open_transaction(strict)
                yield item
        finally:
            with anyio.CancelScope(shield=True):
                await source.aclose()

    # FastAPI reads the signature: the list is one more dependency, which its request-scoped exit stack closes.
    annotation = Annotated[list[Any], Depends(_streams_of_this_request)]
    added = inspect.Parameter(_PARAMETER, inspect.Parameter.KEYWORD_ONLY, annotation=annotation)
    signature = inspect.signature(endpoint)
    stream.__signature__ = signature.replace(parameters=[*signature.parameters.values(), added])  # type: ignore[attr-defined]
    return stream
