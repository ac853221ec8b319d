"""A failing commit is logged and the function goes on as if the user had been saved."""

import asyncio
import json
import logging
import os

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

log = logging.getLogger(__name__)

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "ses607_bad_users"
    id: Mapped[int] = mapped_column(primary_key=True)
    mail: Mapped[str] = mapped_column(unique=True)


async def save(db: AsyncSession, user: User) -> str:
    db.add(user)
    try:
        await db.commit()  # SES607
    except Exception as failure:
        log.error("could not commit: %s", failure)
    return "saved"


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)

    answers = []
    for _ in range(2):
        async with open_session() as db:
            try:
                answers.append(await save(db, User(mail="ada@example.org")))
            except IntegrityError as failure:
                answers.append(f"refused: {type(failure).__name__}")

    async with open_session() as db:
        mails = list(await db.scalars(select(User.mail)))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()
    print(json.dumps({"answers": answers, "mails": mails}))


if __name__ == "__main__":
    asyncio.run(main())
