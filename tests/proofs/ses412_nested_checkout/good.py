"""The first connection is given back before the second is asked for."""

import asyncio
import json
import os

from sqlalchemy import select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"], pool_size=3, max_overflow=0, pool_timeout=1)
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Event(Base):
    __tablename__ = "ses412_good_events"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]


async def log_event(kind: str) -> None:
    async with open_session.begin() as db:
        db.add(Event(kind=kind))


async def request() -> None:
    async with open_session() as db:
        await db.scalars(select(Event.kind))
        await asyncio.sleep(0.05)
        await db.commit()
        await log_event("request")


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)

    outcomes = await asyncio.gather(*[request() for _ in range(3)], return_exceptions=True)
    failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    error = f"{type(failures[0]).__name__}: {failures[0]}" if failures else "none"

    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()
    print(json.dumps({"failed": bool(failures), "error": error}))


if __name__ == "__main__":
    asyncio.run(main())
