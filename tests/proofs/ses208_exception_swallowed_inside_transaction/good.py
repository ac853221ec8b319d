"""The error passes through `maker.begin()` and is logged outside: the half that was done is rolled back."""

import asyncio
import json
import logging
import os

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)
log = logging.getLogger("stock")


class Base(DeclarativeBase):
    pass


class Shelf(Base):
    __tablename__ = "ses208_shelves"
    id: Mapped[str] = mapped_column(primary_key=True)
    pieces: Mapped[int]


class ShelfLocked(Exception):
    pass


async def change(db: AsyncSession, shelf: str, by: int) -> None:
    if shelf == "locked":
        raise ShelfLocked(shelf)
    await db.execute(update(Shelf).where(Shelf.id == shelf).values(pieces=Shelf.pieces + by))


async def move(source: str, target: str, pieces: int) -> None:
    try:
        async with open_session.begin() as db:
            await change(db, source, -pieces)
            await change(db, target, pieces)
    except ShelfLocked:
        log.warning("%s -> %s: not moved", source, target)


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    async with open_session.begin() as db:
        db.add_all([Shelf(id="front", pieces=10), Shelf(id="locked", pieces=0)])
    await move("front", "locked", 4)
    async with open_session() as db:
        pieces = await db.scalar(select(func.sum(Shelf.pieces)))
    await engine.dispose()
    print(json.dumps({"pieces": int(pieces)}))


if __name__ == "__main__":
    asyncio.run(main())
