"""A script takes its session with `anext(get_db())`: the generator is dropped, so nobody commits and nobody closes."""

import asyncio
import gc
import json
import os
from collections.abc import AsyncIterator

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"], pool_size=2, max_overflow=0, pool_timeout=1)
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Reading(Base):
    __tablename__ = "ses106_readings"
    id: Mapped[int] = mapped_column(primary_key=True)
    sensor: Mapped[str]
    value: Mapped[int]


async def get_db() -> AsyncIterator[AsyncSession]:
    async with open_session() as db:
        yield db
        await db.commit()


async def calibrate(value: int) -> int:
    await asyncio.sleep(0.01)
    return value + 2


async def store(sensor: str) -> None:
    db = await anext(get_db())  # the generator has no owner: it is closed behind our back
    db.add(Reading(sensor=sensor, value=await calibrate(20)))
    await db.flush()  # the closed session has silently taken another connection


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    gc.disable()  # the outcome shall not depend on the moment when lost sessions are collected
    error = None
    try:
        for sensor in ("roof", "cellar", "door"):
            await store(sensor)
    except SQLAlchemyError as failure:
        error = str(failure)
    await engine.dispose()
    async with open_session() as db:
        rows = await db.scalar(select(func.count()).select_from(Reading))
    await engine.dispose()
    print(json.dumps({"error": error, "rows": rows}))


if __name__ == "__main__":
    asyncio.run(main())
