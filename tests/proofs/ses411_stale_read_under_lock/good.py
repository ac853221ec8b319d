"""The read inside the lock asks for the values of now."""

import asyncio
import json
import os

from sqlalchemy import select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "ses411_items"
    id: Mapped[int] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(default=0)


lock = asyncio.Lock()


async def increase(item_id: int) -> None:
    query = select(Item).where(Item.id == item_id)
    async with open_session() as db:
        item = (await db.scalars(query)).one()
        await db.commit()
        await asyncio.sleep(0.05)
        async with lock:
            item = (await db.scalars(query.execution_options(populate_existing=True))).one()
            item.count += 1
            await db.commit()


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with open_session.begin() as db:
        db.add(Item(id=1))
    await asyncio.gather(*(increase(1) for _ in range(5)))
    async with open_session() as db:
        count = await db.scalar(select(Item.count))
    await engine.dispose()
    print(json.dumps({"count": count, "lost": count < 5}))


if __name__ == "__main__":
    asyncio.run(main())
