"""The parent row is committed before the task that refers to it starts."""

import asyncio
import json
import os

from sqlalchemy import ForeignKey, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "ses320_good_customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Invoice(Base):
    __tablename__ = "ses320_good_invoices"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("ses320_good_customers.id"))
    customer: Mapped[Customer] = relationship()
    cents: Mapped[int]


class CustomerRepository:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def insert(self, name: str) -> Customer:
        customer = Customer(name=name)
        self._db.add(customer)
        await self._db.flush()
        return customer


async def write_welcome_invoice(customer_id: int) -> None:
    async with open_session.begin() as own:
        own.add(Invoice(customer_id=customer_id, cents=0))


async def charge_card() -> None:
    """Stands for a call to the payment provider."""
    await asyncio.sleep(0.1)


async def register(name: str) -> asyncio.Task[None]:
    async with open_session() as db:
        customer = await CustomerRepository(db).insert(name)
        await db.commit()
        task = asyncio.create_task(write_welcome_invoice(customer.id))
        await charge_card()
        return task


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)

    task = await register("ada")
    task_error, text = "none", ""
    try:
        await task
    except IntegrityError as failure:
        task_error, text = type(failure).__name__, str(failure.orig)

    async with open_session() as db:
        invoices = await db.scalar(select(func.count()).select_from(Invoice))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()
    print(json.dumps({"task_error": task_error, "text": text, "invoices": invoices}))


if __name__ == "__main__":
    asyncio.run(main())
