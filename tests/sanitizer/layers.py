"""What the scenarios stand on: models, the factory module, repositories, a unit of work. Marks count here too."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from .factory import get_db, open_session, sync_session

__all__ = ["get_db", "open_session", "sync_session"]


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "sanitizer_items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class ItemRepository:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def add(self, name: str) -> None:
        self._db.add(Item(name=name))
        await self._db.flush()

    async def save(self, name: str) -> None:
        self._db.add(Item(name=name))
        await self._db.commit()  # SES201 a_repository_commits


class OwnRepository:
    async def save(self, name: str) -> None:
        async with open_session() as db:  # SES101 a_repository_commits_its_own_session
            db.add(Item(name=name))
            await db.commit()


class PriceService:
    def __init__(self, db: AsyncSession | None = None) -> None:
        self._db = db

    async def total(self) -> int:
        async with open_session() as db:  # SES101 a_service_opens_its_own_session
            return len((await db.scalars(sa.select(Item))).all())

    async def audited_total(self) -> int:
        async with open_session() as db:  # SES102 a_service_opens_a_second_session
            return len((await db.scalars(sa.select(Item))).all())

    async def looped(self) -> list[Item]:
        async for db in get_db():  # SES105 a_dependency_driven_by_hand
            return list(await db.scalars(sa.select(Item)))
        return []

    async def left_early(self) -> str | None:
        async for db in get_db():  # SES105 a_loop_over_a_dependency_is_left
            db.add(Item(name="lost"))  # SES301 a_loop_over_a_dependency_is_left
            await db.flush()
            return "looks saved"
        return None


class SqlUnitOfWork:
    session: AsyncSession

    async def __aenter__(self) -> SqlUnitOfWork:
        self.session = open_session()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    async def commit(self) -> None:
        await self.session.commit()
