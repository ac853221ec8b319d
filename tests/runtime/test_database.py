"""The recipe: limits the server really has, a factory that may be imported early, dependencies that lose nothing."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Annotated

import pytest
import pytest_asyncio
from fastapi import BackgroundTasks, Depends, FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, InvalidRequestError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncSession

from sessionlint.runtime import (
    DbSession,
    EventStreamResponse,
    LostWriteWarning,
    RequestUnitOfWork,
    ServerSentEvent,
    UnitOfWorkFactory,
    get_db,
)
from sessionlint.runtime import database as recipe
from sessionlint.runtime.dependencies import HAS_SCOPE
from tests.runtime.conftest import POSTGRESQL, Database
from tests.runtime.models import Conversation, Message

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("backend", POSTGRESQL)
async def test_the_server_knows_the_limits(database: Database):
    wanted = {
        "application_name": database.name,
        "statement_timeout": "30s",
        "lock_timeout": "10s",
        "idle_in_transaction_session_timeout": "1min",
        "client_connection_check_interval": "2s",
    }
    async with database.factory() as session:
        got = {name: await session.scalar(text(f"SHOW {name}")) for name in wanted}
    assert got == wanted


@pytest.mark.parametrize("backend", POSTGRESQL)
@pytest.mark.parametrize("settings_changes", [{"pool_size": 1, "max_overflow": 1, "pool_timeout": 0.05}])
async def test_the_pool_is_bounded(database: Database):
    async with database.unit() as one, database.unit() as two, database.unit() as three:
        for unit in (one, two):
            await unit.session.execute(text("SELECT 1"))
        with pytest.raises(PoolTimeoutError):
            await three.session.execute(text("SELECT 1"))


@pytest.mark.parametrize("backend", POSTGRESQL)
@pytest.mark.parametrize("settings_changes", [{"idle_in_transaction_timeout": 0.1}])
async def test_an_idle_transaction_is_ended_by_the_server(database: Database):
    async with database.unit() as uow:
        await uow.session.execute(text("SELECT 1"))
        await asyncio.sleep(0.3)
        assert "idle in transaction" not in database.server_states()
        with pytest.raises(Exception, match=r"(?i)connection|terminat|timeout"):
            await uow.session.execute(text("SELECT 1"))
    assert database.checked_out() == 0


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_sqlite_checks_foreign_keys_and_undoes_released_savepoints(database: Database):
    async with database.factory() as session:
        session.add(Message(conversation_id="missing"))
        with pytest.raises(IntegrityError):
            await session.flush()
    async with database.factory() as session:
        async with session.begin_nested():
            session.add(Conversation(id="released"))
        await session.rollback()
    assert database.ids() == []


async def test_the_factory_may_be_imported_before_it_is_configured():
    program = """
import asyncio
from sessionlint.runtime.database import DatabaseSettings, configure, create_engine, session_factory
early = session_factory
async def main():
    configure(create_engine(DatabaseSettings(url="sqlite+aiosqlite://")))
    async with early() as session:
        print(session.get_bind().dialect.name)
asyncio.run(main())
"""
    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert printed.strip() == "sqlite"


@pytest.mark.parametrize("backend", ["asyncpg"])
async def test_a_closed_session_does_not_come_back_to_life(database: Database, configured: None):
    async with recipe.session_factory() as session:
        await session.execute(text("SELECT 1"))
    with pytest.raises(InvalidRequestError, match="closed"):
        await session.execute(text("SELECT 1"))


@pytest_asyncio.fixture
async def configured(database: Database):
    recipe.configure(database.engine)
    yield
    recipe.session_factory.configure(bind=None)


def application() -> FastAPI:
    app = FastAPI()

    @app.post("/explicit/{key}")
    async def explicit(key: str, db: DbSession) -> dict[str, str]:
        db.add(Conversation(id=key))
        await db.commit()
        return {"saved": key}

    @app.post("/forgotten/{key}")
    async def forgotten(key: str, db: DbSession) -> dict[str, str]:
        db.add(Conversation(id=key))
        return {"saved": key}

    @app.post("/unit/{key}")
    async def unit(key: str, uow: RequestUnitOfWork) -> dict[str, str]:
        uow.session.add(Message(conversation_id=key))
        await uow.commit("orphan")
        return {"saved": key}

    @app.post("/shared/{key}")
    async def shared(key: str, db: DbSession, same: DbSession) -> dict[str, bool]:
        return {"same": db is same}

    @app.post("/plain-depends/{key}")
    async def plain(key: str, db: Annotated[AsyncSession, Depends(get_db)]) -> dict[str, str]:
        db.add(Conversation(id=key))
        await db.commit()
        return {"saved": key}

    @app.post("/stream/{key}")
    async def stream(key: str, open_unit: UnitOfWorkFactory) -> EventStreamResponse:
        async def events():
            async with open_unit("stream") as uow:
                async with uow.transaction("question") as session:
                    session.add(Conversation(id=key))
                yield ServerSentEvent("question saved")
                async with uow.transaction("answer") as session:
                    session.add(Message(conversation_id=key, content="answer"))
                yield ServerSentEvent("answer saved")

        return EventStreamResponse(events(), strict=True)

    @app.post("/background/{key}")
    async def background(key: str, tasks: BackgroundTasks, open_unit: UnitOfWorkFactory) -> dict[str, str]:
        async def job() -> None:
            async with open_unit("job") as uow:
                uow.session.add(Conversation(id=key))
                await uow.commit("job")

        tasks.add_task(job)
        return {"started": key}

    return app


@pytest_asyncio.fixture
async def client(configured: None):
    transport = ASGITransport(application(), raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def test_dependencies_lose_nothing_in_any_version(database: Database, client: AsyncClient):
    """The same outcome on every FastAPI, although it runs the exit code of dependencies at four different moments."""
    for path in ("explicit", "plain-depends", "stream", "background"):
        answer = await client.post(f"/{path}/{path}")
        assert answer.status_code == 200, path
        assert database.checked_out() == 0, path
    assert database.ids() == ["background", "explicit", "plain-depends", "stream"]
    assert database.rows("SELECT content FROM messages") == [("answer",)]
    assert (await client.post("/shared/x")).json() == {"same": True}


async def test_a_failing_commit_is_never_answered_with_200(database: Database, client: AsyncClient):
    assert (await client.post("/unit/missing")).status_code == 500
    assert database.rows("SELECT count(*) FROM messages") == [(0,)]
    assert database.checked_out() == 0


async def test_a_forgotten_commit_is_said(database: Database, client: AsyncClient):
    with pytest.warns(LostWriteWarning, match="Conversation"):
        await client.post("/forgotten/x")
    assert database.ids() == []


async def test_scope_is_used_where_there_is_one():
    from sessionlint.runtime.dependencies import until_response

    assert getattr(until_response(get_db), "scope", None) == ("function" if HAS_SCOPE else None)
