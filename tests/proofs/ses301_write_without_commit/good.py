"""The same order, written inside `begin()`: the block commits on the way out."""

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


class Order(Base):
    __tablename__ = "ses301_good_orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    article: Mapped[str]


async def place_order(article: str) -> str:
    async with open_session.begin() as db:
        order = Order(article=article)
        db.add(order)
        await db.flush()
        return f"order {order.id} placed"


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)

    answer = await place_order("lamp")

    async with open_session() as db:
        rows = await db.scalar(select(func.count()).select_from(Order))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()
    print(json.dumps({"answer": answer, "rows": rows}))


if __name__ == "__main__":
    asyncio.run(main())
