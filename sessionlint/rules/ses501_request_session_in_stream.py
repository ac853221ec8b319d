"""The body of a streaming response uses the request's session.

## What it does

Reports a generator that is handed to `StreamingResponse` (or another streaming response), or an endpoint that yields
(FastAPI 0.134 and later, `EventSourceResponse` from 0.135 on), and uses a session which a FastAPI dependency closes: captured from the endpoint, passed as an argument, or held by a service (`self._db`). The
finding stands inside the generator, at the first use of the session; the trace leads from the endpoint to it.

The FastAPI version decides what happens, so the message names it:

| FastAPI | end of the dependency | what the stream meets |
|---|---|---|
| up to 0.105 | after the response | open session, held for the whole stream |
| 0.106-0.117 | before the body is produced | closed session: writes are lost |
| 0.118 and later | after the response | open session, held for the whole stream |
| `scope="function"` (0.121 and later) | before the body is produced | closed session: writes are lost |

## Why is this bad

On a closed session nothing fails. SQLAlchemy reopens it on the next call, the generator writes and flushes, the client
reads its stream and gets HTTP 200. Nobody commits any more and nobody closes: every row is lost, and every stream
leaves one connection `idle in transaction` until the garbage collector finds it. Where the dependency ends later, the
rows may be saved, but the transaction lasts as long as the slowest client reads.

## Instead

Open a session inside the generator, short, with no `yield` in it:

    async def body():
        async for token in model.answer(question):
            yield token
        async with maker.begin() as db:
            db.add(Message(body=question))

or read everything in the endpoint, commit, and give the generator plain data. Where the dependency ends after the
response, that commit is needed even if the generator never touches the session: otherwise the transaction of the
endpoint's own query, or of the query that authenticated the user, stays open until the client has read everything. This
form is reported at an `EventSourceResponse`, which lasts as long as its client, and only where the FastAPI version is
known to end the dependency that late, or where a plain ASGI middleware opens the session around the whole request
(`scope["state"]["session"] = session`).

## When it is silent

The generator uses plain data only, or opens its own session; the "stream" is a finished body
(`StreamingResponse(iter([text]))`); on FastAPI up to 0.105 and from 0.118 on, the generator commits before each chunk;
a websocket, whose dependencies stay open.

## Fix safety

Unsafe: opens the session inside the generator, in blocks without a `yield`, and builds there what is built on it. A
stream that leaves the session alone gets a commit in front of the response. Refused where the session would wait for
the reader all the same: `sessionlint migrate unit-of-work` moves its commits too.

## Options

`target`: the FastAPI version. Without it a lock file decides; a declared range that admits both behaviours is reported
and said.

## Symptom at run time

HTTP 200 with the complete body, 0 rows, one connection `idle in transaction` per stream; later
`sqlalchemy.exc.TimeoutError: QueuePool limit of size ... reached`.

## References

- https://fastapi.tiangolo.com/advanced/advanced-dependencies/
- https://fastapi.tiangolo.com/release-notes/
- https://github.com/fastapi/fastapi/issues/11143
- https://github.com/fastapi/fastapi/pull/14099
- https://github.com/fastapi/fastapi/pull/14262
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.endpoint_streams import endpoint_streams, lasts_as_long_as_its_client
from sessionlint.effects.observations import Committed, RolledBack, Streamed, Suspended, Waited
from sessionlint.effects.request_state import state_session
from sessionlint.facts.shape import Loc
from sessionlint.findings import Severity
from sessionlint.project import values as v
from sessionlint.project.frameworks import fastapi
from sessionlint.project.symbols import Function
from sessionlint.rules.base import Draft, chain_steps, opened_steps, spelled, step

SEVERITY = Severity.ERROR
DEFAULT = True
YIELDS_TO = ("SES320",)
_HELD = "its transaction stays open, and its connection taken, for as long as the client reads"

BAD = (
    """
# --- pyproject.toml ---
[project]
name = "answers"
version = "1"
dependencies = ["fastapi==0.115.6", "sqlalchemy[asyncio]>=2"]

# --- app/db.py ---
from collections.abc import AsyncIterator

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Message(Base):
    __tablename__ = "messages"
    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str]


async def get_db() -> AsyncIterator[AsyncSession]:
    async with maker() as db:
        yield db

# --- app/service.py ---
from collections.abc import AsyncIterator

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Message, get_db


class AnswerService:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def stream(self, question: str) -> AsyncIterator[str]:
        for word in question.split():
            yield word
        self._db.add(Message(body=question))  # SES501
        await self._db.flush()


def get_service(db: AsyncSession = Depends(get_db)) -> AnswerService:
    return AnswerService(db)

# --- app/routes.py ---
from collections.abc import AsyncIterator

from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Message, get_db
from app.service import AnswerService, get_service

router = APIRouter()


@router.post("/answers")
async def answer(question: str, db: AsyncSession = Depends(get_db)) -> StreamingResponse:
    async def body() -> AsyncIterator[str]:
        db.add(Message(body=question))  # SES501
        await db.commit()
        for word in question.split():
            yield word

    return StreamingResponse(body())


@router.post("/answers/service")
async def answer_by_service(question: str, service: AnswerService = Depends(get_service)) -> StreamingResponse:
    return StreamingResponse(service.stream(question))
""",
    """
# --- pyproject.toml ---
[project]
name = "answers"
version = "1"
dependencies = ["fastapi==0.128.0", "sqlalchemy[asyncio]>=2"]

# --- app/db.py ---
from collections.abc import AsyncIterator

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


async def get_db() -> AsyncIterator[AsyncSession]:
    async with maker() as db:
        yield db

# --- app/routes.py ---
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import get_db

router = APIRouter()


@router.post("/visits")
async def visit(page: str, db: Annotated[AsyncSession, Depends(get_db, scope="function")]) -> StreamingResponse:
    async def body() -> AsyncIterator[str]:
        await db.execute(text("insert into visits (page) values (:p)"), {"p": page})  # SES501
        await db.commit()
        yield page

    return StreamingResponse(body())


@router.get("/readings")
async def readings(db: Annotated[AsyncSession, Depends(get_db)]) -> StreamingResponse:
    async def body() -> AsyncIterator[str]:
        rows = await db.execute(text("select id, value from readings"))  # SES501
        for row in rows:
            yield f"{row.id};{row.value} "

    return StreamingResponse(body())
""",
    """
# --- pyproject.toml ---
[project]
name = "app"
version = "1"
dependencies = ["fastapi==0.128.0"]

# --- app/db.py ---
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


async def get_db():
    async with maker() as session:
        yield session

# --- app/routes.py ---
from collections.abc import AsyncIterator

from fastapi import APIRouter, Depends, HTTPException
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sse_starlette import EventSourceResponse

from app.db import get_db

router = APIRouter()


async def current_user(db: AsyncSession = Depends(get_db)) -> str:
    name = await db.scalar(text("select name from users"))
    if not name:
        raise HTTPException(401)
    return name


async def subscribe(channel: str) -> AsyncIterator[str]:
    yield channel


def answer(body: AsyncIterator[str]) -> EventSourceResponse:
    return EventSourceResponse(body)


@router.get("/chats/{chat_id}/stream")
async def chat_stream(chat_id: int, db: AsyncSession = Depends(get_db)) -> EventSourceResponse:
    channel = await db.scalar(text("select channel from chats where id = :id"), {"id": chat_id})
    return EventSourceResponse(subscribe(channel))  # SES501


@router.get("/chats/{chat_id}/helped")
async def helped_stream(chat_id: int, db: AsyncSession = Depends(get_db)) -> EventSourceResponse:
    channel = await db.scalar(text("select channel from chats where id = :id"), {"id": chat_id})
    return answer(subscribe(channel))  # SES501


@router.get("/me/stream")
async def user_stream(user: str = Depends(current_user)) -> EventSourceResponse:
    return EventSourceResponse(subscribe(user))  # SES501
""",
    """
# --- pyproject.toml ---
[project]
name = "answers"
version = "1"
dependencies = ["fastapi==0.135.1", "sqlalchemy[asyncio]>=2"]

# --- app/db.py ---
from collections.abc import AsyncIterator

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Message(Base):
    __tablename__ = "messages"
    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str]


async def get_db() -> AsyncIterator[AsyncSession]:
    async with maker() as db:
        yield db

# --- app/routes.py ---
from collections.abc import AsyncIterable
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.sse import EventSourceResponse, ServerSentEvent
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Message, get_db, maker

router = APIRouter()
Db = Annotated[AsyncSession, Depends(get_db)]


async def current_user(token: str, db: Db) -> str:
    found = await db.get(Message, token)
    return found.body if found else token


@router.get("/words", response_class=EventSourceResponse)
async def words(db: Db) -> AsyncIterable[ServerSentEvent]:
    for message in await db.scalars(select(Message)):  # SES501
        yield ServerSentEvent(data=message.body)


@router.get("/visits", response_class=EventSourceResponse)
async def visits(
    page: str, db: Annotated[AsyncSession, Depends(get_db, scope="function")]
) -> AsyncIterable[ServerSentEvent]:
    yield ServerSentEvent(data=page)
    db.add(Message(body=page))  # SES501
    await db.commit()


@router.get("/lines")
async def lines(db: Db) -> AsyncIterable[str]:
    rows = (await db.scalars(select(Message))).all()  # SES501
    for message in rows:
        yield message.body


@router.get("/news", response_class=EventSourceResponse)
async def news(user: Annotated[str, Depends(current_user)]) -> AsyncIterable[ServerSentEvent]:  # SES501
    yield ServerSentEvent(data=user)
""",
)

GOOD = (
    '''
# --- pyproject.toml ---
[project]
name = "answers"
version = "1"
dependencies = ["fastapi==0.115.6", "sqlalchemy[asyncio]>=2"]

# --- app/db.py ---
from collections.abc import AsyncIterator

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Message(Base):
    __tablename__ = "messages"
    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str]


async def get_db() -> AsyncIterator[AsyncSession]:
    async with maker() as db:
        yield db


async def save_message(body: str) -> None:
    async with maker.begin() as db:
        db.add(Message(body=body))

# --- app/routes.py ---
from collections.abc import AsyncIterator

from fastapi import APIRouter, Depends, WebSocket
from fastapi.responses import StreamingResponse
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Message, get_db, maker, save_message

router = APIRouter()


@router.post("/answers")
async def answer(question: str) -> StreamingResponse:
    """The stream opens its own session, after the last chunk."""

    async def body() -> AsyncIterator[str]:
        for word in question.split():
            yield word
        async with maker.begin() as db:
            db.add(Message(body=question))

    return StreamingResponse(body())


@router.get("/messages/{message_id}/words")
async def words(message_id: int, db: AsyncSession = Depends(get_db)) -> StreamingResponse:
    """The session is used before the stream; the stream gets plain text and saves through a function of its own."""
    message = await db.get_one(Message, message_id)
    found = message.body

    async def body() -> AsyncIterator[str]:
        for word in found.split():
            yield word
        await save_message(found)

    return StreamingResponse(body())


@router.get("/messages.txt")
async def download(db: AsyncSession = Depends(get_db)) -> StreamingResponse:
    """A finished body, no stream."""
    bodies = (await db.scalars(select(Message.body))).all()
    return StreamingResponse(iter(["; ".join(bodies)]))


@router.websocket("/chat")
async def chat(socket: WebSocket, db: AsyncSession = Depends(get_db)) -> None:
    """The dependency of a websocket stays open until the endpoint ends."""
    await socket.accept()
    while True:
        db.add(Message(body=await socket.receive_text()))
        await db.commit()
''',
    '''
# --- pyproject.toml ---
[project]
name = "answers"
version = "1"
dependencies = ["fastapi==0.128.0", "sqlalchemy[asyncio]>=2"]

# --- app/db.py ---
from collections.abc import AsyncIterator

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


async def get_db() -> AsyncIterator[AsyncSession]:
    async with maker() as db:
        yield db

# --- app/routes.py ---
from collections.abc import AsyncIterator

from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import get_db

router = APIRouter()


@router.post("/visits")
async def visits(pages: str, db: AsyncSession = Depends(get_db)) -> StreamingResponse:
    """This FastAPI keeps the session open, and the generator holds no transaction while the client reads."""

    async def body() -> AsyncIterator[str]:
        for page in pages.split():
            await db.execute(text("insert into visits (page) values (:p)"), {"p": page})
            await db.commit()
            yield page

    return StreamingResponse(body())
''',
    '''
# --- pyproject.toml ---
[project]
name = "app"
version = "1"
dependencies = ["fastapi==0.128.0"]

# --- app/db.py ---
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


async def get_db():
    async with maker() as session:
        yield session

# --- app/routes.py ---
from collections.abc import AsyncIterator

from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sse_starlette import EventSourceResponse

from app.db import get_db, maker

router = APIRouter()


async def current_user(db: AsyncSession = Depends(get_db)) -> str:
    return await db.scalar(text("select name from users")) or ""


async def current_name(db: AsyncSession = Depends(get_db)) -> str:
    """Ends its transaction before it hands over."""
    name = await db.scalar(text("select name from users")) or ""
    await db.commit()
    return name


async def subscribe(channel: str) -> AsyncIterator[str]:
    yield channel


@router.get("/chats/{chat_id}/stream")
async def chat_stream(chat_id: int, db: AsyncSession = Depends(get_db)) -> EventSourceResponse:
    channel = await db.scalar(text("select channel from chats where id = :id"), {"id": chat_id})
    await db.commit()
    return EventSourceResponse(subscribe(channel))


@router.get("/chats/{chat_id}/own")
async def own_stream(chat_id: int) -> EventSourceResponse:
    async with maker() as db:
        channel = await db.scalar(text("select channel from chats where id = :id"), {"id": chat_id})
    return EventSourceResponse(subscribe(channel))


@router.get("/me/stream")
async def user_stream(user: str = Depends(current_user), db: AsyncSession = Depends(get_db)) -> EventSourceResponse:
    """The same session as the one of the dependency."""
    await db.commit()
    return EventSourceResponse(subscribe(user))


@router.get("/me/events")
async def name_stream(name: str = Depends(current_name)) -> EventSourceResponse:
    return EventSourceResponse(subscribe(name))


@router.get("/me/report")
async def report(db: AsyncSession = Depends(get_db)) -> StreamingResponse:
    """A body that is there already lasts as long as sending it does."""
    lines = (await db.scalars(text("select line from reports"))).all()
    return StreamingResponse(iter(lines))
''',
    """
# --- pyproject.toml ---
[project]
name = "answers"
version = "1"
dependencies = ["fastapi==0.135.1", "sqlalchemy[asyncio]>=2"]

# --- app/db.py ---
from collections.abc import AsyncIterator

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Message(Base):
    __tablename__ = "messages"
    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str]


async def get_db() -> AsyncIterator[AsyncSession]:
    async with maker() as db:
        yield db

# --- app/routes.py ---
from collections.abc import AsyncIterable
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.sse import EventSourceResponse, ServerSentEvent
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Message, get_db, maker

router = APIRouter()
Db = Annotated[AsyncSession, Depends(get_db)]


async def current_user(token: str, db: Db) -> str:
    found = await db.get(Message, token)
    return found.body if found else token


@router.get("/words", response_class=EventSourceResponse)
async def words(db: Db) -> AsyncIterable[ServerSentEvent]:
    rows = (await db.scalars(select(Message))).all()
    await db.commit()
    for message in rows:
        yield ServerSentEvent(data=message.body)


@router.get("/visits", response_class=EventSourceResponse)
async def visits(page: str) -> AsyncIterable[ServerSentEvent]:
    yield ServerSentEvent(data=page)
    async with maker.begin() as db:
        db.add(Message(body=page))


@router.get("/news", response_class=EventSourceResponse)
async def news(user: Annotated[str, Depends(current_user)], db: Db) -> AsyncIterable[ServerSentEvent]:
    await db.commit()
    yield ServerSentEvent(data=user)


@router.get("/greeting")
async def greeting(user: Annotated[str, Depends(current_user)]) -> AsyncIterable[str]:
    yield f"Hello, {user}"
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    told: set[tuple[str, str]] = set()
    yield from _used_inside(analysis, told)
    yield from _held_open(analysis, {endpoint for _, endpoint in told})


def _held_open(analysis: Analysis, told: set[str]) -> Iterator[Draft]:
    """Streams that leave the session alone, but start while the endpoint's transaction is open."""
    facts = fastapi.lifecycle(analysis.settings.versions.get("fastapi"))
    known = facts.late and not facts.early  # else the dependency may have ended before the stream
    for function, seen in analysis.observations(Waited):
        if seen.kind != "stream" or seen.origin.kind != "param" or function.key in told:
            continue
        providers = analysis.request_sessions(function, seen.origin.name) if known else []
        late = [provider for provider, scope in providers if scope != "function"]
        around = state_session(analysis, function, seen.origin.name) if not seen.origin.path else None
        if around is not None:
            late.append(around)
        if not late:
            continue
        told.add(function.key)
        yield Draft(
            function,
            seen.loc,
            f"the stream of `{function.qualname}` starts while a transaction is open on the request's session "
            f"{_through(seen.origin)}: it stays open, and its connection taken, for as long as the client reads",
            "commit or roll back before the response is made",
            "the session is closed only when the stream is over",
            (
                step(late[0].module.path, late[0].facts.loc, f"{late[0].name} provides the session"),
                *opened_steps(seen.since),
                *chain_steps(seen.chain),
            ),
        )
    for function in analysis.functions:
        yield from _opened_before(analysis, function, told, known)


def _stream_of(analysis: Analysis, function: Function) -> tuple[Loc, frozenset[v.Origin]] | None:
    """Where an endpoint's stream begins, and the sessions whose transaction it ends itself before or meanwhile."""
    waits = [w for w in analysis.result(function).summary.waits if w.kind == "stream"]
    if waits:
        return (waits[0].chain[0].loc if waits[0].chain else waits[0].loc), waits[0].settled
    if analysis.hands_out_items(function) and lasts_as_long_as_its_client(function):
        seen = analysis.result(function).observations
        return function.facts.loc, frozenset(o.origin for o in seen if isinstance(o, (Committed, RolledBack)))
    return None


def _opened_before(analysis: Analysis, function: Function, told: set[str], known: bool) -> Iterator[Draft]:
    """Endpoints that stream while a dependency of theirs (authentication, say) has left a transaction open."""
    stream = _stream_of(analysis, function) if analysis.entries.kind(function) == "route" else None
    if stream is None or function.key in told:
        return
    loc, settled = stream
    names = [o.name for o in settled]
    ended = {p.key for name in names for p, _ in analysis.request_sessions(function, name)}
    ended |= {around.key for name in names if (around := state_session(analysis, function, name)) is not None}
    around_all = {middleware.key for middleware in analysis.state_sessions.values()}
    for name in function.parameters:
        for dependency, provider, since in analysis.left_open(function, name):
            lasts = known or provider.key in around_all
            if lasts and provider.key not in ended and function.key not in told:
                told.add(function.key)
                yield Draft(
                    function,
                    loc,
                    f"the stream of `{function.qualname}` starts while the transaction that `{dependency.qualname}` opened "
                    "is still open: it stays open, and its connection taken, for as long as the client reads",
                    "take the session into the endpoint and commit before the first chunk",
                    "the session is closed only when the stream is over",
                    (
                        step(provider.module.path, provider.facts.loc, f"{provider.name} provides the session"),
                        *opened_steps(since),
                    ),
                )


def _used_inside(analysis: Analysis, told: set[tuple[str, str]]) -> Iterator[Draft]:
    """Streams whose generator uses the request's session."""
    for function, seen in (*analysis.observations(Streamed), *endpoint_streams(analysis)):
        native = seen.generator is function
        for origin in seen.origins:
            providers = analysis.request_sessions(function, origin.name) if origin.kind == "param" else []
            if not providers or (seen.generator.key, function.key) in told:
                continue
            reason = _reason(analysis, seen.generator, {scope for _, scope in providers}, native)
            if not reason:
                continue
            told.add((seen.generator.key, function.key))
            provider = providers[0][0]
            yield Draft(
                seen.generator,
                _first_use(analysis, seen.generator),
                f"the stream of `{function.qualname}` uses the request's session {_through(origin)}: {reason}",
                "open a short session inside the generator, after the last chunk it does not need",
                "runs while the client reads" if native else "runs after the endpoint has returned",
                (
                    step(provider.module.path, provider.facts.loc, f"{provider.name} provides the session"),
                    *(
                        ()
                        if native
                        else (step(function.module.path, seen.loc, f"{function.qualname} returns the stream"),)
                    ),
                ),
            )


def _through(origin: v.Origin) -> str:
    """The parameter that is the session, or that leads to it."""
    return f"through `{spelled(origin.root)}`" if origin.path else f"`{spelled(origin)}`"


def _reason(analysis: Analysis, generator: Function, scopes: set[str], native: bool) -> str:
    if "function" in scopes:
        return 'with scope="function" it is closed before the first chunk, and what the stream writes is lost'
    if native:  # no version that closes early has such endpoints
        return _HELD if _suspends_open(analysis, generator, set()) else ""
    known = fastapi.lifecycle(analysis.settings.versions.get("fastapi"))
    also = f" ({known.other})" if known.other else ""
    if known.early and not known.late:
        return f"{known.text} closes it before the first chunk, and what the stream writes is lost{also}"
    if known.early:
        return f"FastAPI 0.106-0.117 close it before the first chunk, and what the stream writes is lost{also}"
    return _HELD if _suspends_open(analysis, generator, set()) else ""


def _suspends_open(analysis: Analysis, generator: Function, seen: set[str]) -> bool:
    """Whether the generator, or one it passes on, yields while the handed-in session has a transaction."""
    if generator.key in seen:
        return False
    seen.add(generator.key)
    result = analysis.result(generator)
    if any(isinstance(o, Suspended) and not o.owned for o in result.observations):
        return True
    inner = (analysis.table.functions.get(e.callee) for e in result.edges if e.how == "iterate")
    return any(_suspends_open(analysis, f, seen) for f in inner if f is not None)


def _first_use(analysis: Analysis, generator: Function) -> Loc:
    for event in analysis.result(generator).events:
        if event.kind in {"read", "write", "flush", "commit", "call", "iterate"}:
            return event.loc
    return generator.facts.loc
