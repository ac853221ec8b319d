"""What the handler needs is read before."""

import asyncio
import json
import os

from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "ses406_users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


async def rename(user_id: int, name: str) -> str:
    async with open_session() as db:
        user = await db.get_one(User, user_id)
        known = user.id
        try:
            user.name = name
            await db.commit()
        except IntegrityError:
            await db.rollback()
            return f"user {known} keeps its name"
        return f"user {known} is {name}"


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with open_session.begin() as db:
        db.add_all([User(id=1, name="a"), User(id=2, name="b")])
    said = error = ""
    try:
        said = await rename(1, "b")
    except SQLAlchemyError as caught:
        error = str(caught)
    await engine.dispose()
    print(json.dumps({"said": said, "error": error}))


if __name__ == "__main__":
    asyncio.run(main())
