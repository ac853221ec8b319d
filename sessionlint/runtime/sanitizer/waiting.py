"""Watches open transactions by a timer of the event loop: foreign waits (SES503) and long ones (SES590).

Nothing is patched: a suspended task is read as a debugger would read it, along the chain of what it awaits.
"""

from __future__ import annotations

import asyncio
import gc
from time import perf_counter
from types import AsyncGeneratorType, CodeType, CoroutineType, FrameType, GeneratorType
from typing import TYPE_CHECKING

from .records import TransactionRecord
from .stacks import Site, StackReader
from .violations import Step

if TYPE_CHECKING:
    from .sanitizer import Sanitizer

_POLL = 0.01  # seconds; a quarter of the shortest wait that is worth a report
_DATABASE = (
    "sqlalchemy", "asyncpg", "psycopg", "psycopg_pool", "aiosqlite", "aiomysql", "asyncmy", "aioodbc", "oracledb",
    "sqlmodel", "alembic",
)  # fmt: skip


def watch(sanitizer: Sanitizer, transaction: TransactionRecord) -> None:
    """Look at the transaction again and again until it ends; without an event loop its end is looked at."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    delay = min(_POLL, sanitizer.options.max_foreign_wait_ms / 4000, sanitizer.options.max_transaction_ms / 4000)
    transaction.timer = loop.call_later(delay, _look, sanitizer, transaction, loop, delay)


def _look(sanitizer: Sanitizer, transaction: TransactionRecord, loop: asyncio.AbstractEventLoop, delay: float) -> None:
    transaction.timer = None
    if not sanitizer.is_open(transaction) or transaction.reported:
        return
    if not transaction.external:
        _foreign_wait(sanitizer, transaction)
        too_long(sanitizer, transaction)
    # A transaction that stays open for minutes needs no hundred looks a second.
    transaction.timer = loop.call_later(
        max(delay, min(transaction.age / 20, 1.0)), _look, sanitizer, transaction, loop, delay
    )


def too_long(sanitizer: Sanitizer, transaction: TransactionRecord) -> None:
    """Report a transaction whose age passes the limit, unless the cause was reported already."""
    limit = sanitizer.options.max_transaction_ms
    if transaction.reported or transaction.external or transaction.age * 1000 <= limit or not transaction.begun.sites:
        return
    transaction.reported = True
    site = transaction.begun.sites[0]
    where = transaction.last_stack.sites[:1]
    trace = tuple(Step(last.spot, "the last statement so far") for last in where if last.spot != site.spot)
    sanitizer.report(
        "SES590",
        site,
        f"the transaction that `{site.spot.function}` begins stays open for more than {limit:g} ms",
        trace,
    )


def _foreign_wait(sanitizer: Sanitizer, transaction: TransactionRecord) -> None:
    if transaction.record is not None and transaction.record.by_hand:
        return  # said already: whoever forgot this session may be anywhere by now
    task = transaction.actor.alive_task
    if transaction.running or task is None or task.done():
        transaction.waiting_on = (0, 0)
        return
    frames = _await_chain(task.get_coro())
    place = _waiting_place(sanitizer.reader, frames, transaction)
    if place is None:
        transaction.waiting_on = (0, 0)
        return
    site, innermost, what = place
    now = perf_counter()
    mark = (id(innermost), innermost.f_lasti)
    if transaction.waiting_on != mark or transaction.last_used > transaction.waiting_since:
        transaction.waiting_on, transaction.waiting_since = mark, now
        return
    if (now - transaction.waiting_since) * 1000 < sanitizer.options.max_foreign_wait_ms:
        return
    transaction.reported = True
    begun = transaction.first_spot()
    sanitizer.report(
        "SES503",
        site,
        f"`{site.spot.function}` waits for {what} while a transaction is open",
        (Step(begun, "the transaction begins"),) if begun else (),
    )


def _waiting_place(
    reader: StackReader, frames: list[FrameType], transaction: TransactionRecord
) -> tuple[Site, FrameType, str] | None:
    """The innermost function of the project that waits, its frame, and for what; None where that says nothing."""
    at = next((i for i in range(len(frames) - 1, -1, -1) if reader.is_project(frames[i].f_code)), None)
    if at is None:
        return None
    beyond = frames[at + 1 :]
    if any(_package(frame) in _DATABASE for frame in beyond):
        return None
    chain: list[CodeType] = []
    for frame in reversed(frames[: at + 1]):
        if reader.is_project(frame.f_code):
            chain.append(frame.f_code)
        elif not reader.is_transparent(frame.f_code):
            break
    used = (transaction.last_stack if transaction.last_stack.sites else transaction.begun).chain
    if any(site.is_async_generator and not _contains(chain, site.code) for site in used):
        return None  # the generator stands at its yield: whoever iterates over it is not inside the transaction
    if not any(_contains(chain, site.code) for site in used):
        return None
    waited = next((frame for frame in beyond if not reader.is_transparent(frame.f_code)), None)
    what = (
        f"`{_package(waited)}.{waited.f_code.co_name}`" if waited is not None else "something that is not the database"
    )
    return reader.site(frames[at]), frames[at], what


def _contains(codes: list[CodeType], code: CodeType) -> bool:
    return any(one is code for one in codes)


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _await_chain(coroutine: object) -> list[FrameType]:
    """Frames of a suspended task, outermost first. What iterates over an async generator awaits an object that shows
    its generator only to the garbage collector."""
    frames: list[FrameType] = []
    current: object | None = coroutine
    for _ in range(200):
        if isinstance(current, CoroutineType):
            frame, current = current.cr_frame, current.cr_await
        elif isinstance(current, AsyncGeneratorType):
            frame, current = current.ag_frame, current.ag_await
        elif isinstance(current, GeneratorType):
            frame, current = current.gi_frame, current.gi_yieldfrom
        else:
            found = [] if current is None else gc.get_referents(current)
            inner = [one for one in found if isinstance(one, (AsyncGeneratorType, CoroutineType))]
            if type(current).__name__ not in {"async_generator_asend", "coroutine_wrapper"} or not inner:
                break
            current = inner[0]
            continue
        if frame is None:
            break
        frames.append(frame)
    return frames
