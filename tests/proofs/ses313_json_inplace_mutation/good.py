"""A new object is assigned, or the attribute is flagged as modified."""

import asyncio
import json
import os

from sqlalchemy import JSON, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.orm.attributes import flag_modified

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Doc(Base):
    __tablename__ = "ses313_docs"
    id: Mapped[int] = mapped_column(primary_key=True)
    data: Mapped[dict] = mapped_column(JSON)
    labels: Mapped[list] = mapped_column(JSON)


async def rename(doc_id: int, title: str) -> None:
    async with open_session.begin() as db:
        doc = await db.get_one(Doc, doc_id)
        doc.data = {**doc.data, "title": title}


async def label(doc_id: int, text: str) -> None:
    async with open_session.begin() as db:
        doc = await db.get_one(Doc, doc_id)
        doc.labels.append(text)
        flag_modified(doc, "labels")


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with open_session.begin() as db:
        db.add(Doc(id=1, data={"title": "old"}, labels=["a"]))
    await rename(1, "new")
    await label(1, "b")
    async with open_session() as db:
        data, labels = (await db.execute(select(Doc.data, Doc.labels))).one()
    await engine.dispose()
    print(json.dumps({"title": data["title"], "labels": labels}))


if __name__ == "__main__":
    asyncio.run(main())
