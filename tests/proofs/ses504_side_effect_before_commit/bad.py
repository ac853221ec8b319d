"""The order is announced before the commit: the worker is faster, and for a failed order the announcement stays."""

import asyncio
import json
import os
import sys
import types

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# a broker of one process: what is sent is handed to the worker at once
broker = types.ModuleType("celery")
broker.Celery = type("Celery", (), {"task": lambda self, function: Task(function)})  # type: ignore[attr-defined]
sys.modules["celery"] = broker


class Task:
    def __init__(self, function) -> None:
        self.function = function
        self.work: list[asyncio.Task] = []

    def delay(self, *args) -> None:
        self.work.append(asyncio.ensure_future(self.function(*args)))


from celery import Celery  # noqa: E402

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)
app = Celery()


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "ses504_bad_orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(unique=True)


@app.task
async def send_invoice(number: str) -> bool:
    async with open_session() as db:
        return bool(await db.scalar(select(func.count()).where(Order.number == number)))


async def order(number: str) -> None:
    async with open_session() as db:
        db.add(Order(number=number))
        send_invoice.delay(number)  # SES504
        await asyncio.sleep(0.2)  # whatever else the request has to do
        await db.commit()


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)

    for number in ("2026-1", "2026-1"):  # the second one is a duplicate and fails
        try:
            await order(number)
        except IntegrityError:
            pass
    found = [await work for work in send_invoice.work]
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()
    print(json.dumps({"invoices": len(found), "first_found_its_order": found[0]}))


if __name__ == "__main__":
    asyncio.run(main())
