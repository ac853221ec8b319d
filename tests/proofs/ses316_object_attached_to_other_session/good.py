"""The other session gets a copy."""

import asyncio
import json
import os

from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Product(Base):
    __tablename__ = "ses316_products"
    id: Mapped[int] = mapped_column(primary_key=True)


async def move(product_id: int) -> None:
    async with open_session() as first, open_session() as second:
        product = await first.get_one(Product, product_id)
        await second.merge(product)
        await second.commit()


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with open_session.begin() as db:
        db.add(Product(id=1))
    error = ""
    try:
        await move(1)
    except InvalidRequestError as caught:
        error = str(caught)
    await engine.dispose()
    print(json.dumps({"error": error}))


if __name__ == "__main__":
    asyncio.run(main())
