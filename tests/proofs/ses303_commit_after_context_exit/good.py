"""The same commit inside the block, while the invoice is still pending."""

import asyncio
import json
import os

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Invoice(Base):
    __tablename__ = "ses303_good_invoices"
    id: Mapped[int] = mapped_column(primary_key=True)
    cents: Mapped[int]


async def issue_invoice(cents: int) -> None:
    async with open_session() as db:
        db.add(Invoice(cents=cents))
        await db.flush()
        await db.commit()


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)

    try:
        await issue_invoice(1250)
        error = "none"
    except Exception as failure:
        error = type(failure).__name__

    async with open_session() as db:
        rows = await db.scalar(select(func.count()).select_from(Invoice))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()
    print(json.dumps({"error": error, "rows": rows}))


if __name__ == "__main__":
    asyncio.run(main())
