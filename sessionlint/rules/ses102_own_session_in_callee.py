"""A function that already has a session opens a second one, or is called from inside one and opens its own.

## What it does

Reports the place where a second session is opened although one is at hand: as a parameter, as `self._db`, or, across
calls, because the caller holds a session with work in it at that moment. The caller is shown in the trace. Where one
method calls another of the same object, which opens its own although the object holds one, the finding stands at the call;
where the other is opened is SES101. A function written inside one that was handed a session, and awaited by it, is
reported when it commits a session of its own; short sessions that only read, one per concurrent task, are not.

Not reported: savepoints (`begin_nested`) and `no_autoflush`, which are no sessions; and functions marked as an
independent transaction, for rows that must survive the caller's rollback (failure log, outbox).

## Why is this bad

Two sessions are two database transactions on two connections. The second does not see what the first has flushed, so a
foreign key does not find its parent. Whatever the second commits stays when the first rolls back. And each such call
holds two connections at a time: with a pool of ten, ten concurrent requests wait for each other until the pool times
out.

## Instead

Pass the session on and write through it. If the rows must survive a rollback of the caller, say so: decorate the
function with `@independent_transaction` or write `# sessionlint: ignore[SES102] -- reason`.

## Fix safety

There is no fix: the second session's own commit, and what it must survive, is a decision.

## Options

- `session-factories`, `session-providers`: further dotted names that open sessions.

## Symptom at run time

- PostgreSQL: `sqlalchemy.exc.IntegrityError: ... ForeignKeyViolationError: insert or update on table "..." violates
  foreign key constraint "..."`.
- SQLite: `sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) database is locked`.
- Under load: `sqlalchemy.exc.TimeoutError: QueuePool limit of size ... reached, connection timed out`.

## References

- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#when-do-i-construct-a-session-when-do-i-commit-it-and-when-do-i-close-it
- https://docs.sqlalchemy.org/en/20/errors.html#error-3o7r
- https://github.com/bitcart/bitcart/issues/584
- https://github.com/topoteretes/cognee/pull/4389
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import Committed, Created, Exposed
from sessionlint.findings import Severity
from sessionlint.project.symbols import Function
from sessionlint.rules.base import Draft, callers_steps, chain_steps, described, spelled, step, write_steps

SEVERITY = Severity.ERROR
DEFAULT = True
YIELDS_TO = ("SES105", "SES106", "SES117", "function:SES116")

BAD = (
    """
# --- app/db.py ---
import os
from collections.abc import AsyncIterator

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


async def get_db() -> AsyncIterator[AsyncSession]:
    async with open_session() as db:
        yield db
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    article: Mapped[str]


class Entry(Base):
    __tablename__ = "entrys"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int]

# --- app/orders.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import open_session
from app.models import Entry, Order


class OrderService:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def place(self, article: str) -> None:
        order = Order(article=article)
        self._db.add(order)
        await self._db.flush()
        async with open_session() as own:  # SES102
            own.add(Entry(order_id=order.id))
            await own.commit()


async def cancel(db: AsyncSession, order: Order) -> None:
    await db.delete(order)
    async with open_session.begin() as own:  # SES102
        own.add(Entry(order_id=order.id))
""",
    """
# --- app/db.py ---
import os
from collections.abc import AsyncIterator

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


async def get_db() -> AsyncIterator[AsyncSession]:
    async with open_session() as db:
        yield db
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    article: Mapped[str]


class Entry(Base):
    __tablename__ = "entrys"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int]

# --- app/journal.py ---
from app.db import open_session
from app.models import Entry


async def record(order_id: int) -> None:
    async with open_session() as own:  # SES102
        own.add(Entry(order_id=order_id))
        await own.commit()


# --- app/orders.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.journal import record
from app.models import Order


async def place(db: AsyncSession, article: str) -> None:
    order = Order(article=article)
    db.add(order)
    await db.flush()
    await record(order.id)
""",
)

GOOD = (
    """
# --- app/db.py ---
import os
from collections.abc import AsyncIterator

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


async def get_db() -> AsyncIterator[AsyncSession]:
    async with open_session() as db:
        yield db
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    article: Mapped[str]


class Entry(Base):
    __tablename__ = "entrys"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int]

# --- app/orders.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Entry, Order


async def record(db: AsyncSession, order_id: int) -> None:
    db.add(Entry(order_id=order_id))


async def place(db: AsyncSession, article: str) -> None:
    order = Order(article=article)
    db.add(order)
    await db.flush()
    with db.no_autoflush:
        async with db.begin_nested():
            await record(db, order.id)
""",
    '''
# --- app/db.py ---
import os
from collections.abc import AsyncIterator

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


async def get_db() -> AsyncIterator[AsyncSession]:
    async with open_session() as db:
        yield db
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Failure(Base):
    __tablename__ = "failures"
    id: Mapped[int] = mapped_column(primary_key=True)
    reason: Mapped[str]

# --- app/failures.py ---
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from app.db import open_session
from app.models import Failure

F = TypeVar("F", bound=Callable[..., object])


def independent_transaction(function: F) -> F:
    """Marks a function whose rows must survive the caller's rollback."""
    return function


@independent_transaction
async def record_failure(db: AsyncSession, reason: str) -> None:
    who = db.info.get("who", "system")
    async with open_session.begin() as own:
        own.add(Failure(reason=f"{who}: {reason}"))
''',
    """
# --- app/db.py ---
import os
from collections.abc import AsyncIterator

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


async def get_db() -> AsyncIterator[AsyncSession]:
    async with open_session() as db:
        yield db
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Event(Base):
    __tablename__ = "events"
    id: Mapped[int] = mapped_column(primary_key=True)
    sent: Mapped[bool]

# --- app/relay.py ---
from sqlalchemy import delete, select

from app.db import open_session
from app.models import Event


async def relay() -> int:
    async with open_session() as db:
        keys = (await db.scalars(select(Event.id))).all()
    for key in keys:
        async with open_session.begin() as db:
            await db.execute(delete(Event).where(Event.id == key))
    return len(keys)
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    told = {opener.key for _, _, opener in _among_methods(analysis)}
    for caller, exposed, opener in _among_methods(analysis):
        write = exposed.writes[-1]
        yield Draft(
            caller,
            exposed.loc,
            f"`{opener.qualname}` opens its own session, and `{caller.qualname}` calls it with {described(write)} pending",
            "use the session that the object holds; mark a transaction that must survive on its own as independent",
            "does not see what was flushed before",
            (
                *write_steps(write),
                *chain_steps(exposed.chain),
                step(opener.module.path, exposed.at, "the second session is opened here"),
            ),
        )
    for function, seen in analysis.observations(Created):
        if _is_independent(function) or function.key in analysis.providers:
            continue
        if seen.at_hand is None:
            yield from _beside_the_one_around(analysis, function, seen)
            continue
        if function.key in told:
            continue  # told at the call, where the harm is done
        if analysis.is_script(function) or (seen.provider is not None and seen.given):
            continue  # migrations; providers whose arguments choose another database
        if analysis.entries.boundary(function) and seen.at_hand.path and seen.at_hand.name not in function.parameters:
            continue  # spawned: what the object around it holds is not its to use
        at_hand = "the session opened around it" if seen.at_hand.kind == "local" else f"`{spelled(seen.at_hand)}`"
        yield Draft(
            function,
            seen.loc,
            f"`{function.qualname}` opens a second session with `{seen.text}` although it has {at_hand}",
            "use the session at hand; mark a transaction that must survive on its own as independent",
            "does not see what the first session has flushed",
            callers_steps(analysis, function),
        )
    yield from _below_a_caller(analysis)


def _beside_the_one_around(analysis: Analysis, function: Function, seen: Created) -> Iterator[Draft]:
    """A function inside one that was handed a session commits its own, and the outer one waits for it to do so."""
    outer = function.parent
    handed = analysis.engine.session_parameters(outer) if outer is not None else []
    if outer is None or not handed or handed[0].path or analysis.entries.boundary(outer) or _is_independent(outer):
        return
    how = {(caller.key, kind) for caller, _, kind in analysis.callers.get(function.key, ())}
    if how != {(outer.key, "call")} or analysis.is_script(outer) or outer.key in analysis.providers:
        return
    committed = (o for o in analysis.result(function).observations if isinstance(o, Committed))
    if any(o.origin == seen.origin for o in committed):
        yield Draft(
            function,
            seen.loc,
            f"`{function.qualname}` commits in a second session from `{seen.text}`, although `{outer.qualname}`, which "
            f"waits for it, was handed `{spelled(handed[0])}`",
            "use the session at hand; mark a transaction that must survive on its own as independent",
            "does not see what the first session has flushed, and may wait for its locks",
            callers_steps(analysis, function),
        )


def _below_a_caller(analysis: Analysis) -> Iterator[Draft]:
    """A callee that writes through a session of its own while its caller has uncommitted writes."""
    for function, seen in analysis.observations(Exposed):
        opener = analysis.table.functions.get(seen.opener)
        if seen.kind != "session" or not seen.models or opener is None or opener is function:
            continue
        if opener.module.is_test or _is_independent(opener) or opener.key in analysis.providers:
            continue
        if opener.owner is not None and opener.owner is function.owner:
            continue  # methods of one object are told at the call
        if _is_only_a_row(analysis, function, seen):
            continue  # whose session may be closed: the opener is there to save it
        write = seen.writes[-1]
        yield Draft(
            opener,
            seen.at,
            f"`{opener.qualname}` opens its own session while `{function.qualname}` holds one with {described(write)}",
            "hand the session down as a parameter; mark a transaction that must survive on its own as independent",
            "does not see what the caller has flushed",
            (*write_steps(write), *chain_steps(seen.chain)),
        )


def _is_only_a_row(analysis: Analysis, function: Function, seen: Exposed) -> bool:
    """The caller changed rows it was given or was returned; a session it has not."""
    if seen.origin.kind == "local":
        opened = (o.origin for o in analysis.result(function).observations if isinstance(o, Created))
        return seen.origin.root not in {origin.root for origin in opened}
    if seen.origin.kind != "param" or seen.origin.name not in function.parameters:
        return False
    return not analysis.infer.holds(analysis.infer.parameter(function, seen.origin.name))


def _among_methods(analysis: Analysis) -> Iterator[tuple[Function, Exposed, Function]]:
    """(caller, exposure, opener) where one method with pending writes calls another of its object that opens a session.

    The object holds the session that both should use; where the other is opened is SES101's to say.
    """
    for function, seen in analysis.observations(Exposed):
        opener = analysis.table.functions.get(seen.opener)
        if seen.kind != "session" or opener is None or opener is function or function.owner is None:
            continue
        if opener.owner is function.owner and not _is_independent(opener) and opener.key not in analysis.providers:
            if analysis.engine.session_at_hand(opener) is not None and not opener.module.is_test:
                yield function, seen, opener


def _is_independent(function: Function) -> bool:
    """Marked as a transaction of its own: by a comment on its ``def``, a decorator, or a name that says so."""
    names = {*function.decorator_names, function.name, *function.facts.marks}
    return any("independent" in n.lower() or "autonomous" in n.lower() for n in names)
