"""The inner part runs in a savepoint of the one open unit."""

import asyncio
import json
import os

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "ses610_good_users"
    id: Mapped[int] = mapped_column(primary_key=True)
    mail: Mapped[str]


class Unit:
    async def __aenter__(self) -> "Unit":
        self.session: AsyncSession = open_session()
        return self

    async def __aexit__(self, exc_type, exc, traceback) -> None:
        try:
            if exc_type is None:
                await self.session.commit()
        finally:
            await self.session.close()


async def register(first: str, second: str) -> None:
    unit = Unit()
    async with unit:
        unit.session.add(User(mail=first))
        async with unit.session.begin_nested():
            unit.session.add(User(mail=second))


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)

    await register("ada@example.org", "grace@example.org")

    async with open_session() as db:
        mails = list(await db.scalars(select(User.mail).order_by(User.mail)))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()
    print(json.dumps({"mails": mails}))


if __name__ == "__main__":
    asyncio.run(main())
