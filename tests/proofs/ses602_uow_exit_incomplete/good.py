"""The close stands in a `finally`: a failing commit costs no connection."""

import asyncio
import json
import os

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"], pool_size=1, max_overflow=0, pool_timeout=0.5)
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "ses602_good_users"
    id: Mapped[int] = mapped_column(primary_key=True)
    mail: Mapped[str] = mapped_column(unique=True)


class Unit:
    async def __aenter__(self) -> "Unit":
        self.session: AsyncSession = open_session()
        return self

    async def __aexit__(self, exc_type, exc, traceback):
        try:
            if exc_type is None:
                await self.session.commit()
        finally:
            await self.session.close()


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)

    failed = []  # a log record or a debugger keeps the traceback, and with it the session
    units = []
    for _ in range(2):
        unit = Unit()
        units.append(unit)
        try:
            async with unit:
                unit.session.add(User(mail="ada@example.org"))
        except IntegrityError as failure:
            failed.append(failure)
    held = engine.pool.checkedout()

    error = "none"
    try:
        async with open_session() as db:
            await db.execute(text("select 1"))
    except PoolTimeout as failure:
        error = str(failure)

    for unit in units:
        await unit.session.close()
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()
    print(json.dumps({"failed": len(failed), "connections_held": held, "next_request": error}))


if __name__ == "__main__":
    asyncio.run(main())
