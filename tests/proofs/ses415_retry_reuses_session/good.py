"""The whole transaction is retried, with a session per attempt."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable

from sqlalchemy import update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)
attempts: list[str] = []


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "ses415_good_items"
    id: Mapped[int] = mapped_column(primary_key=True)
    quantity: Mapped[int]


def retry(work: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Three attempts."""

    async def repeated(*arguments: object) -> None:
        for attempt in range(3):
            try:
                await work(*arguments)
                return
            except DBAPIError as error:
                attempts.append(str(getattr(error.orig, "sqlstate", "")))
                if attempt == 2:
                    raise

    return repeated


@retry
async def swap(first: int, other: int) -> None:
    async with open_session.begin() as db:
        await db.execute(update(Item).where(Item.id == first).values(quantity=Item.quantity + 1))
        await asyncio.sleep(0.2)
        await db.execute(update(Item).where(Item.id == other).values(quantity=Item.quantity + 1))


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    async with open_session.begin() as db:
        db.add_all([Item(id=1, quantity=0), Item(id=2, quantity=0)])

    # two transactions that lock the two rows in opposite order: one of them is the deadlock's victim
    outcomes = await asyncio.gather(swap(1, 2), swap(2, 1), return_exceptions=True)

    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()
    failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    print(json.dumps({"failed": len(failed), "attempts": " ".join(attempts)}))


if __name__ == "__main__":
    asyncio.run(main())
