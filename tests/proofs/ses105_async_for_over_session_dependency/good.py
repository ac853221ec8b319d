"""A job enters the request dependency as a context manager: leaving the block runs the commit after `yield`."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Invoice(Base):
    __tablename__ = "ses105_invoices"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer: Mapped[str]


async def get_db() -> AsyncIterator[AsyncSession]:
    async with open_session() as db:
        try:
            yield db
            await db.commit()
        except Exception:
            await db.rollback()
            raise


async def write_invoice(customer: str) -> int:
    async with asynccontextmanager(get_db)() as db:
        invoice = Invoice(customer=customer)
        db.add(invoice)
        await db.flush()
        return invoice.id


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    number = await write_invoice("anna")
    async with open_session() as db:
        invoices = await db.scalar(select(func.count()).select_from(Invoice))
    await engine.dispose()
    print(json.dumps({"number": number, "invoices": invoices}))


if __name__ == "__main__":
    asyncio.run(main())
