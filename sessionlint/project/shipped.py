"""The reference runtime as the analyser sees it: what `sessionlint.runtime` means to a project that imports it.

An outline of the classes that hold or end a session, read like any file of a project but belonging to none: nothing is
ever reported in it, counted or edited.
"""

from __future__ import annotations

from sessionlint.facts import extract
from sessionlint.facts.shape import FileFacts

#: a path that no file of a project can have
PATH = "<sessionlint.runtime>.py"
_PACKAGE = "sessionlint.runtime"

_OUTLINE = b"""
from contextvars import ContextVar
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker


class SSEUnitOfWork:
    def __init__(self, session_factory: async_sessionmaker[AsyncSession], *, name="", autocommit=False, strict=False):
        self._session_factory = session_factory
        self._session: AsyncSession | None = None
        self.name = name
        self.commits = 0

    @classmethod
    def join(cls, session: AsyncSession, *, name="") -> "_OnSession":
        return _OnSession(session)

    @classmethod
    def around(cls, session: AsyncSession, *, name="") -> "_OnSession":
        return _OnSession(session)

    async def __aenter__(self) -> "SSEUnitOfWork":
        if self._session is not None:
            raise RuntimeError
        self._session = self._session_factory()
        return self

    async def __aexit__(self, exc_type, exc, traceback) -> None:
        try:
            await self._session.rollback()
        finally:
            await self._session.close()

    @property
    def session(self) -> AsyncSession:
        if self._session is None:
            raise RuntimeError
        return self._session

    async def commit(self, operation: str | None = None) -> None:
        self.name = operation
        await self.session.commit()

    async def rollback(self) -> None:
        await self.session.rollback()

    async def flush(self) -> None:
        await self.session.flush()

    async def release(self) -> None:
        await self.session.commit()


class _OnSession(SSEUnitOfWork):
    def __init__(self, session: AsyncSession):
        self._session = session

    async def __aenter__(self) -> "_OnSession":
        return self

    async def __aexit__(self, exc_type, exc, traceback) -> None:
        return None
"""


def outline(dotted: str) -> tuple[str, FileFacts] | None:
    """(name, facts of the outline) where ``dotted`` names something of the runtime by its public path."""
    package, _, name = dotted.rpartition(".")
    if package not in {_PACKAGE, f"{_PACKAGE}.unit_of_work"}:
        return None
    facts = extract(PATH, _OUTLINE)
    assert isinstance(facts, FileFacts), "the outline is Python"
    return name, facts
