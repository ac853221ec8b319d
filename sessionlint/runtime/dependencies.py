"""FastAPI's typed aliases for the recipe in `database`.

@router.post("/messages")
async def create(message: NewMessage, db: DbSession) -> MessageOut:
    ...
    await db.commit()
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

from fastapi import Depends
from fastapi.params import Depends as DependsMarker
from sqlalchemy.ext.asyncio import AsyncSession

from .database import get_db, get_unit_of_work, get_unit_of_work_factory
from .unit_of_work import SSEUnitOfWork

HAS_SCOPE = "scope" in inspect.signature(Depends).parameters
"""FastAPI 0.121 and newer."""


def until_response(provider: Callable[[], AsyncIterator[Any]]) -> DependsMarker:
    """``Depends`` whose exit code runs before the response is sent, so that no connection waits for a slow client.

    FastAPI up to 0.105 and from 0.118 to 0.120 has no way to ask for that. Nothing is lost there, because the
    providers of `database` never commit on exit; the connection is only given back later.
    """
    marker = Depends(provider, scope="function") if HAS_SCOPE else Depends(provider)
    assert isinstance(marker, DependsMarker)
    return marker


DbSession = Annotated[AsyncSession, until_response(get_db)]
RequestUnitOfWork = Annotated[SSEUnitOfWork[AsyncSession], until_response(get_unit_of_work)]
UnitOfWorkFactory = Annotated[Callable[[str], SSEUnitOfWork[AsyncSession]], Depends(get_unit_of_work_factory)]
"""For streams and background tasks: ``async with open_unit("stream") as uow:`` where the work is done."""
