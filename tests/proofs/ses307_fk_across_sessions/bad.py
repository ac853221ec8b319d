"""The parent is flushed in one session, the child committed in another."""

import asyncio
import json
import os

from sqlalchemy import ForeignKey, event, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Parent(Base):
    __tablename__ = "ses307_parents"
    id: Mapped[str] = mapped_column(primary_key=True)


class Child(Base):
    __tablename__ = "ses307_children"
    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[str] = mapped_column(ForeignKey("ses307_parents.id"))
    parent: Mapped[Parent] = relationship()


@event.listens_for(engine.sync_engine, "connect")
def be_impatient(connection, record):
    if engine.dialect.name == "sqlite":
        connection.execute("PRAGMA busy_timeout = 200")


async def create(key: str) -> None:
    async with open_session() as first, open_session() as second:
        first.add(Parent(id=key))
        await first.flush()
        second.add(Child(parent_id=key))  # SES307
        await second.commit()
        await first.commit()


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    error = ""
    try:
        await create("p")
    except DBAPIError as caught:
        error = str(caught.orig)
    async with open_session() as db:
        children = await db.scalar(select(func.count()).select_from(Child))
    await engine.dispose()
    print(json.dumps({"error": error, "children": children}))


if __name__ == "__main__":
    asyncio.run(main())
