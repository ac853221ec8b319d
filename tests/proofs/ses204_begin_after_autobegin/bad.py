"""A query opens the transaction; the block below it wants to begin another one."""

import asyncio
import json
import os

from sqlalchemy import func, select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "ses204_items"
    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str]


async def add_missing(db: AsyncSession) -> None:
    known = await db.scalar(select(Item).where(Item.sku == "a"))
    async with db.begin():
        if known is None:
            db.add(Item(sku="a"))


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    error = ""
    async with open_session() as db:
        try:
            await add_missing(db)
        except InvalidRequestError as caught:
            error = f"{type(caught).__name__}: {caught}"
    async with open_session() as db:
        rows = await db.scalar(select(func.count()).select_from(Item))
    await engine.dispose()
    print(json.dumps({"error": error, "rows": rows}))


if __name__ == "__main__":
    asyncio.run(main())
