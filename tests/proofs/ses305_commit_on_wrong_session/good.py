"""The service is built on the session that is committed."""

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
    __tablename__ = "ses305_good_orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]


class OrderService:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def create(self, state: str) -> None:
        self._db.add(Order(state=state))
        await self._db.flush()


async def place(db: AsyncSession, state: str) -> None:
    if not await db.scalar(select(func.count()).select_from(Order)):
        await db.rollback()
        async with open_session() as fresh:
            await OrderService(fresh).create(state)
            await fresh.commit()


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)

    async with open_session() as request_session:
        await place(request_session, "new")

    async with open_session() as db:
        rows = await db.scalar(select(func.count()).select_from(Order))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    asyncio.run(main())
