"""The module that may create sessions, of the project the scenarios stand for."""

from __future__ import annotations

from collections.abc import AsyncIterator

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import sessionmaker

open_session = async_sessionmaker(expire_on_commit=False)
sync_session = sessionmaker()


async def get_db() -> AsyncIterator[AsyncSession]:
    async with open_session() as db:
        yield db
