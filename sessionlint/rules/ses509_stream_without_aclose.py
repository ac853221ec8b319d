"""A streaming response does not close its generator, which holds a session with an open transaction.

## What it does

Reports `StreamingResponse(...)` (and the like) over a generator that yields while a session of its own has a transaction
open, where nothing closes the generator when the client goes away. Off by default: the transaction at the `yield` is
SES502, and where that is mended nothing is left to close. This rule is for streams that must hold it, and find out who
ends it.

## Why is this bad

A client that leaves cancels the response, not the generator. It stays stopped at its `yield` until the garbage
collector finds it; `finally` and `async with` inside it do not run before. A middleware (`BaseHTTPMiddleware`) or an
exception that keeps a reference to the frame makes that late: connections stay `idle in transaction` meanwhile.

## Instead

Fetch, leave the block, then yield (SES502). Where the stream has to hold its session, give it a response that closes
what it streams, whatever ends it:

    class ClosingStream(StreamingResponse):
        async def __call__(self, scope, receive, send):
            try:
                await super().__call__(scope, receive, send)
            finally:
                with anyio.CancelScope(shield=True):
                    await self.body_iterator.aclose()

`sessionlint scaffold` writes one (`SafeStreamingResponse`).

## When it is silent

The generator holds no session, or no transaction at any `yield`; the response class of the project names `aclose`.

## Fix safety

There is no fix: another response class is a change of the whole application.

## Options

None.

## Symptom at run time

Connections `idle in transaction` after clients have disconnected, until garbage collection; then
`sqlalchemy.exc.TimeoutError: QueuePool limit of size ... reached`.

## References

- https://peps.python.org/pep-0525/#finalization
- https://github.com/sysid/sse-starlette/issues/156
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import Streamed, Suspended
from sessionlint.effects.stream_responses import closes_its_body
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, step

SEVERITY = Severity.WARNING
DEFAULT = False

BAD = (
    """
# --- app/stream.py ---
from collections.abc import AsyncIterator

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from sqlalchemy import text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

router = APIRouter()
maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


async def rows() -> AsyncIterator[str]:
    async with maker() as db:
        result = await db.stream(text("select line from log"))
        async for row in result:
            yield row.line


@router.get("/log")
async def log() -> StreamingResponse:
    return StreamingResponse(rows())  # SES509
""",
)

GOOD = (
    '''
# --- app/stream.py ---
from collections.abc import AsyncIterator

import anyio
from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from sqlalchemy import text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

router = APIRouter()
maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class ClosingStream(StreamingResponse):
    async def __call__(self, scope, receive, send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await self.body_iterator.aclose()


async def rows() -> AsyncIterator[str]:
    async with maker() as db:
        result = await db.stream(text("select line from log"))
        async for row in result:
            yield row.line


async def read_before() -> AsyncIterator[str]:
    """Holds nothing while it waits for the reader."""
    async with maker() as db:
        lines = (await db.scalars(text("select line from log"))).all()
    for line in lines:
        yield line


@router.get("/log")
async def log() -> ClosingStream:
    return ClosingStream(rows())


@router.get("/short-log")
async def short_log() -> StreamingResponse:
    return StreamingResponse(read_before())
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function, seen in analysis.observations(Streamed):
        held = _held(analysis, seen)
        if held is None or closes_its_body(analysis, function, seen.loc):
            continue
        yield Draft(
            function,
            seen.loc,
            f"nothing closes `{seen.generator.qualname}` when the client goes away, and it yields with a transaction open",
            "hold no transaction at a `yield`, or stream through a response class that closes its body",
            "the generator stops at its `yield` until it is garbage",
            (step(seen.generator.module.path, held.loc, "yields with a transaction open"),),
        )


def _held(analysis: Analysis, seen: Streamed) -> Suspended | None:
    """A yield of the generator at which its own session has a transaction."""
    observed = analysis.result(seen.generator).observations
    return next((o for o in observed if isinstance(o, Suspended) and o.owned and o.open), None)
