"""A service that has a session opens another one for the journal: the foreign key does not find the order."""

import asyncio
import json
import os

from sqlalchemy import ForeignKey, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "ses102_orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    article: Mapped[str]


class JournalEntry(Base):
    __tablename__ = "ses102_journal"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("ses102_orders.id"))


class OrderService:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def place(self, article: str) -> None:
        order = Order(article=article)
        self._db.add(order)
        await self._db.flush()
        await self._journal(order.id)

    async def _journal(self, order_id: int) -> None:
        async with open_session() as own:  # another connection: the order is not there yet
            own.add(JournalEntry(order_id=order_id))
            await own.commit()


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    error = None
    async with open_session() as db:
        try:
            await OrderService(db).place("lamp")
            await db.commit()
        except DBAPIError as failure:
            await db.rollback()
            error = str(failure.orig)
    async with open_session() as db:
        entries = await db.scalar(select(func.count()).select_from(JournalEntry))
    await engine.dispose()
    print(json.dumps({"error": error, "entries": entries}))


if __name__ == "__main__":
    asyncio.run(main())
