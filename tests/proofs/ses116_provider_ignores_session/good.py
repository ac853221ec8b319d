"""A provider builds its repository on the session it is given: the caller's commit saves the rows."""

import asyncio
import json
import os

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Label(Base):
    __tablename__ = "ses116_labels"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class LabelRepository:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def add(self, name: str) -> None:
        self._db.add(Label(name=name))
        await self._db.flush()


def provide_labels(db: AsyncSession) -> LabelRepository:
    return LabelRepository(db)


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    async with open_session() as db:
        labels = provide_labels(db)
        await labels.add("fragile")
        await db.commit()
    in_use = engine.pool.checkedout()
    async with open_session() as db:
        rows = await db.scalar(select(func.count()).select_from(Label))
    await engine.dispose()
    print(json.dumps({"rows": rows, "connections_in_use": in_use}))


if __name__ == "__main__":
    asyncio.run(main())
