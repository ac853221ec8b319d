"""An `await` on `add()`: it raises after the object has entered the session, and the caller carries on."""

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
    __tablename__ = "ses319_bad_orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]


async def save(db: AsyncSession, order: Order) -> None:
    await db.add(order)  # SES319


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)

    error = "none"
    async with open_session() as db:
        try:
            await save(db, Order(state="new"))
        except TypeError as failure:
            error = f"TypeError: {failure}"
        await db.commit()

    async with open_session() as db:
        rows = await db.scalar(select(func.count()).select_from(Order))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()
    print(json.dumps({"error": error, "rows": rows}))


if __name__ == "__main__":
    asyncio.run(main())
