"""The insert is contained, and its conflict means: somebody else was first."""

import asyncio
import json
import os

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Tag(Base):
    __tablename__ = "ses409_tags"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


async def tag_named(name: str) -> int:
    async with open_session() as db:
        tag = (await db.scalars(select(Tag).where(Tag.name == name))).one_or_none()
        if tag is None:
            await asyncio.sleep(0.1)
            try:
                async with db.begin_nested():
                    tag = Tag(name=name)
                    db.add(tag)
            except IntegrityError:
                tag = (await db.scalars(select(Tag).where(Tag.name == name))).one()
            await db.commit()
        return tag.id


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    results = await asyncio.gather(*(tag_named("a") for _ in range(4)), return_exceptions=True)
    failed = [str(r) for r in results if isinstance(r, Exception)]
    async with open_session() as db:
        tags = await db.scalar(select(func.count()).select_from(Tag))
    await engine.dispose()
    print(json.dumps({"failed": len(failed), "error": failed[0] if failed else "", "tags": tags}))


if __name__ == "__main__":
    asyncio.run(main())
