"""A function waits for the network, a timer or another program while its session has a transaction open.

## What it does

Reports a slow call - an HTTP client, an LLM or cloud SDK, `asyncio.sleep`, a subprocess - that is reached with a
transaction open on some session: after a query, a flush or DML, and before the commit or rollback. The call may be in
the function or behind any number of the project's own functions; the transaction may have been opened by a callee.

## Why is this bad

A mere SELECT opens a transaction and takes a connection from the pool, and both last until commit, rollback or close.
An LLM answers in seconds, a partner's server perhaps never: for that long the connection serves nobody, row locks keep
other writers waiting, and PostgreSQL shows `idle in transaction`. A pool of five is exhausted by five such requests,
and then the health check times out as well.

## Instead

End the transaction before the call; the session takes a connection again when it needs one:

    place = await db.get(Place, place_id)
    await db.commit()                        # or rollback(), or leave the block: the connection returns to the pool
    reply = await http.get(url, params={"q": place.address})
    place.lat = reply.json()["lat"]
    await db.commit()

With `expire_on_commit=False` the objects stay readable in between. What must be true of the row at the end has to be
checked again, for others may have written meanwhile.

## When it is silent

No transaction is open: before the first statement, after `add()` alone, after commit, rollback or close. A task that is
only started is no wait; a call that cannot be resolved is not guessed about. Scripts and migrations are left alone.

## Fix safety

No fix: where the transaction may end is for its owner to say.

## Options

`slow-awaits`: the modules and dotted names that count, from outside (`httpx`) or of the project (`app.llm.complete`).

## Symptom at run time

Connections `idle in transaction` for the time of the call, and for the others `sqlalchemy.exc.TimeoutError: QueuePool
limit of size 5 overflow 10 reached, connection timed out`.

## References

- https://docs.sqlalchemy.org/en/20/errors.html#error-3o7r
- https://docs.sqlalchemy.org/en/20/orm/session_transaction.html
- https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-IDLE-IN-TRANSACTION-SESSION-TIMEOUT
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import Waited
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, chain_steps, opened_steps, spelled, step

SEVERITY = Severity.WARNING
DEFAULT = True

BAD = (
    """
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Place(Base):
    __tablename__ = "places"
    id: Mapped[int] = mapped_column(primary_key=True)
    address: Mapped[str]
    lat: Mapped[float | None]

# --- app/maps.py ---
import httpx


class Maps:
    def __init__(self, base: str) -> None:
        self._http = httpx.AsyncClient(base_url=base)

    async def latitude(self, address: str) -> float:
        return await self._ask(address)

    async def _ask(self, address: str) -> float:
        reply = await self._http.get("/search", params={"q": address})
        return reply.json()["lat"]

# --- app/service.py ---
import asyncio

import aiohttp
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.maps import Maps
from app.models import Place


class Places:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def find(self, place_id: int) -> Place:
        return (await self._db.scalars(select(Place).where(Place.id == place_id))).one()


class Geocoder:
    def __init__(self, db: AsyncSession, maps: Maps) -> None:
        self._places = Places(db)
        self._db = db
        self._maps = maps

    async def locate(self, place_id: int) -> None:
        place = await self._places.find(place_id)
        place.lat = await self._maps.latitude(place.address)  # SES503
        await self._db.commit()


async def refresh(db: AsyncSession, url: str) -> None:
    place = await db.get(Place, 1)
    async with aiohttp.ClientSession() as client:
        async with client.get(url) as reply:  # SES503
            place.lat = (await reply.json())["lat"]  # SES503
    await db.commit()


async def wait_for_address(db: AsyncSession, place_id: int) -> str:
    while True:
        address = await db.scalar(select(Place.address).where(Place.id == place_id))
        if address:
            return address
        await asyncio.sleep(1)  # SES503
""",
    """
# --- app/rename.py ---
from fastapi import Depends, FastAPI
from openai import OpenAI
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session, sessionmaker

app = FastAPI()
maker = sessionmaker(create_engine("postgresql+psycopg://app@db/app"))
llm = OpenAI()


def get_db():
    with maker() as db:
        yield db


def title_of(messages: list[str]) -> str:
    answer = llm.chat.completions.create(model="small", messages=[{"role": "user", "content": m} for m in messages])
    return answer.choices[0].message.content


@app.post("/chats/{chat_id}/title")
def rename(chat_id: int, db: Session = Depends(get_db)) -> str:
    messages = db.scalars(text("select content from messages where chat_id = :id"), {"id": chat_id}).all()
    title = title_of(messages)  # SES503
    db.execute(text("update chats set title = :title where id = :id"), {"title": title, "id": chat_id})
    db.commit()
    return title
""",
)

GOOD = (
    '''
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Place(Base):
    __tablename__ = "places"
    id: Mapped[int] = mapped_column(primary_key=True)
    address: Mapped[str]
    lat: Mapped[float | None]

# --- app/maps.py ---
import httpx


class Maps:
    def __init__(self, base: str) -> None:
        self._http = httpx.AsyncClient(base_url=base)
        self._known: dict[str, float] = {}

    async def latitude(self, address: str) -> float:
        return (await self._http.get("/search", params={"q": address})).json()["lat"]

    async def known(self, address: str) -> float | None:
        return self._known.get(address)

    async def close(self) -> None:
        await self._http.aclose()

# --- app/service.py ---
import asyncio

import httpx
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from app.maps import Maps
from app.models import Place

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


async def locate(db: AsyncSession, maps: Maps, place_id: int) -> None:
    """The transaction ends before the call."""
    place = await db.get(Place, place_id)
    await db.commit()
    place.lat = await maps.latitude(place.address)
    await db.commit()
    await asyncio.sleep(1)


async def locate_in_two_sessions(maps: Maps, place_id: int) -> None:
    async with maker() as db:
        address = await db.scalar(select(Place.address).where(Place.id == place_id))
    lat = await maps.latitude(address)
    async with maker.begin() as db:
        place = await db.get(Place, place_id)
        place.lat = lat


async def create(db: AsyncSession, maps: Maps, address: str) -> None:
    """The call comes before the first statement; what is only added holds no connection."""
    lat = await maps.latitude(address)
    place = Place(address=address, lat=lat)
    db.add(place)
    await asyncio.sleep(0.1)
    await db.commit()


async def look(db: AsyncSession, maps: Maps, place_id: int) -> float | None:
    """Nothing leaves the process: a cache, a turn for other tasks, a client that is made or closed."""
    place = await db.get(Place, place_id)
    await asyncio.sleep(0)
    client = httpx.AsyncClient(timeout=httpx.Timeout(3))
    await client.aclose()
    await maps.close()
    return await maps.known(place.address)


async def notify(db: AsyncSession, url: str, place_id: int) -> None:
    """A task that is only started does not keep the transaction waiting."""
    await db.get(Place, place_id)
    task = asyncio.create_task(httpx.AsyncClient().post(url))
    await db.commit()
    await task


async def retried(place_id: int) -> Place | None:
    """The session is closed before the pause."""
    for pause in (1, 2, 4):
        try:
            async with maker() as db:
                return await db.get(Place, place_id)
        except OSError:
            await asyncio.sleep(pause)
    return None


class Facade:
    """The callee ends the transaction of the session it is handed, then waits."""

    def __init__(self, db: AsyncSession, maps: Maps) -> None:
        self._db = db
        self._maps = maps

    async def both(self, place_id: int) -> None:
        await self._db.get(Place, place_id)
        await self._finish_and_ask()

    async def _finish_and_ask(self) -> None:
        await self._db.commit()
        await self._maps.latitude("x")
''',
    """
# --- scripts/fill.py ---
import time

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session


def fill() -> None:
    with Session(create_engine("postgresql+psycopg://app@db/app")) as db:
        db.execute(text("insert into places values (1)"))
        time.sleep(1)
        db.commit()
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    told = set()
    for function, seen in analysis.observations(Waited):
        if seen.kind != "slow" or (function.key, seen.loc) in told or analysis.is_script(function):
            continue
        told.add((function.key, seen.loc))
        called = seen.chain[0].text if seen.chain else seen.text
        yield Draft(
            function,
            seen.loc,
            f"`{function.qualname}` waits for `{called}` while a transaction is open on {spelled_session(seen)}",
            "commit or roll back before the call, so that the connection goes back to the pool",
            "the transaction lasts as long as the answer takes",
            (
                *opened_steps(seen.since),
                *chain_steps(seen.chain),
                step(seen.path, seen.at, f"{seen.text} leaves the process"),
            ),
        )


def spelled_session(seen: Waited) -> str:
    """The session as the function knows it."""
    return "the session it opened" if seen.owned else f"`{spelled(seen.origin)}`"
