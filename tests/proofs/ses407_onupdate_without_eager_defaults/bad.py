"""The database computes `updated_at` on UPDATE; SQLAlchemy does not fetch it."""

import asyncio
import json
import os
from datetime import datetime

from sqlalchemy import DateTime, func
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Doc(Base):
    __tablename__ = "ses407_docs"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(default="")
    updated_at: Mapped[datetime] = mapped_column(DateTime, server_default=func.now(), onupdate=func.now())  # SES407


async def rename(doc_id: int, name: str) -> str:
    async with open_session() as db:
        doc = await db.get_one(Doc, doc_id)
        doc.name = name
        await db.commit()
        return doc.updated_at.isoformat()


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with open_session() as db:
        made = Doc(id=1)
        db.add(made)
        await db.commit()
        after_insert = bool(made.updated_at)
    error = ""
    try:
        await rename(1, "new")
    except SQLAlchemyError as caught:
        error = str(caught)
    await engine.dispose()
    print(json.dumps({"after_insert": after_insert, "error": error}))


if __name__ == "__main__":
    asyncio.run(main())
