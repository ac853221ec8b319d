"""Without a unit of work the service commits its own session, which is not the one that was written to."""

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
    __tablename__ = "ses606_bad_users"
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

    async def register(self, mail: str, unit: Unit | None = None) -> None:
        (unit.session if unit else self._db).add(User(mail=mail))
        if unit:
            await unit.commit()
        else:
            await self._audit.commit()  # SES606


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)

    async with open_session() as db, open_session() as audit:
        await Users(db, audit).register("ada@example.org")

    async with open_session() as db:
        users = await db.scalar(select(func.count()).select_from(User))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()
    print(json.dumps({"users": users}))


if __name__ == "__main__":
    asyncio.run(main())
