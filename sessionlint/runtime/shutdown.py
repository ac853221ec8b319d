"""Ends a process without cutting transactions: drain, then cancel what will not end, then give connections back."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from .health import Readiness
from .open_units import OPEN_UNITS, OpenUnits

logger = logging.getLogger(__name__)

_POLL = 0.02  # seconds


@dataclass(frozen=True)
class ShutdownReport:
    """Units of work open at the start, how many of them had to be cancelled, and how many did not even end then."""

    open_at_start: int
    cancelled: int
    abandoned: int
    seconds: float


async def shut_down(
    engines: Sequence[AsyncEngine],
    *,
    readiness: Readiness | None = None,
    grace: float = 20.0,
    cancel_grace: float = 5.0,
    units: OpenUnits = OPEN_UNITS,
) -> ShutdownReport:
    """Call at the end of the application's lifespan. ``grace`` plus ``cancel_grace`` seconds at most, then dispose.

    During ``grace`` running requests and background tasks may still open units of work, since a stream has its answer
    to save. After it no new ones are taken, and the tasks that hold one are cancelled; their rollback is shielded.
    """
    started = time.monotonic()
    open_at_start = len(units)
    if readiness is not None:
        readiness.start_draining()
    await _until_idle(units, grace)
    units.close()
    # A request that opened its unit in this very task would cancel the shutdown itself.
    tasks = units.tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel("shutdown")
    if tasks:
        logger.warning("Shutdown: %d task(s) still held a unit of work and were cancelled", len(tasks))
        await _until_idle(units, cancel_grace)
    abandoned = len(units)
    if abandoned:
        logger.error("Shutdown: %d unit(s) of work did not end; the server will roll them back", abandoned)
    for engine in engines:
        await engine.dispose()
    return ShutdownReport(open_at_start, len(tasks), abandoned, time.monotonic() - started)


async def _until_idle(units: OpenUnits, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while len(units) and time.monotonic() < deadline:
        await asyncio.sleep(_POLL)
