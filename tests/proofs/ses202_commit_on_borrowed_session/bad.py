"""An order helper commits the session it was handed: the order stays although the caller gives up."""

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


class Order(Base):
    __tablename__ = "ses202_orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    article: Mapped[str]


class PaymentRefused(Exception):
    pass


async def place_order(db: AsyncSession, article: str) -> Order:
    order = Order(article=article)
    db.add(order)
    await db.commit()  # not this function's transaction
    return order


async def charge(order: Order) -> None:
    raise PaymentRefused(order.article)


async def buy(article: str) -> str:
    async with open_session() as db:
        try:
            order = await place_order(db, article)
            await charge(order)
            await db.commit()
        except PaymentRefused:
            await db.rollback()
            return "refused"
    return "bought"


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    answer = await buy("lamp")
    async with open_session() as db:
        orders = await db.scalar(select(func.count()).select_from(Order))
    await engine.dispose()
    print(json.dumps({"answer": answer, "orders": orders}))


if __name__ == "__main__":
    asyncio.run(main())
