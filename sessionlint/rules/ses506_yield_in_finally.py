"""A generator yields while it is being closed: in a `finally`, or in a handler that catches its own closing.

## What it does

Reports a `yield` in a `finally` whose `try` yields as well, and in an `except:`, `except BaseException` or
`except GeneratorExit` around a `yield`.

## Why is this bad

A reader that goes away closes the generator: Python raises `GeneratorExit` at the `yield` it is stopped at, and expects
the generator to end. One that answers with another value - the usual `data: [DONE]` of a `finally` - breaks that
contract. The clean-up that stands around it is cut off: the session's block is not left, its connection stays checked
out with the transaction open until the garbage collector comes.

## Instead

Send the sentinel on the normal path, after the loop:

    async with maker() as db:
        rows = (await db.scalars(query)).all()
    for row in rows:
        yield render(row)
    yield "data: [DONE]"

## When it is silent

The `try` has no `yield` of its own; the yield depends on a name that the `try` sets (`if finished:`); an earlier handler
takes `GeneratorExit` away; context managers, dependencies and fixtures.

## Fix safety

Unsafe where a fix is offered: moving the yield behind the `try` changes what is sent after an exception.

## Options

None.

## Symptom at run time

`RuntimeError: async generator ignored GeneratorExit` (`generator ignored GeneratorExit`), and a connection that is not
given back.

## References

- https://peps.python.org/pep-0525/#finalization
- https://docs.python.org/3/reference/expressions.html#generator.close
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, step

SEVERITY = Severity.ERROR
DEFAULT = True

BAD = (
    """
# --- app/stream.py ---
from collections.abc import AsyncIterator, Iterator

from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import sessionmaker

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)
sync_maker = sessionmaker(create_engine("postgresql+psycopg://app@db/app"))


async def events(source) -> AsyncIterator[str]:
    try:
        async for item in source:
            yield f"data: {item}"
    finally:
        yield "data: [DONE]"  # SES506


def lines() -> Iterator[str]:
    with sync_maker() as db:
        try:
            for row in db.execute(text("select id from readings")).all():
                yield str(row.id)
        except BaseException as error:
            yield f"error: {error}"  # SES506


async def guarded(source, quiet: bool) -> AsyncIterator[str]:
    try:
        async for item in source:
            yield item
    except ValueError:
        yield "bad value"
    finally:
        if not quiet:
            yield "end"  # SES506
""",
)

GOOD = (
    '''
# --- app/stream.py ---
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


async def events(source) -> AsyncIterator[str]:
    try:
        async for item in source:
            yield f"data: {item}"
        yield "data: [DONE]"
    finally:
        await source.aclose()


async def once(source) -> AsyncIterator[str]:
    """Nothing is yielded in the try, so nothing can be closed there."""
    text = ""
    try:
        text = await source.read()
    finally:
        yield text


async def finished(source) -> AsyncIterator[str]:
    """Whether it ran to its end is known."""
    done = False
    try:
        async for item in source:
            yield item
        done = True
    finally:
        if done:
            yield "data: [DONE]"


async def told_apart(source) -> AsyncIterator[str]:
    try:
        async for item in source:
            yield item
    except GeneratorExit:
        raise
    except BaseException as error:
        yield f"error: {error}"


async def failures(source) -> AsyncIterator[str]:
    """GeneratorExit is no Exception."""
    try:
        async for item in source:
            yield item
    except Exception as error:
        yield f"error: {error}"


def nested(values: list[int]) -> Iterator[int]:
    for value in values:
        yield value
    try:
        values.clear()
    finally:
        yield 0


@asynccontextmanager
async def scope() -> AsyncIterator[None]:
    try:
        yield
    finally:
        pass


@contextmanager
def odd() -> Iterator[None]:
    """contextlib drives it and complains by itself."""
    try:
        yield
    finally:
        yield
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function in analysis.functions:
        if not analysis.hands_out_items(function):
            continue
        for found in analysis.generators.closing_yields(function):
            where = "in a `finally`" if found.block == "finally" else "in a handler that catches `GeneratorExit`"
            yield Draft(
                function,
                found.loc,
                f"`{function.qualname}` yields {where}: a reader that leaves makes it run while it is being closed",
                "yield the last value on the normal path, after the loop",
                "answers GeneratorExit with another value",
                (step(function.module.path, found.opened, "the block is left by GeneratorExit"),),
            )
