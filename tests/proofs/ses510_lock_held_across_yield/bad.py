"""The whole stream runs under the lock of its chat: one client that stalls stops everybody else of that chat."""

import asyncio
import json
import os
from collections.abc import AsyncIterator

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)
chat_lock = asyncio.Lock()


class Base(DeclarativeBase):
    pass


class Message(Base):
    __tablename__ = "ses510_bad_messages"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


async def save(text: str) -> None:
    async with open_session.begin() as db:
        db.add(Message(text=text))


async def answer(question: str) -> AsyncIterator[str]:
    async with chat_lock:
        await save(question)
        for word in ("well", "then"):
            yield word  # SES510
        await save("well then")


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)

    stalled = answer("first question")
    await anext(stalled)  # one word is read, then the client takes its time

    second = answer("second question")
    outcome = "answered"
    try:
        await asyncio.wait_for(anext(second), 1)
    except TimeoutError:
        outcome = "timed out"

    async with open_session() as db:
        saved = await db.scalar(select(func.count()).select_from(Message))
    await stalled.aclose()
    await second.aclose()
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()
    print(json.dumps({"second_client": outcome, "questions_saved": saved}))


if __name__ == "__main__":
    asyncio.run(main())
