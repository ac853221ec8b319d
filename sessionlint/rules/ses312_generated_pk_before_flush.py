"""The primary key of a new object is used before the flush that generates it: it is still None.

## What it does

Reports a read of a new object's primary key, before any flush, where SQLAlchemy or the database will make the value:
the value is given to another object, set on one, handed to a function of the project or returned.

This includes keys with a Python-side `default=uuid4`: a column default is computed while the row is inserted, not when
the object is constructed.

## Why is this bad

The value is None. The child row fails with a not-null violation or, where the foreign key is nullable, is saved as an
orphan without any error. A caller that was returned the id gets None.

## Instead

Flush before the key is used, or link the objects and let SQLAlchemy copy the key:

    db.add(event)
    await db.flush()
    db.add(Ticket(event_id=event.id))

    db.add(Ticket(event=event))

## When it is silent

The key is given, or made when the object is constructed (`default_factory` of a dataclass mapping or of SQLModel, a
constructor that sets it); the object was flushed, committed, refreshed or written by an autoflush; something that
cannot be followed had the object.

## Fix safety

Safe: inserts `flush()` before the line. No row is visible to anybody earlier.

## Options

None.

## Symptom at run time

`sqlalchemy.exc.IntegrityError: ... null value in column "event_id" ... violates not-null constraint`, or rows whose
foreign key is NULL.

## References

- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#flushing
- https://docs.sqlalchemy.org/en/20/core/defaults.html#python-executed-functions
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.object_observations import UnwrittenRead
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, step

SEVERITY = Severity.ERROR
DEFAULT = True

BAD = (
    """
# --- app/models.py ---
from uuid import UUID, uuid4

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Event(Base):
    __tablename__ = "events"
    id: Mapped[int] = mapped_column(primary_key=True)


class Ticket(Base):
    __tablename__ = "tickets"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    event_id: Mapped[int] = mapped_column(ForeignKey("events.id"))


class Seat(Base):
    __tablename__ = "seats"
    id: Mapped[int] = mapped_column(primary_key=True)
    ticket_id: Mapped[UUID | None] = mapped_column(ForeignKey("tickets.id"))

# --- app/ops.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Event, Seat, Ticket


async def sell(db: AsyncSession) -> None:
    event = Event()
    db.add(event)
    ticket = Ticket(event_id=event.id)  # SES312
    seat = Seat()
    seat.ticket_id = ticket.id  # SES312
    db.add_all([ticket, seat])
    await db.commit()


async def reserve(db: AsyncSession, ticket_id: object) -> None:
    db.add(Seat(ticket_id=ticket_id))


async def sell_and_reserve(db: AsyncSession, event_id: int) -> None:
    ticket = Ticket(event_id=event_id)
    db.add(ticket)
    await reserve(db, ticket.id)  # SES312
    await db.commit()
""",
    """
# --- app/models.py ---
from sqlmodel import Field, SQLModel


class Hero(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str


class Power(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    hero_id: int = Field(foreign_key="hero.id")

# --- app/repository.py ---
from sqlmodel import Session

from app.models import Hero


class HeroRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, hero: Hero) -> None:
        self._session.add(hero)

# --- app/service.py ---
from sqlmodel import Session

from app.models import Hero, Power
from app.repository import HeroRepository


def create(session: Session, name: str) -> None:
    hero = Hero(name=name)
    HeroRepository(session).add(hero)
    session.add(Power(hero_id=hero.id))  # SES312
    session.commit()
""",
)

GOOD = (
    """
# --- app/models.py ---
from uuid import UUID, uuid4

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Event(Base):
    __tablename__ = "events"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(default="")


class Ticket(Base):
    __tablename__ = "tickets"
    id: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[int | None] = mapped_column(ForeignKey("events.id"))
    event: Mapped[Event] = relationship()


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[UUID] = mapped_column(primary_key=True)

    def __init__(self, **values: object) -> None:
        self.id = uuid4()
        super().__init__(**values)


class Line(Base):
    __tablename__ = "lines"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id"))


class Badge(MappedAsDataclass, Base):
    __tablename__ = "badges"
    id: Mapped[UUID] = mapped_column(primary_key=True, init=False, default_factory=uuid4)

# --- app/ops.py ---
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Badge, Event, Line, Order, Ticket


async def given(db: AsyncSession) -> None:
    event = Event(id=77)
    db.add(event)
    db.add(Ticket(event_id=event.id))
    later = Event()
    later.id = 78
    db.add_all([later, Ticket(event_id=later.id)])


async def linked(db: AsyncSession) -> None:
    event = Event()
    db.add(Ticket(event=event))


async def flushed(db: AsyncSession) -> int:
    event = Event()
    db.add(event)
    await db.flush()
    db.add(Ticket(event_id=event.id))
    other = Event()
    db.add(other)
    await db.commit()
    await db.refresh(other)
    return other.id


async def autoflushed(db: AsyncSession) -> None:
    event = Event()
    db.add(event)
    await db.scalars(select(Ticket))
    db.add(Ticket(event_id=event.id))


async def constructed(db: AsyncSession) -> None:
    order = Order()
    db.add_all([order, Line(order_id=order.id)])
    badge = Badge()
    db.add(badge)
    db.add(Line(order_id=badge.id))


async def save(db: AsyncSession, event: Event) -> None:
    db.add(event)
    await db.flush()


async def saved_elsewhere(db: AsyncSession) -> None:
    event = Event(name="n")
    await save(db, event)
    db.add(Ticket(event_id=event.id))


async def found_or_made(db: AsyncSession, name: str) -> None:
    event = await db.scalar(select(Event).where(Event.name == name))
    if event is None:
        event = Event(name=name)
        db.add(event)
        await db.flush()
    db.add(Ticket(event_id=event.id))


async def not_the_key(db: AsyncSession) -> str:
    event = Event()
    db.add(event)
    if event.id is None:
        await db.flush()
    return event.name
""",
    """
# --- app/models.py ---
from uuid import UUID, uuid4

from sqlmodel import Field, SQLModel


class Hero(SQLModel, table=True):
    id: UUID = Field(default_factory=uuid4, primary_key=True)


class Power(SQLModel, table=True):
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    hero_id: UUID = Field(foreign_key="hero.id")

# --- app/service.py ---
from sqlmodel import Session

from app.models import Hero, Power


def create(session: Session) -> UUID:
    hero = Hero()
    session.add(hero)
    session.add(Power(hero_id=hero.id))
    session.commit()
    return hero.id
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    told = set()
    for function, seen in analysis.observations(UnwrittenRead):
        model = analysis.tables.model(seen.holder.model)
        column = model.columns.get(seen.read)
        if column is None or not column.primary_key or column.default == "init":
            continue
        if model.sets_own & {"*", seen.read} or (function.key, seen.loc) in told:
            continue
        told.add((function.key, seen.loc))
        name = seen.holder.model.name
        target = analysis.tables.model(seen.model).columns.get(seen.attribute) if seen.model is not None else None
        where = f"`{seen.model.name}.{seen.attribute}`" if seen.model is not None else "what is handed on"
        orphan = target is not None and target.nullable is True
        made = {
            "client": "SQLAlchemy computes it while it flushes",
            "": "the database makes it when the row is inserted",
        }
        yield Draft(
            function,
            seen.loc,
            f"`{name}.{seen.read}` is None here, and so is {where}: the new `{name}` has not been flushed",
            "flush before this line, or link the objects by their relationship instead of the key",
            made.get(column.default, made[""]) + (": the row is saved as an orphan" if orphan else ""),
            (step(function.module.path, seen.holder.loc, f"the `{name}` is made here"),),
        )
