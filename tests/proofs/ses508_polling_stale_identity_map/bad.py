"""A progress loop reads the job through one session: it sees the first value for ever."""

import asyncio
import json
import os

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Job(Base):
    __tablename__ = "ses508_bad_jobs"
    id: Mapped[int] = mapped_column(primary_key=True)
    progress: Mapped[int]


async def watch(turns: int) -> list[int]:
    seen = []
    async with open_session() as db:
        while len(seen) < turns:
            job = (await db.scalars(select(Job))).one()  # SES508
            seen.append(job.progress)
            await asyncio.sleep(0.1)
    return seen


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    async with open_session.begin() as db:
        db.add(Job(progress=0))

    watching = asyncio.create_task(watch(4))
    await asyncio.sleep(0.15)
    async with open_session.begin() as db:
        await db.execute(update(Job).values(progress=100))
    seen = await watching

    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()
    print(json.dumps({"last_seen": seen[-1]}))


if __name__ == "__main__":
    asyncio.run(main())
