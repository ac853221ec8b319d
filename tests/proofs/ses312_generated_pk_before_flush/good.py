"""A flush before the key is used."""

import asyncio
import json
import os
from uuid import UUID, uuid4

from sqlalchemy import ForeignKey, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Event(Base):
    __tablename__ = "ses312_events"
    id: Mapped[int] = mapped_column(primary_key=True)


class Ticket(Base):
    __tablename__ = "ses312_tickets"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    event_id: Mapped[int] = mapped_column(ForeignKey("ses312_events.id"))


class Seat(Base):
    __tablename__ = "ses312_seats"
    id: Mapped[int] = mapped_column(primary_key=True)
    ticket_id: Mapped[UUID | None] = mapped_column(ForeignKey("ses312_tickets.id"))


async def sell(db: AsyncSession) -> None:
    event = Event()
    db.add(event)
    await db.flush()
    db.add(Ticket(event_id=event.id))


async def reserve(db: AsyncSession, event_id: int) -> None:
    ticket = Ticket(event_id=event_id)
    db.add(ticket)
    await db.flush()
    db.add(Seat(ticket_id=ticket.id))


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with open_session.begin() as db:
        db.add(Event(id=50))
    error = ""
    try:
        async with open_session.begin() as db:
            await sell(db)
    except IntegrityError as caught:
        error = str(caught.orig)
    async with open_session.begin() as db:
        await reserve(db, 50)
    async with open_session() as db:
        orphans = await db.scalar(select(func.count()).select_from(Seat).where(Seat.ticket_id.is_(None)))
    await engine.dispose()
    print(json.dumps({"error": error, "orphans": orphans}))


if __name__ == "__main__":
    asyncio.run(main())
