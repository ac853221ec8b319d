"""The exit commits no matter what and returns True: half of the order is saved, and nobody hears of the exception."""

import asyncio
import json
import os

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Line(Base):
    __tablename__ = "ses603_bad_lines"
    id: Mapped[int] = mapped_column(primary_key=True)
    product: Mapped[str]


class Unit:
    async def __aenter__(self) -> "Unit":
        self.session: AsyncSession = open_session()
        return self

    async def __aexit__(self, exc_type, exc, traceback):
        try:
            await self.session.commit()  # SES603
        finally:
            await self.session.close()
        return True  # SES603


async def order() -> None:
    async with Unit() as unit:
        unit.session.add(Line(product="bicycle"))
        raise RuntimeError("no helmet in stock")


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)

    error = "none"
    try:
        await order()
    except RuntimeError as failure:
        error = str(failure)

    async with open_session() as db:
        products = list(await db.scalars(select(Line.product)))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()
    print(json.dumps({"error": error, "products": products}))


if __name__ == "__main__":
    asyncio.run(main())
