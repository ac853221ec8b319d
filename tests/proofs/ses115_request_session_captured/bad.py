"""A container keeps the service of the first request: the second request writes through a session nobody commits."""

import asyncio
import json
import os

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "ses115_notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str]


class NoteRepository:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def add(self, body: str) -> None:
        self._db.add(Note(body=body))
        await self._db.flush()


class NoteService:
    def __init__(self, notes: NoteRepository) -> None:
        self._notes = notes

    async def write(self, body: str) -> None:
        await self._notes.add(body.strip())


class Container:
    def __init__(self) -> None:
        self._service: NoteService | None = None

    def note_service(self, db: AsyncSession) -> NoteService:
        if self._service is None:
            self._service = NoteService(NoteRepository(db))  # the first request's session, for ever
        return self._service


container = Container()


async def post_note(body: str) -> int:
    async with open_session() as db:
        await container.note_service(db).write(body)
        await db.commit()
    return 201


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    answers = [await post_note(body) for body in ("first", "second")]
    in_use = engine.pool.checkedout()
    async with open_session() as db:
        notes = await db.scalar(select(func.count()).select_from(Note))
    await engine.dispose()
    print(json.dumps({"answers": answers, "notes": notes, "connections_in_use": in_use}))


if __name__ == "__main__":
    asyncio.run(main())
