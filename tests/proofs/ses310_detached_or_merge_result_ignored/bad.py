"""The original is changed after merge(); an object of a closed session is changed in the next one."""

import asyncio
import json
import os

from sqlalchemy import select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Product(Base):
    __tablename__ = "ses310_products"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


async def rename_merged(product_id: int, name: str) -> None:
    async with open_session() as db:
        product = await db.get_one(Product, product_id)
    async with open_session() as db:
        await db.merge(product)
        product.name = name  # SES310
        await db.commit()


async def rename_in_steps(product_id: int, name: str) -> None:
    async with open_session() as db:
        product = await db.get_one(Product, product_id)
    async with open_session() as db:
        product.name = name  # SES310
        await db.commit()


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with open_session.begin() as db:
        db.add_all([Product(id=1, name="old"), Product(id=2, name="old")])
    await rename_merged(1, "new")
    await rename_in_steps(2, "new")
    async with open_session() as db:
        names = list(await db.scalars(select(Product.name).order_by(Product.id)))
    await engine.dispose()
    print(json.dumps({"names": names}))


if __name__ == "__main__":
    asyncio.run(main())
