"""The loop reads in batches by key, one short transaction each."""

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
    __tablename__ = "ses507_good_items"
    id: Mapped[int] = mapped_column(primary_key=True)
    done: Mapped[bool] = mapped_column(default=False)


async def mark_all() -> None:
    last = 0
    while True:
        async with open_session.begin() as db:
            items = (await db.scalars(select(Item).where(Item.id > last).order_by(Item.id).limit(100))).all()
            for item in items:
                item.done = True
        if not items:
            break
        last = items[-1].id


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    async with open_session.begin() as db:
        db.add_all([Item() for _ in range(300)])

    error = "none"
    try:
        await mark_all()
    except Exception as failure:
        error = str(failure)

    async with open_session() as db:
        marked = await db.scalar(select(func.count()).where(Item.done))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()
    print(json.dumps({"error": error, "marked_all": marked == 300}))


if __name__ == "__main__":
    asyncio.run(main())
