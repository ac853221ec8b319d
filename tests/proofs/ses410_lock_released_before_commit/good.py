"""Five tasks add one and commit under the lock."""

import asyncio
import json
import os

from sqlalchemy import select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)
lock = asyncio.Lock()


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "ses410_good_items"
    id: Mapped[int] = mapped_column(primary_key=True)
    quantity: Mapped[int]


async def count(key: int) -> None:
    async with open_session() as db, lock:
        item = await db.get_one(Item, key)
        item.quantity += 1
        await db.commit()


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    async with open_session.begin() as db:
        db.add(Item(id=1, quantity=0))

    await asyncio.gather(*[count(1) for _ in range(5)])

    async with open_session() as db:
        quantity = await db.scalar(select(Item.quantity))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()
    print(json.dumps({"lost": quantity != 5, "quantity": quantity}))


if __name__ == "__main__":
    asyncio.run(main())
