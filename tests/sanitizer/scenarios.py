"""Small programs for the sanitizer: each coroutine is one, and the marks beside its lines say what must be met there.

A comment ``# SES201`` marks a line; a program without marks must be met with nothing. ``World`` gives each program
an empty database; what lies in `layers` stands for the rest of a project.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Annotated

import httpx
import sqlalchemy as sa
from fastapi import Depends, FastAPI
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from .layers import Item, ItemRepository, OwnRepository, PriceService, SqlUnitOfWork, get_db, open_session
from .layers import sync_session as new_sync_session


async def wrapped_db() -> AsyncIterator[AsyncSession]:
    async for db in get_db():  # SES117 a_dependency_around_a_dependency
        yield db


Db = Annotated[AsyncSession, Depends(get_db)]
Wrapped = Annotated[AsyncSession, Depends(wrapped_db)]


def client() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.MockTransport(lambda request: httpx.Response(200)))


async def ask_model() -> str:
    await asyncio.sleep(0.12)  # SES503 a_wait_inside
    return "answer"


# ---- nothing to say ------------------------------------------------------------------------------------------------


async def a_committed_scope() -> None:
    async with open_session.begin() as db:
        db.add(Item(name="fine"))


async def a_boundary_commits_what_the_repository_wrote() -> None:
    async with open_session() as db:
        await ItemRepository(db).add("fine")
        await db.commit()


async def an_explicit_rollback() -> None:
    async with open_session() as db:
        db.add(Item(name="dry run"))
        await db.flush()
        await db.rollback()


async def an_exception_leaves_the_block() -> None:
    with suppress(LookupError):
        async with open_session() as db:
            db.add(Item(name="never"))
            await db.flush()
            raise LookupError


async def an_exception_and_a_close_by_hand() -> None:
    db = open_session()
    with suppress(LookupError):
        try:
            db.add(Item(name="never"))
            await db.flush()
            raise LookupError
        finally:
            await db.close()


async def only_reading() -> None:
    async with open_session() as db:
        await db.execute(sa.select(Item))


async def a_statement_that_changes_no_row() -> None:
    async with open_session() as db:
        await db.execute(sa.update(Item).where(Item.id == -1).values(name="nobody"))


async def a_savepoint_that_was_undone() -> None:
    async with open_session() as db:
        await db.execute(sa.select(Item))
        with suppress(LookupError):
            async with db.begin_nested():
                db.add(Item(name="undone"))
                await db.flush()
                raise LookupError


async def a_call_after_the_commit() -> None:
    async with open_session() as db, client() as http:
        await db.execute(sa.select(Item))
        await db.commit()
        await http.get("http://model/")


async def a_wait_after_the_commit() -> None:
    async with open_session() as db:
        await db.execute(sa.select(Item))
        await db.commit()
        await asyncio.sleep(0.12)


async def a_call_in_another_task() -> None:
    async def other() -> None:
        async with client() as http:
            await http.get("http://model/")

    async with open_session() as db:
        other_task = asyncio.create_task(other())
        await db.execute(sa.select(Item))
        await db.commit()
        await other_task


async def a_unit_of_work_commits() -> None:
    async with SqlUnitOfWork() as unit:
        await ItemRepository(unit.session).add("fine")
        await unit.commit()


async def a_repository_commits_its_own_session() -> None:
    await OwnRepository().save("own")


async def a_test_rolls_everything_back() -> None:
    """The session joins a transaction begun around it: commit is a savepoint, and closing loses nothing."""
    async with open_session.kw["bind"].connect() as connection:
        outer = await connection.begin()
        async with AsyncSession(connection, join_transaction_mode="create_savepoint") as db:
            db.add(Item(name="kept by the test"))
            await db.flush()
            await asyncio.sleep(0.12)
        await outer.rollback()


async def a_changed_attribute_set_back() -> None:
    async with open_session() as db:
        item = Item(name="same")
        db.add(item)
        await db.commit()
        item.name = "same"


async def autocommit_needs_no_commit() -> None:
    engine = open_session.kw["bind"].execution_options(isolation_level="AUTOCOMMIT")
    async with AsyncSession(engine) as db:
        await db.execute(sa.insert(Item).values(name="at once"))


# ---- commits -------------------------------------------------------------------------------------------------------


async def a_repository_commits() -> None:
    async with open_session() as db:
        await ItemRepository(db).save("half")


# ---- lost writes ---------------------------------------------------------------------------------------------------


async def flushed_and_forgotten() -> None:
    async with open_session() as db:
        db.add(Item(name="lost"))  # SES301
        await db.flush()


async def never_flushed() -> None:
    async with open_session() as db:
        db.add(Item(name="lost"))  # SES301


async def a_statement_never_committed() -> None:
    async with open_session() as db:
        await db.execute(sa.insert(Item).values(name="lost"))  # SES301


async def text_never_committed() -> None:
    async with open_session() as db:
        await db.execute(sa.text("insert into sanitizer_items (name) values ('lost')"))  # SES301


async def written_in_a_repository_and_forgotten_here() -> None:
    async with open_session() as db:
        repository = ItemRepository(db)
        await repository.add("lost")  # SES301


async def closed_by_hand() -> None:
    db = open_session()
    db.add(Item(name="lost"))  # SES301
    await db.flush()
    await db.close()


async def written_after_the_last_commit() -> None:
    async with open_session() as db:
        db.add(Item(name="saved"))
        await db.commit()
        db.add(Item(name="lost"))  # SES304
        await db.flush()


async def changed_after_the_last_commit() -> None:
    async with open_session() as db:
        item = Item(name="saved")
        db.add(item)
        await db.commit()
        item.name = "lost"
        await db.flush()  # SES304


async def changed_and_never_flushed() -> None:
    async with open_session() as db:  # SES304
        db.add(Item(name="saved"))
        await db.commit()
        (await db.scalars(sa.select(Item))).one().name = "lost"


async def never_flushed_without_a_loop() -> None:
    def work() -> None:
        with new_sync_session() as db:
            db.add(Item(name="lost"))  # SES301

    await asyncio.to_thread(work)


async def a_kept_savepoint_is_lost_all_the_same() -> None:
    async with open_session() as db, db.begin_nested():
        db.add(Item(name="lost"))  # SES301


async def lost_by_a_dependency() -> None:
    app = FastAPI()

    @app.post("/items")
    async def create(db: Db) -> None:
        await ItemRepository(db).add("lost")  # SES301

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        assert (await http.post("/items")).status_code == 200


# ---- sessions ------------------------------------------------------------------------------------------------------


async def names() -> AsyncIterator[str]:
    async with open_session() as db:
        found = (await db.scalars(sa.select(Item.name))).all()
    for name in [*found, "end"]:
        yield name


async def a_stream_is_read_by_hand() -> None:
    stream = names()
    assert await anext(stream) == "end"
    async for _ in stream:
        pass


async def a_service_opens_its_own_session() -> None:
    await PriceService().total()


async def a_service_opens_a_second_session() -> None:
    async with open_session() as db:
        await PriceService(db).audited_total()
        await db.commit()


async def a_dependency_driven_by_hand() -> None:
    await PriceService().looped()


async def a_dependency_around_a_dependency() -> None:
    app = FastAPI()

    @app.post("/items")
    async def create(db: Wrapped) -> None:
        db.add(Item(name="never"))
        await db.flush()
        raise LookupError

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        assert (await http.post("/items")).status_code == 500


async def a_loop_over_a_dependency_is_left() -> None:
    await PriceService().left_early()
    gc.collect()
    await asyncio.sleep(0.05)  # the event loop finishes the generator that nobody finished


# ---- duration ------------------------------------------------------------------------------------------------------


async def an_http_call_inside() -> None:
    async with open_session() as db, client() as http:
        await db.execute(sa.select(Item))
        await http.get("http://model/")  # SES503
        await db.commit()


async def a_wait_inside() -> None:
    async with open_session() as db:
        await db.execute(sa.select(Item))
        await ask_model()
        await db.commit()


async def a_long_transaction() -> None:
    async with open_session() as db:
        await db.execute(sa.select(Item))  # SES590
        for _ in range(40):
            await asyncio.sleep(0.01)
            await db.execute(sa.select(Item))
        await db.commit()


def a_long_transaction_without_a_loop(db: Session) -> None:
    import time

    db.execute(sa.select(Item))  # SES590 sync_code_in_a_thread
    time.sleep(0.4)
    db.commit()


async def sync_code_in_a_thread() -> None:
    def work() -> None:
        with new_sync_session() as db:
            a_long_transaction_without_a_loop(db)

    await asyncio.to_thread(work)


# ---- requests ------------------------------------------------------------------------------------------------------


async def a_stream_inside_a_transaction() -> None:
    app = FastAPI()

    @app.get("/items")
    async def items(db: Db) -> StreamingResponse:
        async def lines() -> AsyncIterator[str]:
            for item in await db.scalars(sa.select(Item)):
                yield item.name
            yield "end"  # SES502

        async def framed() -> AsyncIterator[str]:
            async for line in lines():
                yield f"data: {line}\n\n"

        return StreamingResponse(framed())

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        assert "end" in (await http.get("/items")).text


async def a_stream_after_the_transaction() -> None:
    app = FastAPI()

    @app.get("/items")
    async def items() -> StreamingResponse:
        async def lines() -> AsyncIterator[str]:
            async with open_session() as db:
                names = (await db.scalars(sa.select(Item.name))).all()
            for name in [*names, "end"]:
                yield name

        return StreamingResponse(lines())

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        assert "end" in (await http.get("/items")).text


async def an_endpoint_that_yields_inside_a_transaction() -> None:
    app = FastAPI()

    @app.get("/items", response_class=EventSourceResponse)
    async def items(db: Db) -> AsyncIterator[str]:
        for item in await db.scalars(sa.select(Item)):
            yield item.name
        yield "end"  # SES502

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        assert "end" in (await http.get("/items")).text


async def an_endpoint_that_yields_between_transactions() -> None:
    app = FastAPI()

    @app.get("/items", response_class=EventSourceResponse)
    async def items() -> AsyncIterator[str]:
        for name in ("one", "two", "end"):  # the next transaction is open when the chunk before it is sent
            async with open_session.begin() as db:
                db.add(Item(name=name))
                await db.flush()
                await asyncio.sleep(0)
            yield name

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        assert "end" in (await http.get("/items")).text


async def many_commits_in_one_request() -> None:
    app = FastAPI()

    @app.post("/items")
    async def create(db: Db) -> None:
        for number in range(7):
            db.add(Item(name=str(number)))
            await db.commit()  # SES290

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        assert (await http.post("/items")).status_code == 200


async def a_call_inside_a_request() -> None:
    app = FastAPI()

    @app.get("/ask")
    async def ask(db: Db) -> None:
        await db.execute(sa.select(Item))
        async with client() as model:
            await model.get("http://model/")  # SES503

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
        assert (await http.get("/ask")).status_code == 200


async def a_transaction_of_the_test_around_a_request() -> None:
    """The request opens no transaction; that of whoever calls it is none of its business."""
    app = FastAPI()

    @app.get("/ask")
    async def ask() -> None:
        async with client() as model:
            await model.get("http://model/")

    async with open_session() as db:
        await db.execute(sa.select(Item))
        await db.commit()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
            assert (await http.get("/ask")).status_code == 200


@asynccontextmanager
async def item_service() -> AsyncIterator[ItemRepository]:
    async with open_session() as db:
        yield ItemRepository(db)


async def a_factory_of_services_never_commits() -> None:
    async with item_service() as items:
        await items.add("lost")  # SES301
