"""Each request reads a row and asks a slow service before it commits: two of them take the whole pool with them."""

import asyncio
import json
import os

from sqlalchemy import select, text
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"], pool_size=2, max_overflow=0, pool_timeout=0.5)
watcher = create_async_engine(os.environ["DATABASE_URL"], isolation_level="AUTOCOMMIT")
open_session = async_sessionmaker(engine, expire_on_commit=False)

IDLE = "select count(*) from pg_stat_activity where state = 'idle in transaction' and datname = current_database()"


class Base(DeclarativeBase):
    pass


class Chat(Base):
    __tablename__ = "ses503_bad_chats"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]


async def ask_model() -> str:
    await asyncio.sleep(1.5)  # stands for the network
    return "a better title"


async def rename() -> None:
    async with open_session() as db:
        chat = (await db.scalars(select(Chat))).one()
        chat.title = await ask_model()  # SES503
        await db.commit()


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    async with open_session.begin() as db:
        db.add(Chat(title="first"))

    requests = [asyncio.create_task(rename()) for _ in range(2)]
    await asyncio.sleep(0.3)
    async with watcher.connect() as connection:
        idle = await connection.scalar(text(IDLE))
    error = "none"
    try:
        async with open_session() as db:
            await db.scalar(text("select 1"))
    except PoolTimeout as failure:
        error = str(failure)
    await asyncio.gather(*requests)

    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()
    await watcher.dispose()
    print(json.dumps({"idle_in_transaction": idle, "health_check": error}))


if __name__ == "__main__":
    asyncio.run(main())
