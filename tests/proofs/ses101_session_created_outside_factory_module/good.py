"""A service works on the session it is given: it sees its caller's rows and shares the caller's rollback."""

import asyncio
import json
import os

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])


class Base(DeclarativeBase):
    pass


class Invoice(Base):
    __tablename__ = "ses101_invoices"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer: Mapped[str]


class Reminder(Base):
    __tablename__ = "ses101_reminders"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer: Mapped[str]


class ReminderService:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def remind(self, customer: str) -> None:
        self._db.add(Reminder(customer=customer))
        await self._db.flush()

    async def unpaid(self, customer: str) -> int:
        query = select(func.count()).select_from(Invoice).where(Invoice.customer == customer)
        return await self._db.scalar(query) or 0


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    async with AsyncSession(engine) as db:
        service = ReminderService(db)
        await service.remind("anna")
        db.add(Invoice(customer="anna"))
        await db.flush()
        unpaid = await service.unpaid("anna")
        await db.rollback()
    async with AsyncSession(engine) as db:
        reminders = await db.scalar(select(func.count()).select_from(Reminder))
    await engine.dispose()
    print(json.dumps({"unpaid_seen": unpaid, "reminders_after_rollback": reminders}))


if __name__ == "__main__":
    asyncio.run(main())
