"""The callee is not given the unit of work, opens another one and commits it, whatever becomes of the caller's."""

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


class Booking(Base):
    __tablename__ = "ses605_bad_bookings"
    id: Mapped[int] = mapped_column(primary_key=True)
    guest: Mapped[str]


class Notice(Base):
    __tablename__ = "ses605_bad_notices"
    id: Mapped[int] = mapped_column(primary_key=True)
    guest: Mapped[str]


class UnitOfWork:
    """Opens a session, commits when the block ends well, rolls back when it does not."""

    session: AsyncSession

    async def __aenter__(self) -> "UnitOfWork":
        self.session = open_session()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            if kind is None:
                await self.session.commit()
            else:
                await self.session.rollback()
        finally:
            await self.session.close()


async def notify(guest: str, uow: UnitOfWork | None = None) -> None:
    if uow is None:
        async with UnitOfWork() as own:
            own.session.add(Notice(guest=guest))
    else:
        uow.session.add(Notice(guest=guest))


async def charge_card() -> None:
    raise RuntimeError("card refused")


async def book(guest: str, uow: UnitOfWork) -> None:
    uow.session.add(Booking(guest=guest))
    await notify(guest)  # SES605
    await charge_card()


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)

    error = "none"
    try:
        async with UnitOfWork() as uow:
            await book("ada", uow)
    except RuntimeError as failure:
        error = str(failure)

    async with open_session() as db:
        bookings = await db.scalar(select(func.count()).select_from(Booking))
        notices = await db.scalar(select(func.count()).select_from(Notice))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()
    print(json.dumps({"error": error, "bookings": bookings, "notices": notices}))


if __name__ == "__main__":
    asyncio.run(main())
