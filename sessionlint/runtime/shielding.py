"""Runs one database operation to its end, whatever cancels the caller meanwhile, and lets no cancellation get lost.

``AsyncSession.commit()`` and ``rollback()`` have no such protection: cancelled in the middle they leave the outcome of
the COMMIT unknown and throw the connection away. SQLAlchemy shields only ``AsyncSession.__aexit__`` and
``async_sessionmaker.begin()`` (``_run_to_completion`` in ``sqlalchemy.ext.asyncio``, 2.0 and 2.1).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

import anyio

logger = logging.getLogger(__name__)

T = TypeVar("T")


async def run_shielded(operation: Coroutine[Any, Any, T]) -> T:
    """Await ``operation`` in a task of its own until it is done; then re-raise the cancellation that came meanwhile.

    Any number of ``task.cancel()``, an ``asyncio.timeout`` and an anyio scope (which cancels again and again, as
    Starlette's task groups do) are held off. If the operation fails while its caller is being cancelled, the failure
    is logged and the cancellation wins: whoever cancels has to see it.
    """
    loop = asyncio.get_running_loop()
    task = loop.create_task(operation)
    try:
        await _done(task, loop)
        return task.result()
    except asyncio.CancelledError as error:
        cancelled = error
    # Entered only now, because an uncancelled operation, which is nearly every one, should not pay for it.
    with anyio.CancelScope(shield=True):
        while not task.done():
            try:
                await _done(task, loop)
            except asyncio.CancelledError as error:
                cancelled = error
    if not task.cancelled() and (failure := task.exception()) is not None:
        logger.error("A database operation failed while its caller was cancelled", exc_info=failure)
    raise cancelled


def _done(task: asyncio.Task[T], loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
    """A future that ends with ``task`` and may be cancelled without it; ``asyncio.wait`` for one task is dearer."""
    waiter: asyncio.Future[None] = loop.create_future()

    def wake(_task: asyncio.Task[T]) -> None:
        if not waiter.done():
            waiter.set_result(None)

    task.add_done_callback(wake)
    return waiter
