"""A mailing is marked before and after the delivery; only the first mark is committed."""

import asyncio
import json
import os

from sqlalchemy import select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Mailing(Base):
    __tablename__ = "ses304_bad_mailings"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(default="new")


async def deliver(mailing_id: int) -> None:
    """Stands for the slow part, which no transaction should wait for."""
    await asyncio.sleep(0.01)


async def send(mailing_id: int) -> str:
    async with open_session() as db:
        mailing = await db.get_one(Mailing, mailing_id)
        mailing.state = "sending"
        await db.commit()
        await deliver(mailing_id)
        mailing.state = "sent"  # SES304
        return mailing.state


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    async with open_session.begin() as db:
        db.add(Mailing(id=1))

    in_memory = await send(1)

    async with open_session() as db:
        in_table = await db.scalar(select(Mailing.state).where(Mailing.id == 1))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()
    print(json.dumps({"in_memory": in_memory, "in_table": in_table}))


if __name__ == "__main__":
    asyncio.run(main())
