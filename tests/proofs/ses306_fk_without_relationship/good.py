"""A flush between the two, and for the second pair a relationship; no commit is needed."""

import asyncio
import json
import os

from sqlalchemy import ForeignKey, event, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)
inserted: list[str] = []


class Base(DeclarativeBase):
    pass


class SessionModel(Base):
    __tablename__ = "ses306_a_sessions"
    id: Mapped[str] = mapped_column(primary_key=True)


class MessageModel(Base):
    __tablename__ = "ses306_z_messages"
    id: Mapped[int] = mapped_column(primary_key=True)
    session_id: Mapped[str] = mapped_column(ForeignKey("ses306_a_sessions.id"))


class LogModel(Base):
    __tablename__ = "ses306_logs"
    id: Mapped[int] = mapped_column(primary_key=True)
    session_id: Mapped[str] = mapped_column(ForeignKey("ses306_a_sessions.id"))
    session: Mapped[SessionModel] = relationship()


@event.listens_for(engine.sync_engine, "before_cursor_execute")
def remember(connection, cursor, statement, *rest):
    if statement.startswith("INSERT"):
        inserted.append(statement.split()[2])


async def start(db: AsyncSession, session_id: str) -> None:
    db.add(SessionModel(id=session_id))
    await db.flush()
    db.add(MessageModel(session_id=session_id))
    await db.commit()


async def start_logging(db: AsyncSession, session_id: str) -> None:
    db.add(LogModel(session_id=session_id))
    db.add(SessionModel(id=session_id))
    await db.commit()


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    error = ""
    async with open_session() as db:
        try:
            await start(db, "s")
            await start_logging(db, "t")
        except IntegrityError as caught:
            error = str(caught.orig)
    async with open_session() as db:
        messages = await db.scalar(select(func.count()).select_from(MessageModel))
    await engine.dispose()
    print(json.dumps({"first": inserted[0], "error": error, "messages": messages}))


if __name__ == "__main__":
    asyncio.run(main())
