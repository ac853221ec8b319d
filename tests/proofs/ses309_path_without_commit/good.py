"""`begin()` commits on every way out that is no exception."""

import asyncio
import json
import os

from sqlalchemy import select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Subscription(Base):
    __tablename__ = "ses309_good_subscriptions"
    name: Mapped[str] = mapped_column(primary_key=True)
    notified: Mapped[bool] = mapped_column(default=False)


async def subscribe(name: str, quiet: bool) -> str:
    async with open_session.begin() as db:
        subscription = Subscription(name=name)
        db.add(subscription)
        if quiet:
            return f"welcome, {name}"
        subscription.notified = True
        return f"welcome, {name}, a mail is on its way"


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)

    answers = [await subscribe("ada", quiet=False), await subscribe("bob", quiet=True)]

    async with open_session() as db:
        saved = list(await db.scalars(select(Subscription.name).order_by(Subscription.name)))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()
    print(json.dumps({"answers": len(answers), "saved": saved}))


if __name__ == "__main__":
    asyncio.run(main())
