"""The engine is made once; its pool serves all requests."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


kept: list[object] = []  # an engine lives as long as something refers to it, as in a growing service


app = FastAPI()
pool = create_async_engine(os.environ["DATABASE_URL"])


async def get_db() -> AsyncIterator[AsyncSession]:
    async with async_sessionmaker(pool, expire_on_commit=False)() as db:
        yield db


@app.get("/answer")
async def answer(db: Annotated[AsyncSession, Depends(get_db)]) -> int:
    return await db.scalar(text("select 42"))


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://proof") as client:
        for _ in range(8):
            await client.get("/answer")
    async with engine.connect() as connection:
        others = text("select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()")
        connections = await connection.scalar(others)
    await engine.dispose()
    print(json.dumps({"connections": connections}))


if __name__ == "__main__":
    asyncio.run(main())
