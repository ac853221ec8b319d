"""A dependency commits after its `yield`, and FastAPI runs that only after the response was sent.

## What it does

Reports the commit of a FastAPI dependency with `yield` when endpoints rely on it (their writes are still uncommitted
when they return) and the FastAPI in use runs the code after the `yield` once the response is out. One finding per
dependency, at its commit, with the endpoints in the trace.

| FastAPI | code after `yield` |
|---|---|
| up to 0.105 | after the response |
| 0.106-0.117 | before the response (not reported) |
| 0.118 and later | after the response |
| 0.121 and later with `scope="function"` | before the response (not reported) |

## Why is this bad

The client is told HTTP 200 (or 201) before COMMIT is sent. A client that reads at once what it has just created gets
404. And when the commit fails (a deferred constraint, a serialisation failure, a lost connection), nobody hears of it:
the client has its 200, and the row is not there.

## Instead

Commit in the endpoint (or the service it calls) before it returns:

    async with db.begin():
        db.add(order)

or, on FastAPI 0.121 and later, end the dependency with the function, in the one alias that all endpoints share:

    Session = Annotated[AsyncSession, Depends(get_db, scope="function")]

All uses have to change together: a dependency used with two scopes is two sessions per request (SES114). An endpoint
that returns a stream, or hands the session to a background task, must not use `scope="function"` (SES501, SES402).

## When it is silent

FastAPI 0.106-0.117; endpoints that commit themselves and leave nothing to the dependency; endpoints that only read;
websockets; a dependency whose code after the `yield` only closes.

## Fix safety

Unsafe where there is one shared alias without streams behind it: `scope="function"` changes when every endpoint's
transaction ends. There is no fix otherwise.

## Options

- `target`: the FastAPI version. Without it a lock file decides, else the declared range; a range that admits both
  behaviours is reported, and the message says so.

## Symptom at run time

HTTP 200 in the access log, then `IntegrityError` (or `OperationalError`) in the error log of the same request, and no
row; or 404 right after 201.

## References

- https://fastapi.tiangolo.com/advanced/advanced-dependencies/#dependencies-with-yield-and-scope
- https://fastapi.tiangolo.com/release-notes/
- https://github.com/fastapi/fastapi/pull/14099
- https://github.com/fastapi/fastapi/pull/14262
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.late_commits import relying, written_commit
from sessionlint.facts.shape import Loc
from sessionlint.findings import Severity
from sessionlint.project.frameworks import fastapi
from sessionlint.project.symbols import Function
from sessionlint.rules.base import Draft, step

SEVERITY = Severity.ERROR
DEFAULT = True

#: endpoints named in the trace
_SHOWN = 4

BAD = (
    """
# --- pyproject.toml ---
[project]
name = "orders"
version = "1"
dependencies = ["fastapi==0.128.0", "sqlalchemy[asyncio]>=2"]

# --- app/db.py ---
from collections.abc import AsyncIterator

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    article: Mapped[str]


async def get_db() -> AsyncIterator[AsyncSession]:
    async with maker() as db:
        try:
            yield db
            await db.commit()  # SES212
        except Exception:
            await db.rollback()
            raise

# --- app/repositories.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Order


class OrderRepository:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def add(self, article: str) -> None:
        self._db.add(Order(article=article))
        await self._db.flush()

# --- app/routes.py ---
from typing import Annotated

from fastapi import APIRouter, Depends
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import get_db
from app.repositories import OrderRepository

router = APIRouter()


def get_orders(db: Annotated[AsyncSession, Depends(get_db)]) -> OrderRepository:
    return OrderRepository(db)


@router.post("/orders", status_code=201)
async def create(article: str, orders: Annotated[OrderRepository, Depends(get_orders)]) -> str:
    await orders.add(article)
    return article
""",
    """
# --- requirements.txt ---
fastapi>=0.115
sqlalchemy>=2

# --- app/db.py ---
from collections.abc import Iterator

from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

SessionLocal = sessionmaker(create_engine("postgresql+psycopg://app@db/app"))


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    article: Mapped[str]


def get_db() -> Iterator[Session]:
    with SessionLocal.begin() as db:
        yield db  # SES212

# --- app/routes.py ---
from fastapi import Depends, FastAPI
from sqlalchemy.orm import Session

from app.db import Order, get_db

app = FastAPI()


@app.put("/orders/{order_id}")
def change(order_id: int, article: str, db: Session = Depends(get_db)) -> str:
    order = db.get_one(Order, order_id)
    order.article = article
    return article
""",
)

GOOD = (
    '''
# --- pyproject.toml ---
[project]
name = "orders"
version = "1"
dependencies = ["fastapi==0.128.0", "sqlalchemy[asyncio]>=2"]

# --- app/db.py ---
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    article: Mapped[str]


async def get_db() -> AsyncIterator[AsyncSession]:
    async with maker.begin() as db:
        yield db


async def get_plain_db() -> AsyncIterator[AsyncSession]:
    async with maker() as db:
        yield db


DbSession = Annotated[AsyncSession, Depends(get_db, scope="function")]

# --- app/routes.py ---
from fastapi import APIRouter, Depends, WebSocket
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import DbSession, Order, get_db, get_plain_db

router = APIRouter()


@router.post("/orders")
async def create(article: str, db: DbSession) -> str:
    """The dependency ends with the function, before the response."""
    db.add(Order(article=article))
    return article


@router.post("/orders/plain")
async def create_plain(article: str, db: AsyncSession = Depends(get_plain_db)) -> str:
    """The endpoint commits; the dependency only closes."""
    db.add(Order(article=article))
    await db.commit()
    return article


@router.post("/orders/committed")
async def create_committed(article: str, db: AsyncSession = Depends(get_db)) -> str:
    """Nothing is left for the dependency to commit."""
    db.add(Order(article=article))
    await db.commit()
    return article


@router.get("/orders")
async def orders(db: AsyncSession = Depends(get_db)) -> list[str]:
    return list((await db.scalars(select(Order.article))).all())


@router.websocket("/orders")
async def listen(socket: WebSocket, db: AsyncSession = Depends(get_db)) -> None:
    """There is no response that could go out too early."""
    await socket.accept()
    db.add(Order(article=await socket.receive_text()))
''',
    """
# --- pyproject.toml ---
[project]
name = "orders"
version = "1"
dependencies = ["fastapi>=0.110,<0.116", "sqlalchemy[asyncio]>=2"]

# --- app/main.py ---
from collections.abc import AsyncIterator

from fastapi import Depends, FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)
app = FastAPI()


async def get_db() -> AsyncIterator[AsyncSession]:
    async with maker() as db:
        yield db
        await db.commit()


@app.post("/visits")
async def visit(page: str, db: AsyncSession = Depends(get_db)) -> None:
    await db.execute(text("insert into visits (page) values (:p)"), {"p": page})
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    known = fastapi.lifecycle(analysis.settings.versions.get("fastapi"))
    for key, endpoints in (relying(analysis) if known.late else {}).items():
        provider = analysis.table.functions[key]
        first = analysis.entries.names.get(endpoints[0][0].key, endpoints[0][0].qualname)
        count = len({f.key for f, _ in endpoints})
        others = f" and {count - 1} more endpoint{'s' if count > 2 else ''}" if count > 1 else ""
        yield Draft(
            provider,
            _commit_of(analysis, provider),
            f"`{provider.name}` commits only after the response to `{first}`{others} was sent: {_reason(known)}",
            'commit before the endpoint returns, or `Depends(..., scope="function")` in every use (FastAPI >= 0.121)',
            "HTTP 200 goes out first; a failing commit loses the data unnoticed",
            tuple(
                step(f.module.path, one.loc, f"{f.qualname} leaves its writes to {provider.name}")
                for f, one in {f.key: (f, one) for f, one in reversed(endpoints)}.values()
            )[::-1][:_SHOWN],
        )


def _reason(known: fastapi.Lifecycle) -> str:
    if known.early:
        what = "0.118 and later (and those before 0.106) run the code after `yield` that late"
        return f"{known.text}; {what}" + (f"; {known.other}" if known.other else "")
    return f"{known.text} runs the code after `yield` that late" + (f"; {known.other}" if known.other else "")


def _commit_of(analysis: Analysis, provider: Function) -> Loc:
    """The commit after the yield; the yield where the end of its block commits."""
    written = written_commit(analysis, provider)
    if written is not None:
        return written
    yields = [e.loc for e in analysis.result(provider).events if e.kind == "yield"]
    return yields[-1] if yields else provider.facts.loc
