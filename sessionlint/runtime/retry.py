"""Repeats a whole unit of work when the database says that a repetition may succeed.

Never a single statement: after a serialization failure everything that the transaction read is void.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import TypeVar

import stamina
from sqlalchemy.ext.asyncio import AsyncSession

from .circuit_breaker import CircuitBreaker
from .sqlstate import is_transient, sqlstate_of
from .unit_of_work import SSEUnitOfWork

S = TypeVar("S", bound=AsyncSession)
T = TypeVar("T")


async def retry_unit_of_work(
    open_unit: Callable[[], SSEUnitOfWork[S]],
    work: Callable[[SSEUnitOfWork[S]], Awaitable[T]],
    *,
    operation: str | None = None,
    attempts: int = 3,
    timeout: float | None = 10.0,
    wait_initial: float = 0.05,
    wait_max: float = 1.0,
    idempotent: bool = False,
    retry_lock_timeout: bool = False,
    breaker: CircuitBreaker | None = None,
    on_retry: Callable[[str], None] | None = None,
) -> T:
    """Run ``work`` in a new unit of work, commit, and return its result; repeat on a transient failure.

    Each attempt gets a session of its own. Repeated are deadlocks, serialization failures, lost and refused
    connections (see `sqlstate.is_transient`), at most ``attempts`` times and ``timeout`` seconds, with jitter.
    Not repeated, unless ``idempotent``, is what may have been saved already: when ``work`` has committed something
    itself, or the connection was lost after COMMIT was sent. ``on_retry`` is told the SQLSTATE, or an empty string.
    """
    unit = open_unit()
    failed_with = ""

    def worth_it(error: Exception) -> bool:
        nonlocal failed_with
        failed_with = sqlstate_of(error)
        if not idempotent and (unit.commits or unit.commit_in_doubt):
            return False
        return is_transient(error, retry_lock_timeout=retry_lock_timeout)

    async for attempt in stamina.retry_context(
        on=worth_it,
        attempts=attempts,
        timeout=timeout,
        wait_initial=wait_initial,
        wait_max=wait_max,
        wait_jitter=wait_initial,
    ):
        with attempt:
            if attempt.num > 1:
                unit = open_unit()
                if on_retry is not None:
                    on_retry(failed_with)
            async with breaker.guard() if breaker is not None else nullcontext(), unit:
                result = await work(unit)
                await unit.commit(operation)
                return result
    raise AssertionError("stamina ends by a result or an exception")
