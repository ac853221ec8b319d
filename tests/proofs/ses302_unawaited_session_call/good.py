"""Both coroutines are awaited."""

import asyncio
import gc
import json
import os
import warnings

from sqlalchemy import select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "ses302_good_orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]


async def place(state: str) -> None:
    async with open_session() as db:
        db.add(Order(state=state))
        await db.commit()


async def remove(order_id: int) -> None:
    async with open_session.begin() as db:
        order = await db.get(Order, order_id)
        if order is not None:
            await db.delete(order)


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    async with open_session.begin() as db:
        db.add(Order(id=100, state="old"))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        await place("new")
        await remove(100)
        gc.collect()

    async with open_session() as db:
        states = list(await db.scalars(select(Order.state).order_by(Order.state)))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()
    forgotten = sorted(str(w.message) for w in caught if "never awaited" in str(w.message))
    print(json.dumps({"states": states, "warnings": "; ".join(forgotten)}))


if __name__ == "__main__":
    asyncio.run(main())
