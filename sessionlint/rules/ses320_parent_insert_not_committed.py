"""A parent row is inserted but not committed when control leaves to code that relies on it.

## What it does

Follows the insert of a *parent*: a model that a foreign key of another model points at. Reports the place where
control leaves while that insert is uncommitted, and where this matters:

- a call that inserts a child through **another** session,
- the start of a task, background job or queue message that opens its own session,
- a `yield` to a client, or the start of a stream,
- the end of an entry point (a route, a command, a job) without any commit.

The insert may be many calls away and in another file; the trace shows the chain.

## Why is this bad

Another session works in another transaction and cannot see the parent: its insert fails with a foreign key violation,
or finds nothing. A client that was sent the id asks for a row that does not exist yet. At the end of an entry point
nobody is left to commit, and the row is rolled back without an error. When the commit comes a little later, the fault
depends on timing. SQLite does not check foreign keys unless told to, so tests on SQLite do not show it.

## Instead

Commit in the caller, at the boundary, before the reported line:

    customer = await CustomerRepository(db).insert(name)
    await db.commit()
    asyncio.create_task(write_welcome_invoice(customer.id))

Or write parent and child through the same session: there `flush()` is enough, no commit is needed between them. Do not
commit in the repository (SES201).

## When it is silent

Parent and child are written through one session, the boundary or its provider commits before control leaves, the
insert happens in a savepoint of such a transaction, or the path only reads.

## Fix safety

Unsafe: inserts `await db.commit()` before the reported line where the function owns the session. It makes visible early
what was one transaction before. No fix in a function that was handed its session.

## Options

`parent-models`: models to treat as parents, instead of those found from the foreign keys.

## Symptom at run time

`sqlalchemy.exc.IntegrityError: ... violates foreign key constraint` in the other session (PostgreSQL), or no error and
0 rows at the end of an entry point.

## References

- https://www.postgresql.org/docs/current/transaction-iso.html#XACT-READ-COMMITTED
- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#flushing
- https://www.sqlite.org/foreignkeys.html#fk_enable
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.afterwards import is_lost
from sessionlint.effects.observations import Ended, Exposed, Suspended
from sessionlint.effects.state import Write
from sessionlint.findings import Severity
from sessionlint.project.symbols import Function
from sessionlint.rules.base import Draft, chain_steps, local_place, write_steps

SEVERITY = Severity.ERROR
DEFAULT = True

BAD = (
    """
# --- app/db.py ---
from collections.abc import AsyncIterator

from sqlalchemy import ForeignKey
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Invoice(Base):
    __tablename__ = "invoices"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    customer: Mapped[Customer] = relationship()


async def get_db() -> AsyncIterator[AsyncSession]:
    async with maker() as db:
        yield db

# --- app/customers.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Customer


class CustomerRepository:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def insert(self, name: str) -> Customer:
        customer = Customer(name=name)
        self._db.add(customer)
        await self._db.flush()
        return customer


class CustomerService:
    def __init__(self, customers: CustomerRepository) -> None:
        self._customers = customers

    async def register(self, name: str) -> Customer:
        return await self._customers.insert(name.strip())

# --- app/tasks.py ---
from app.db import Invoice, maker


async def write_welcome_invoice(customer_id: int) -> None:
    async with maker.begin() as db:
        db.add(Invoice(customer_id=customer_id))

# --- app/routes.py ---
import asyncio

from fastapi import APIRouter, Depends
from sqlalchemy.ext.asyncio import AsyncSession

from app.customers import CustomerRepository, CustomerService
from app.db import get_db
from app.tasks import write_welcome_invoice

router = APIRouter()


@router.post("/customers")
async def register(name: str, db: AsyncSession = Depends(get_db)) -> int:
    customer = await CustomerService(CustomerRepository(db)).register(name)
    asyncio.create_task(write_welcome_invoice(customer.id))  # SES320
    await db.commit()
    return customer.id


@router.post("/customers/now")
async def register_now(name: str, db: AsyncSession = Depends(get_db)) -> int:
    customer = await CustomerService(CustomerRepository(db)).register(name)
    await write_welcome_invoice(customer.id)  # SES320
    await db.commit()
    return customer.id
""",
    '''
# --- app/db.py ---
from collections.abc import AsyncIterator

from sqlalchemy import ForeignKey
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Thread(Base):
    __tablename__ = "threads"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]


class Message(Base):
    __tablename__ = "messages"
    id: Mapped[int] = mapped_column(primary_key=True)
    thread_id: Mapped[int] = mapped_column(ForeignKey("threads.id"))
    thread: Mapped[Thread] = relationship()


async def get_db() -> AsyncIterator[AsyncSession]:
    """Only closes: committing is the business of its users."""
    async with maker() as db:
        yield db

# --- app/threads.py ---
from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Thread, get_db


class ThreadService:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def start(self, title: str) -> Thread:
        thread = Thread(title=title)
        self._db.add(thread)
        await self._db.flush()
        return thread


def get_service(db: AsyncSession = Depends(get_db)) -> ThreadService:
    return ThreadService(db)

# --- app/routes.py ---
from fastapi import APIRouter, Depends

from app.threads import ThreadService, get_service

router = APIRouter()


@router.post("/threads")
async def start(title: str, service: ThreadService = Depends(get_service)) -> int:
    thread = await service.start(title)
    return thread.id  # SES320
''',
    """
# --- app/db.py ---
from sqlalchemy import ForeignKey
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Thread(Base):
    __tablename__ = "threads"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]


class Message(Base):
    __tablename__ = "messages"
    id: Mapped[int] = mapped_column(primary_key=True)
    thread_id: Mapped[int] = mapped_column(ForeignKey("threads.id"))
    thread: Mapped[Thread] = relationship()
    body: Mapped[str]

# --- app/routes.py ---
from collections.abc import AsyncIterator

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from app.db import Message, Thread, maker

router = APIRouter()


@router.post("/answers")
async def answer(question: str) -> StreamingResponse:
    async def events() -> AsyncIterator[str]:
        async with maker() as db:
            thread = Thread(title=question)
            db.add(thread)
            await db.flush()
            yield f"event: thread\\ndata: {thread.id}\\n\\n"  # SES320
            db.add(Message(thread_id=thread.id, body=question))
            await db.commit()

    return StreamingResponse(events(), media_type="text/event-stream")
""",
)

GOOD = (
    '''
# --- app/db.py ---
from collections.abc import AsyncIterator

from sqlalchemy import ForeignKey
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Invoice(Base):
    __tablename__ = "invoices"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    customer: Mapped[Customer] = relationship()


async def get_db() -> AsyncIterator[AsyncSession]:
    async with maker() as db:
        yield db

# --- app/customers.py ---
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import Customer, Invoice


class CustomerRepository:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def insert(self, name: str) -> Customer:
        customer = Customer(name=name)
        self._db.add(customer)
        await self._db.flush()
        return customer

    async def insert_in_savepoint(self, name: str) -> Customer:
        customer = Customer(name=name)
        async with self._db.begin_nested():
            self._db.add(customer)
        return customer

    async def find(self, name: str) -> Customer | None:
        return (await self._db.scalars(select(Customer).where(Customer.name == name))).first()

    async def bill(self, customer: Customer) -> None:
        self._db.add(Invoice(customer=customer))
        await self._db.flush()

# --- app/tasks.py ---
from app.db import Invoice, maker


async def write_welcome_invoice(customer_id: int) -> None:
    async with maker.begin() as db:
        db.add(Invoice(customer_id=customer_id))

# --- app/routes.py ---
import asyncio

from fastapi import APIRouter, Depends
from sqlalchemy.ext.asyncio import AsyncSession

from app.customers import CustomerRepository
from app.db import get_db
from app.tasks import write_welcome_invoice

router = APIRouter()


@router.post("/customers")
async def register(name: str, db: AsyncSession = Depends(get_db)) -> int:
    """Committed before the task that relies on it starts."""
    customer = await CustomerRepository(db).insert(name)
    await db.commit()
    asyncio.create_task(write_welcome_invoice(customer.id))
    return customer.id


@router.post("/customers/billed")
async def register_billed(name: str, db: AsyncSession = Depends(get_db)) -> int:
    """Parent and child through one session: flush is enough between them."""
    customers = CustomerRepository(db)
    customer = await customers.insert(name)
    await customers.bill(customer)
    await db.commit()
    return customer.id


@router.post("/customers/careful")
async def register_careful(name: str, db: AsyncSession = Depends(get_db)) -> int:
    """A savepoint inside the transaction that the boundary commits."""
    customer = await CustomerRepository(db).insert_in_savepoint(name)
    await db.commit()
    return customer.id


@router.get("/customers/{name}")
async def find(name: str, db: AsyncSession = Depends(get_db)) -> int | None:
    """Only reads."""
    customer = await CustomerRepository(db).find(name)
    if customer is None:
        return None
    asyncio.create_task(write_welcome_invoice(customer.id))
    return customer.id
''',
    '''
# --- app/db.py ---
from sqlalchemy import ForeignKey
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Thread(Base):
    __tablename__ = "threads"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]


class Message(Base):
    __tablename__ = "messages"
    id: Mapped[int] = mapped_column(primary_key=True)
    thread_id: Mapped[int] = mapped_column(ForeignKey("threads.id"))
    thread: Mapped[Thread] = relationship()
    body: Mapped[str]

# --- app/routes.py ---
from collections.abc import AsyncIterator

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from app.db import Message, Thread, maker

router = APIRouter()


@router.post("/answers")
async def answer(question: str) -> StreamingResponse:
    """The thread is committed before the client hears of it."""

    async def events() -> AsyncIterator[str]:
        async with maker.begin() as db:
            thread = Thread(title=question)
            db.add(thread)
        yield f"event: thread\\ndata: {thread.id}\\n\\n"
        async with maker.begin() as db:
            db.add(Message(thread_id=thread.id, body=question))

    return StreamingResponse(events(), media_type="text/event-stream")
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function, seen in analysis.observations(Exposed):
        parent = _parent_insert(analysis, seen.writes)
        draft = _exposed(analysis, function, seen, parent) if parent is not None else None
        if draft is not None:
            yield draft
    streams: dict[str, Draft] = {}
    for function, yielded in analysis.observations(Suspended):
        parent = _parent_insert(analysis, yielded.writes)
        if parent is not None and function.key in analysis.streamed:
            draft = _suspended(function, yielded, parent)
            known = streams.get(function.key)
            if known is None or draft.loc < known.loc:
                streams[function.key] = draft
    yield from streams.values()
    for function, end in analysis.observations(Ended):
        parent = _parent_insert(analysis, end.writes)
        draft = _ended(analysis, function, end, parent) if parent is not None else None
        if draft is not None:
            yield draft


def _parent_insert(analysis: Analysis, writes: tuple[Write, ...]) -> Write | None:
    """The insert, among pending writes, of a model that another model's foreign key points at."""
    named = analysis.settings.parent_models
    for write in writes:
        if write.kind == "insert" and write.model is not None:
            if write.model.name in named or analysis.tables.is_parent(write.model):
                return write
    return None


def _exposed(analysis: Analysis, function: Function, seen: Exposed, parent: Write) -> Draft | None:
    assert parent.model is not None
    name = parent.model.name
    if seen.kind == "session":
        children = [m for m in seen.models if analysis.tables.is_child_of(m, parent.model)]
        if not children:
            return None
        what = f"a `{children[0].name}` that refers to it is inserted through another session"
    elif seen.kind == "spawn":
        what = f"`{seen.text}` starts and opens a session of its own"
    else:
        if function.key in analysis.streamed:
            return None
        what = f"the stream `{seen.text}` starts"
    return Draft(
        function,
        seen.loc,
        f"{what} while the `{name}` insert is uncommitted",
        "commit in the caller before this line, not in the repository",
        f"nobody else sees the `{name}` row yet",
        (*write_steps(parent), *chain_steps(seen.chain)),
    )


def _suspended(function: Function, seen: Suspended, parent: Write) -> Draft:
    assert parent.model is not None
    name = parent.model.name
    return Draft(
        function,
        seen.loc,
        f"`{function.qualname}` streams to the client while the `{name}` insert is uncommitted",
        "commit in this function (or its caller) before the first chunk, not in the repository",
        "the transaction stays open until the stream ends",
        write_steps(parent),
    )


def _ended(analysis: Analysis, function: Function, seen: Ended, parent: Write) -> Draft | None:
    assert parent.model is not None
    if seen.committed or not is_lost(analysis, function, seen.origin):
        return None
    return Draft(
        function,
        seen.loc if seen.leaving == "return" else local_place(parent),
        f"`{function.qualname}` ends without a commit: the `{parent.model.name}` insert is lost, and rows that refer to it fail",
        "commit here, at the boundary, before the response is returned",
        "rolled back when the request ends",
        write_steps(parent),
    )
