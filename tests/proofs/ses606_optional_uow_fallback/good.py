"""The unit of work is required; there is one transaction and one commit."""

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


class User(Base):
    __tablename__ = "ses606_good_users"
    id: Mapped[int] = mapped_column(primary_key=True)
    mail: Mapped[str]


class Unit:
    commits = 0

    async def __aenter__(self) -> "Unit":
        self.session: AsyncSession = open_session()
        return self

    async def __aexit__(self, exc_type, exc, traceback) -> None:
        try:
            if exc_type is not None:
                await self.session.rollback()
        finally:
            await self.session.close()

    async def commit(self) -> None:
        await self.session.commit()
        Unit.commits += 1


class Users:
    def __init__(self, db: AsyncSession, audit: AsyncSession) -> None:
        self._db = db
        self._audit = audit

    async def register(self, mail: str, unit: Unit) -> None:
        unit.session.add(User(mail=mail))
        await unit.commit()


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)

    async with open_session() as db, open_session() as audit:
        async with Unit() as unit:
            await Users(db, audit).register("ada@example.org", unit)

    async with open_session() as db:
        users = await db.scalar(select(func.count()).select_from(User))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()
    print(json.dumps({"users": users}))


if __name__ == "__main__":
    asyncio.run(main())
