"""An import skips duplicates; after the first one the session refuses everything, and the handler has hidden why."""

import asyncio
import json
import os

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError, PendingRollbackError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "ses207_items"
    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(unique=True)


async def load(db: AsyncSession, skus: list[str]) -> None:
    for sku in skus:
        try:
            db.add(Item(sku=sku))
            await db.flush()
        except IntegrityError:
            pass  # a duplicate; but the session needs a rollback now
    await db.commit()


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    error = ""
    try:
        async with open_session() as db:
            await load(db, ["a", "a", "b", "c"])
    except PendingRollbackError as caught:
        error = f"{type(caught).__name__}: {caught}"
    async with open_session() as db:
        rows = await db.scalar(select(func.count()).select_from(Item))
    await engine.dispose()
    print(json.dumps({"error": error, "rows": rows}))


if __name__ == "__main__":
    asyncio.run(main())
