"""Each request closes its scoped session, which stays in the registry under the finished task."""

import asyncio
import json
import os

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "ses110_items"
    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str]


registry = async_scoped_session(open_session, scopefunc=asyncio.current_task)


async def request() -> None:
    try:
        await registry.execute(select(func.count()).select_from(Item))
    finally:
        await registry.close()


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    for _ in range(20):
        await asyncio.create_task(request())
    kept = len(registry.registry.registry)
    await engine.dispose()
    print(json.dumps({"kept": kept}))


if __name__ == "__main__":
    asyncio.run(main())
