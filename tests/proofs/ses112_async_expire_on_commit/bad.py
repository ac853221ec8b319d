"""The factory expires objects on commit; reading one for the answer would need a query, and cannot await it."""

import asyncio
import json
import os

from sqlalchemy.exc import MissingGreenlet, StatementError
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "ses112_items"
    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str]


maker = async_sessionmaker(engine)


async def create(sku: str) -> str:
    async with maker() as db:
        item = Item(sku=sku)
        db.add(item)
        await db.commit()
        return item.sku


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    error = sku = ""
    try:
        sku = await create("lamp")
    except (MissingGreenlet, StatementError) as caught:
        error = str(caught)
    await engine.dispose()
    print(json.dumps({"error": error, "sku": sku}))


if __name__ == "__main__":
    asyncio.run(main())
