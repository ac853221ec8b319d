"""A factory opens a session, hands out a service that writes through it, and closes the session without a commit."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Upload(Base):
    __tablename__ = "ses321_bad_uploads"
    id: Mapped[int] = mapped_column(primary_key=True)
    age_days: Mapped[int]


class UploadCleaner:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def purge(self, older_than_days: int) -> int:
        result = await self._db.execute(delete(Upload).where(Upload.age_days > older_than_days))
        return result.rowcount


@asynccontextmanager
async def create_cleaner() -> AsyncIterator[UploadCleaner]:
    async with open_session() as db:
        yield UploadCleaner(db)  # SES321


async def nightly_cleanup() -> int:
    async with create_cleaner() as cleaner:
        return await cleaner.purge(30)


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    async with open_session.begin() as db:
        db.add_all([Upload(age_days=3), Upload(age_days=90)])

    purged = await nightly_cleanup()

    async with open_session() as db:
        left = await db.scalar(select(func.count()).select_from(Upload))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()
    print(json.dumps({"purged": purged, "left": left}))


if __name__ == "__main__":
    asyncio.run(main())
