"""The endpoint commits before it returns; the failure is answered with HTTP 500."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "ses212_items"
    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(unique=True)


app = FastAPI()


async def get_db() -> AsyncIterator[AsyncSession]:
    async with open_session() as db:
        yield db


@app.post("/items")
async def create(sku: str, db: Annotated[AsyncSession, Depends(get_db)]) -> str:
    db.add(Item(sku=sku))
    await db.commit()
    return sku


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    async with open_session.begin() as db:
        db.add(Item(sku="taken"))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://proof") as client:
        status = (await client.post("/items", params={"sku": "taken"})).status_code
    async with open_session() as db:
        rows = await db.scalar(select(func.count()).select_from(Item))
    await engine.dispose()
    print(json.dumps({"status": status, "rows": rows}))


if __name__ == "__main__":
    asyncio.run(main())
