"""A factory returns the session from inside its `async with`: closed on arrival, it reopens and is never closed."""

import asyncio
import json
import os

from sqlalchemy import func, select
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"], pool_size=2, max_overflow=0, pool_timeout=1)
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class City(Base):
    __tablename__ = "ses109_cities"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


async def get_session() -> AsyncSession:
    async with open_session() as db:
        return db  # closed by the time the caller has it


class CityCatalogue:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def size(self) -> int:
        return await self._db.scalar(select(func.count()).select_from(City)) or 0


async def answer(catalogues: list[CityCatalogue]) -> int:
    catalogue = CityCatalogue(await get_session())
    catalogues.append(catalogue)
    return await catalogue.size()


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    catalogues: list[CityCatalogue] = []
    answered = 0
    error = None
    try:
        for _ in range(3):
            await answer(catalogues)
            answered += 1
    except PoolTimeout as timeout:
        error = str(timeout)
    in_use = engine.pool.checkedout()
    await engine.dispose()
    print(json.dumps({"answered": answered, "connections_in_use": in_use, "error": error}))


if __name__ == "__main__":
    asyncio.run(main())
