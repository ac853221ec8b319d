"""Two requests, each with a session of its own."""

import asyncio
import json
import os

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "ses104_items"
    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str]


async def cancelled_order() -> None:
    async with open_session() as db:
        db.add(Item(sku="a"))
        await db.flush()
        await asyncio.sleep(0.2)
        await db.rollback()


async def order() -> None:
    await asyncio.sleep(0.1)
    async with open_session() as db:
        db.add(Item(sku="b"))
        await asyncio.sleep(0.2)
        await db.commit()


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    first, second = await asyncio.gather(cancelled_order(), order(), return_exceptions=True)
    async with open_session() as check:
        rows = await check.scalar(select(func.count()).select_from(Item))
    errors = [repr(outcome) for outcome in (first, second) if outcome is not None]
    await engine.dispose()
    print(json.dumps({"errors": errors, "rows": rows}))


if __name__ == "__main__":
    asyncio.run(main())
