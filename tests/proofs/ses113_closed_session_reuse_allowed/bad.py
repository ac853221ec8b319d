"""A session is used after it was closed: it reopens by itself, and the row is lost."""

import asyncio
import json
import os

from sqlalchemy import func, select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "ses113_items"
    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str]


maker = async_sessionmaker(engine, expire_on_commit=False)


async def keep_using() -> None:
    db = maker()
    try:
        await db.execute(select(Item))
    finally:
        await db.close()
    db.add(Item(sku="late"))  # the session begins again, and nobody will commit or close it
    await db.flush()


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    error = ""
    try:
        await keep_using()
    except InvalidRequestError as caught:
        error = str(caught)
    async with open_session() as check:
        rows = await check.scalar(select(func.count()).select_from(Item))
    await engine.dispose()
    print(json.dumps({"error": error, "rows": rows}))


if __name__ == "__main__":
    asyncio.run(main())
