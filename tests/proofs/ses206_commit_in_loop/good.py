"""A stock-taking sets six quantities in one transaction: the fourth is wrong, and nothing is changed."""

import asyncio
import json
import os

from sqlalchemy import event, func, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "ses206_items"
    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str]
    quantity: Mapped[int] = mapped_column(default=1)


COUNTED = {"a": 5, "b": 6, "c": 7, "d": -1, "e": 8, "f": 9}


async def take_stock(counted: dict[str, int]) -> None:
    async with open_session() as db:
        for item in (await db.scalars(select(Item).order_by(Item.sku))).all():
            if counted[item.sku] < 0:
                raise ValueError(f"{item.sku}: wrong quantity")
            item.quantity = counted[item.sku]
        await db.commit()


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    async with open_session.begin() as db:
        db.add_all([Item(sku=sku) for sku in COUNTED])
    commits, error = 0, ""

    @event.listens_for(engine.sync_engine, "commit")
    def count_commit(connection: object) -> None:
        nonlocal commits
        commits += 1

    try:
        await take_stock(COUNTED)
    except ValueError as caught:
        error = str(caught)
    async with open_session() as db:
        changed = await db.scalar(select(func.count()).select_from(Item).where(Item.quantity != 1))
    await engine.dispose()
    print(json.dumps({"error": error, "changed": changed, "commits": commits}))


if __name__ == "__main__":
    asyncio.run(main())
