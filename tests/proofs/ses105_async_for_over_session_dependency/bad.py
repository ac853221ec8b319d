"""A job drives the request dependency with `async for` and returns: the commit after `yield` is never reached."""

import asyncio
import json
import os
from collections.abc import AsyncIterator

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
    async for db in get_db():
        invoice = Invoice(customer=customer)
        db.add(invoice)
        await db.flush()
        return invoice.id  # leaves the generator waiting at its yield


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    number = await write_invoice("anna")
    await asyncio.sleep(0.1)  # time enough for the forgotten generator to be closed
    async with open_session() as db:
        invoices = await db.scalar(select(func.count()).select_from(Invoice))
    await engine.dispose()
    print(json.dumps({"number": number, "invoices": invoices}))


if __name__ == "__main__":
    asyncio.run(main())
