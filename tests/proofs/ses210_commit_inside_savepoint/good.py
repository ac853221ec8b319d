"""An order gives up after a savepoint; the block has released the savepoint and nothing is saved."""

import asyncio
import json
import os

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "ses210_items"
    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str]


async def add_line(db: AsyncSession) -> None:
    async with db.begin_nested():
        db.add(Item(sku="line"))


async def order(db: AsyncSession) -> None:
    db.add(Item(sku="header"))
    await db.flush()
    await add_line(db)
    raise ValueError("out of stock")


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    try:
        async with open_session() as db:
            await order(db)
            await db.commit()
    except ValueError:
        pass  # the session was closed without a commit: nothing should be saved
    async with open_session() as db:
        rows = await db.scalar(select(func.count()).select_from(Item))
    await engine.dispose()
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    asyncio.run(main())
