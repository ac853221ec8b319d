"""Liveness and readiness, told apart: a dead database is no reason to restart the process."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, dataclass
from typing import Literal

import anyio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReadinessReport:
    """``database`` says no more than what may be shown to anyone; the log has the error."""

    ready: bool
    database: Literal["ok", "timeout", "error", "not asked"]
    milliseconds: float
    draining: bool
    pool_in_use: int
    pool_limit: int | None


class Readiness:
    """Asks the database by a connection of its own (`database.create_probe_engine`), within ``timeout`` seconds.

    An exhausted pool does not fail the check by default: taking a busy process out of rotation pushes its load onto
    the others. ``saturation_limit`` (a share of the pool, such as 1.0) makes it fail.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        probe_engine: AsyncEngine,
        *,
        timeout: float = 1.0,
        saturation_limit: float | None = None,
    ) -> None:
        self._engine = engine
        self._probe_engine = probe_engine
        self._timeout = timeout
        self._saturation_limit = saturation_limit
        self.draining = False

    def start_draining(self) -> None:
        """From now on not ready, so that the load balancer sends nothing new; what runs goes on."""
        self.draining = True

    async def check(self) -> ReadinessReport:
        started = time.perf_counter()
        database: Literal["ok", "timeout", "error", "not asked"] = "not asked"
        if not self.draining:
            database = await self._ask()
        in_use, limit = self._pool()
        saturated = (
            self._saturation_limit is not None and limit is not None and in_use >= limit * self._saturation_limit
        )
        return ReadinessReport(
            ready=database == "ok" and not saturated,
            database=database,
            milliseconds=round((time.perf_counter() - started) * 1000, 1),
            draining=self.draining,
            pool_in_use=in_use,
            pool_limit=limit,
        )

    async def _ask(self) -> Literal["ok", "timeout", "error"]:
        try:
            with anyio.move_on_after(self._timeout):
                async with self._probe_engine.connect() as connection:
                    await connection.execute(text("SELECT 1"))
                return "ok"
            return "timeout"
        except Exception:
            logger.warning("Readiness: the database can't be reached", exc_info=True)
            return "error"

    def _pool(self) -> tuple[int, int | None]:
        pool = self._engine.sync_engine.pool
        if not isinstance(pool, QueuePool):
            return 0, None
        return pool.checkedout(), pool.size() + pool._max_overflow if pool._max_overflow >= 0 else None


def health_routes(readiness: Readiness, prefix: str = "/health") -> list[Route]:
    """``GET /health/live`` (never asks the database) and ``GET /health/ready`` (503 when not ready)."""

    async def live(_request: Request) -> JSONResponse:
        return JSONResponse({"alive": True})

    async def ready(_request: Request) -> JSONResponse:
        report = await readiness.check()
        return JSONResponse(asdict(report), status_code=200 if report.ready else 503)

    return [Route(f"{prefix}/live", live), Route(f"{prefix}/ready", ready)]
