"""A dependency enters another as a context manager: an error in the handler reaches the inner `except`."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Ticket(Base):
    __tablename__ = "ses117_tickets"
    id: Mapped[int] = mapped_column(primary_key=True)
    subject: Mapped[str]


class Outcome:
    """What the provider saw of the request, and how many connections were in use right after it."""

    ended: str = "never"


async def get_db() -> AsyncIterator[AsyncSession]:
    async with open_session() as db:
        try:
            yield db
            await db.commit()
            Outcome.ended = "committed"
        except Exception:
            await db.rollback()
            Outcome.ended = "rolled back"
            raise


async def get_db_session() -> AsyncIterator[AsyncSession]:
    async with asynccontextmanager(get_db)() as db:
        yield db


app = FastAPI()


@app.post("/tickets")
async def create(subject: str, db: Annotated[AsyncSession, Depends(get_db_session)]) -> dict[str, int]:
    ticket = Ticket(subject=subject)
    db.add(ticket)
    await db.flush()
    raise RuntimeError("the mail server is away")


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        response = await client.post("/tickets", params={"subject": "printer"})
    await engine.dispose()
    print(json.dumps({"status": response.status_code, "transaction": Outcome.ended}))


if __name__ == "__main__":
    asyncio.run(main())
