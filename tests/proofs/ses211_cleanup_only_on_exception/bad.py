"""A job closes its session at the end and in its handler; a cancellation passes both."""

import asyncio
import json
import os

from sqlalchemy import func, select
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "ses211_items"
    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str]


pool = create_async_engine(os.environ["DATABASE_URL"], pool_size=1, max_overflow=0, pool_timeout=1)
maker = async_sessionmaker(pool, expire_on_commit=False)


async def job() -> None:
    db = maker()
    try:
        await db.execute(select(func.count()).select_from(Item))
        await asyncio.sleep(30)
        await db.commit()
        await db.close()
    except Exception:
        await db.rollback()
        await db.close()
        raise


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    kept = []
    maker.configure(info={"kept": kept.append})
    task = asyncio.create_task(job())
    await asyncio.sleep(0.3)
    task.cancel()
    (cancelled,) = await asyncio.gather(task, return_exceptions=True)  # its traceback refers to the session
    held, error = pool.pool.checkedout(), ""
    try:
        async with maker() as db:
            await db.execute(select(func.count()).select_from(Item))
    except PoolTimeout as caught:
        error = f"{type(caught).__name__}: {caught}"
    del cancelled
    await pool.dispose()
    await engine.dispose()
    print(json.dumps({"held": held, "error": error}))


if __name__ == "__main__":
    asyncio.run(main())
