"""The repository and the endpoint name two providers: the request has two sessions."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI
from sqlalchemy import ForeignKey
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "ses114_orders"
    id: Mapped[int] = mapped_column(primary_key=True)


class Line(Base):
    __tablename__ = "ses114_lines"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("ses114_orders.id"))


app = FastAPI()


async def get_db() -> AsyncIterator[AsyncSession]:
    async with open_session() as db:
        yield db


async def get_db_session() -> AsyncIterator[AsyncSession]:
    async with open_session() as db:
        yield db


class Orders:
    def __init__(self, db: Annotated[AsyncSession, Depends(get_db_session)]) -> None:
        self._db = db

    async def add(self) -> Order:
        order = Order()
        self._db.add(order)
        await self._db.flush()
        return order


@app.post("/orders")
async def create(orders: Annotated[Orders, Depends()], db: Annotated[AsyncSession, Depends(get_db)]) -> int:
    order = await orders.add()
    db.add(Line(order_id=order.id))
    await db.commit()
    return order.id


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    transport = httpx.ASGITransport(app)
    status, error = 0, ""
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://proof") as client:
            status = (await client.post("/orders")).status_code
    except Exception as caught:  # the application's own error, passed on by the transport
        error = str(caught)
    await engine.dispose()
    print(json.dumps({"status": status, "error": error}))


if __name__ == "__main__":
    asyncio.run(main())
