"""A service opens a session of its own: it does not see its caller's rows, its own survive the caller's rollback."""

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
    async def remind(self, customer: str) -> None:
        async with AsyncSession(engine) as own:  # a second transaction
            own.add(Reminder(customer=customer))
            await own.commit()

    async def unpaid(self, customer: str) -> int:
        async with AsyncSession(engine) as own:  # a third one
            query = select(func.count()).select_from(Invoice).where(Invoice.customer == customer)
            return await own.scalar(query) or 0


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    service = ReminderService()
    async with AsyncSession(engine) as db:
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
