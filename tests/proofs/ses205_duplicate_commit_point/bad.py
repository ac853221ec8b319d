"""The endpoint commits, and so does its session dependency."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "ses205_items"
    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str]


app = FastAPI()


async def get_db() -> AsyncIterator[AsyncSession]:
    async with open_session() as db:
        yield db
        await db.commit()


@app.post("/items")
async def create(sku: str, db: Annotated[AsyncSession, Depends(get_db)]) -> str:
    db.add(Item(sku=sku))
    await db.commit()
    return sku


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    committed = 0

    @event.listens_for(Session, "after_commit")
    def count(session: Session) -> None:
        nonlocal committed
        committed += 1

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://proof") as client:
        await client.post("/items", params={"sku": "lamp"})
    await engine.dispose()
    print(json.dumps({"committed": committed}))


if __name__ == "__main__":
    asyncio.run(main())
