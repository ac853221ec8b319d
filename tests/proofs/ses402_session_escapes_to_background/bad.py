"""A task outlives the request whose session it was given: the session reopens by itself and nobody ends it again."""

import asyncio
import gc
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "ses402_bad_accounts"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str]
    welcomed: Mapped[bool] = mapped_column(default=False)


app = FastAPI()
jobs: list[asyncio.Task[None]] = []


async def get_db() -> AsyncIterator[AsyncSession]:
    async with open_session() as db:
        yield db
        await db.commit()


async def render_mail() -> None:
    """Stands for the slow part of the job; the request is over by then."""
    await asyncio.sleep(0.2)


async def send_welcome(db: AsyncSession, account_id: int) -> None:
    await render_mail()
    account = await db.get_one(Account, account_id)
    account.welcomed = True
    await db.flush()


@app.post("/accounts")
async def register(email: str, db: Annotated[AsyncSession, Depends(get_db)]) -> int:
    account = Account(email=email)
    db.add(account)
    await db.flush()
    jobs.append(asyncio.create_task(send_welcome(db, account.id)))  # SES402
    return account.id


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
                " and datname = current_database() and query like '%ses402_bad_%' and pid <> pg_backend_pid()"
            )
        )


async def main() -> None:
    gc.disable()  # a leaked connection lives until the collector finds it, which must not happen by chance
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)

    async with served() as client:
        response = await client.post("/accounts", params={"email": "ada@example.org"})
    outcomes = await asyncio.gather(*jobs, return_exceptions=True)
    leaked = await idle_in_transaction()

    async with open_session() as db:
        welcomed = await db.scalar(select(func.count()).select_from(Account).where(Account.welcomed))
    observed = {
        "status": response.status_code,
        "job_error": "none" if outcomes == [None] else repr(outcomes),
        "welcomed": welcomed,
        "idle_in_transaction": leaked,
    }
    gc.collect()
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()
    print(json.dumps(observed))


if __name__ == "__main__":
    asyncio.run(main())
