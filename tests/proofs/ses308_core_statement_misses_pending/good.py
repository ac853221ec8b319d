"""The session is flushed before the text statement."""

import asyncio
import json
import os

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "ses308_items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


async def count_with_new(db: AsyncSession) -> int:
    db.add(Item(name="n"))
    await db.flush()
    with db.no_autoflush:
        return (await db.execute(text("select count(*) from ses308_items"))).scalar_one()


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with open_session() as db:
        seen = await count_with_new(db)
    await engine.dispose()
    print(json.dumps({"seen": seen}))


if __name__ == "__main__":
    asyncio.run(main())
