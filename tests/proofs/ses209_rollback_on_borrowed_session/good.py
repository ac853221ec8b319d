"""A helper tries the insert inside a savepoint: a duplicate undoes the tag and nothing else."""

import asyncio
import json
import os

from sqlalchemy import String, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "ses209_orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    article: Mapped[str]


class Tag(Base):
    __tablename__ = "ses209_tags"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40), unique=True)


async def ensure_tag(db: AsyncSession, name: str) -> None:
    try:
        async with db.begin_nested():
            db.add(Tag(name=name))
    except IntegrityError:
        pass  # somebody has made the tag before; the savepoint is undone, the order is not


async def take_order(article: str, tag: str) -> str:
    async with open_session() as db:
        db.add(Order(article=article))
        await db.flush()
        await ensure_tag(db, tag)
        await db.commit()
    return "accepted"


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    async with open_session.begin() as db:
        db.add(Tag(name="gift"))
    answer = await take_order("lamp", "gift")
    async with open_session() as db:
        orders = await db.scalar(select(func.count()).select_from(Order))
    await engine.dispose()
    print(json.dumps({"answer": answer, "orders": orders}))


if __name__ == "__main__":
    asyncio.run(main())
