"""The stream writes through the request's session, which is closed before the body is produced.

`scope="function"` ends the dependency before the response is sent, as FastAPI 0.106-0.117 did for every dependency.
"""

import asyncio
import gc
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI
from fastapi.responses import StreamingResponse
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Message(Base):
    __tablename__ = "ses501_bad_messages"
    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str]


app = FastAPI()


async def get_db() -> AsyncIterator[AsyncSession]:
    async with open_session() as db:
        yield db
        await db.commit()


@app.post("/ask")
async def ask(question: str, db: Annotated[AsyncSession, Depends(get_db, scope="function")]) -> StreamingResponse:
    async def answer() -> AsyncIterator[str]:
        db.add(Message(body=question))  # SES501
        await db.flush()
        for word in question.split():
            yield word + " "

    return StreamingResponse(answer(), media_type="text/plain")


@asynccontextmanager
async def served() -> AsyncIterator[httpx.AsyncClient]:
    """The application, reached over HTTP semantics without a network."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://proof") as client:
        yield client


async def idle_in_transaction() -> int:
    """Connections that PostgreSQL sees waiting with an open transaction after they touched this program's table."""
    async with engine.connect() as connection:
        return await connection.scalar(
            text(
                "select count(*) from pg_stat_activity where state = 'idle in transaction'"
                " and datname = current_database() and query like '%ses501_bad_%' and pid <> pg_backend_pid()"
            )
        )


async def main() -> None:
    gc.disable()  # a leaked connection lives until the collector finds it, which must not happen by chance
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)

    async with served() as client:
        response = await client.post("/ask", params={"question": "what is a session"})
    leaked = await idle_in_transaction()

    async with open_session() as db:
        rows = await db.scalar(select(func.count()).select_from(Message))
    observed = {"status": response.status_code, "body": response.text, "rows": rows, "idle_in_transaction": leaked}
    gc.collect()
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()
    print(json.dumps(observed))


if __name__ == "__main__":
    asyncio.run(main())
