"""The query does not load the relationship that is read."""

import asyncio
import json
import os

from sqlalchemy import ForeignKey, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Parent(Base):
    __tablename__ = "ses405_parents"
    id: Mapped[int] = mapped_column(primary_key=True)
    children: Mapped[list["Child"]] = relationship()


class Child(Base):
    __tablename__ = "ses405_children"
    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int] = mapped_column(ForeignKey("ses405_parents.id"))


async def count(parent_id: int) -> int:
    async with open_session() as db:
        query = select(Parent).where(Parent.id == parent_id)
        parent = (await db.scalars(query)).one()
        return len(parent.children)  # SES405


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with open_session.begin() as db:
        db.add(Parent(id=1, children=[Child(), Child()]))
    children, error = 0, ""
    try:
        children = await count(1)
    except SQLAlchemyError as caught:
        error = str(caught)
    await engine.dispose()
    print(json.dumps({"children": children, "error": error}))


if __name__ == "__main__":
    asyncio.run(main())
