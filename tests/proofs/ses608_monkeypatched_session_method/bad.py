"""Commits are counted by replacing `commit`: one that a `begin()` block makes is not seen."""

import asyncio
import json
import os

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "ses608_bad_users"
    id: Mapped[int] = mapped_column(primary_key=True)
    mail: Mapped[str]


counted: list[str] = []


def track(session: AsyncSession) -> None:
    original = session.commit

    async def tracked() -> None:
        counted.append("commit")
        await original()

    session.commit = tracked  # type: ignore[method-assign]  # SES608


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)

    real: list[str] = []
    event.listen(engine.sync_engine, "commit", lambda connection: real.append("commit"))
    async with open_session() as db:
        track(db)
        db.add(User(mail="ada@example.org"))
        await db.commit()
        async with db.begin():
            db.add(User(mail="grace@example.org"))
    seen, happened = len(counted), len(real)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()
    print(json.dumps({"counted": seen, "commits": happened}))


if __name__ == "__main__":
    asyncio.run(main())
