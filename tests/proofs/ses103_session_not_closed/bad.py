"""A report opens its session by hand and forgets it; the next one finds the pool empty."""

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
    __tablename__ = "ses103_items"
    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str]


pool = create_async_engine(os.environ["DATABASE_URL"], pool_size=1, max_overflow=0, pool_timeout=1)
maker = async_sessionmaker(pool, expire_on_commit=False)


async def report(keep: list[object]) -> int | None:
    db = maker()
    rows = await db.execute(select(func.count()).select_from(Item))
    keep.append(rows)  # whatever still refers to the rows keeps the session from the collector
    return rows.scalar()


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    error, keep = "", list[object]()
    try:
        for _ in range(2):
            await report(keep)
    except PoolTimeout as caught:
        error = f"{type(caught).__name__}: {caught}"
    await pool.dispose()
    await engine.dispose()
    print(json.dumps({"error": error}))


if __name__ == "__main__":
    asyncio.run(main())
