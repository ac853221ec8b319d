"""The database adds."""

import asyncio
import json
import os

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "ses408_items"
    id: Mapped[int] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(default=0)


async def increase(item_id: int) -> None:
    async with open_session() as db:
        await db.execute(update(Item).where(Item.id == item_id).values(count=Item.count + 1))
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
