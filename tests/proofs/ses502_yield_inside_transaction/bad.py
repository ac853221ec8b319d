"""The generator hands out lines inside the session block: the reading speed of a client decides how long it lasts."""

import asyncio
import json
import os
from collections.abc import AsyncIterator

from sqlalchemy import func, select
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"], pool_size=2, max_overflow=0, pool_timeout=0.5)
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Reading(Base):
    __tablename__ = "ses502_bad_readings"
    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[int]


async def export() -> AsyncIterator[str]:
    async with open_session() as db:
        for reading in await db.scalars(select(Reading).order_by(Reading.id)):
            yield f"{reading.id};{reading.value}\n"  # SES502


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    async with open_session.begin() as db:
        db.add_all([Reading(value=value) for value in range(3)])

    slow_clients = [export(), export()]
    for client in slow_clients:
        await anext(client)  # the first line is read, then the client takes its time

    error = "none"
    try:
        async with open_session() as db:
            await db.scalar(select(func.count()).select_from(Reading))
    except PoolTimeout as failure:
        error = str(failure)
    held = engine.pool.checkedout()

    for client in slow_clients:
        await client.aclose()
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()
    print(json.dumps({"third_request": error, "connections_held": held}))


if __name__ == "__main__":
    asyncio.run(main())
