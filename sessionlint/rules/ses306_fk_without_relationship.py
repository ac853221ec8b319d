"""A child row is inserted before the parent it refers to, because no relationship tells SQLAlchemy the order.

## What it does

Looks at the objects that one flush sends together. SQLAlchemy inserts them mapper by mapper: mappers that a
`relationship()` ties to each other in that order, all others sorted by `module.ClassName`. Neither the order of `add()`
nor the `ForeignKey` nor the table name has a say. Reports the child where a new row is inserted before the new row its
foreign key refers to.

The order is computed exactly: from relationships of either side (also inherited, through mixins, `declared_attr`,
`backref`, or added after the class body), from the base mapper of an inheritance hierarchy, and in rounds, as the unit
of work sorts them. A many-to-many `secondary`, `viewonly` and `post_update` relationship does not order rows. Rows of
one self-referential model are inserted in the order they were added.

## Why is this bad

The insert fails, although the code adds the parent first. Renaming a class or moving it to another module makes the
error come and go. SQLite does not check foreign keys unless told to, so tests on SQLite do not show it.

## Instead

Flush the parent before the child is flushed; no commit is needed:

    db.add(Visitor(id=visitor_id))
    await db.flush()
    db.add(Appointment(visitor_id=visitor_id))

or declare a `relationship()` on either side, which orders the two for good.

## When it is silent

The child refers to another row than the new parent; the parent is flushed or committed before; the key is deferrable
or added by `use_alter`; a relationship's other side cannot be told; two models refer to each other.

## Fix safety

Safe: inserts `flush()` between the two. No row is visible to anybody earlier.

## Options

None.

## Symptom at run time

`sqlalchemy.exc.IntegrityError: ... violates foreign key constraint ... Key (visitor_id)=(7) is not present in table
"visitors"`.

## References

- https://docs.sqlalchemy.org/en/20/orm/cascades.html#unitofwork-cascades
- https://github.com/sqlalchemy/sqlalchemy/issues/13554
- https://www.sqlite.org/foreignkeys.html#fk_enable
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sessionlint.effects import Analysis
from sessionlint.effects.object_observations import FlushedTogether
from sessionlint.effects.objects import Pending
from sessionlint.findings import Severity
from sessionlint.project.symbols import Class, Function
from sessionlint.project.tables import Reference, Tables
from sessionlint.rules.base import Draft, step
from sessionlint.rules.linking import linked, pairs, pending_steps

SEVERITY = Severity.ERROR
DEFAULT = True

BAD = (
    """
# --- app/models.py ---
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Visitor(Base):
    __tablename__ = "a_visitors"
    id: Mapped[str] = mapped_column(primary_key=True)


class Appointment(Base):
    __tablename__ = "z_appointments"
    id: Mapped[int] = mapped_column(primary_key=True)
    visitor_id: Mapped[str] = mapped_column(ForeignKey("a_visitors.id"))

# --- app/booking.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Appointment, Visitor


async def book(db: AsyncSession, visitor_id: str) -> None:
    db.add(Visitor(id=visitor_id))
    db.add(Appointment(visitor_id=visitor_id))  # SES306
    await db.flush()


async def book_in_one_go(db: AsyncSession, visitor_id: str) -> None:
    visitor = Visitor(id=visitor_id)
    appointment = Appointment(visitor_id=visitor.id)
    db.add_all([visitor, appointment])  # SES306
    await db.commit()
""",
    """
# --- app/models.py ---
from sqlalchemy import Column, ForeignKey, String
from sqlalchemy.orm import declarative_base, relationship

Base = declarative_base()


class Timestamped:
    created_by = Column(String)


class Owner(Timestamped, Base):
    __tablename__ = "owners"
    id = Column(String, primary_key=True)


class Zone(Base):
    __tablename__ = "zones"
    id = Column(String, primary_key=True)
    owner_id = Column(String, ForeignKey(Owner.id))
    lights = relationship("Lamp", viewonly=True)


class Lamp(Base):
    __tablename__ = "lamps"
    id = Column(String, primary_key=True)
    zone_id = Column("zone", ForeignKey("zones.id"))

# --- app/repository.py ---
from sqlalchemy.orm import Session

from app.models import Lamp, Zone


class ZoneRepository:
    def __init__(self, db: Session) -> None:
        self._db = db

    def add(self, zone: Zone) -> None:
        self._db.add(zone)


class LampRepository:
    def __init__(self, db: Session) -> None:
        self._db = db

    def create(self, lamp_id: str, zone_id: str) -> None:
        self._db.add(Lamp(id=lamp_id, zone_id=zone_id))

# --- app/wiring.py ---
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

from app.models import Zone
from app.repository import LampRepository, ZoneRepository

maker = sessionmaker(create_engine("postgresql+psycopg://app@db/app"))


def light_up(zone_id: str, count: int) -> None:
    with maker.begin() as db:
        zones, lamps = ZoneRepository(db), LampRepository(db)
        zones.add(Zone(id=zone_id))
        for number in range(count):
            lamps.create(f"{zone_id}-{number}", zone_id)  # SES306
""",
    """
# --- app/models.py ---
from sqlmodel import Field, SQLModel


class Team(SQLModel, table=True):
    id: str = Field(primary_key=True)


class Player(SQLModel, table=True):
    id: str = Field(primary_key=True)
    team_id: str = Field(foreign_key="team.id")
    captain_id: str | None = Field(default=None, foreign_key="player.id")

# --- app/seed.py ---
from sqlmodel import Session, create_engine

from app.models import Player, Team

engine = create_engine("postgresql+psycopg://app@db/app")


def seed() -> None:
    with Session(engine) as session:
        team = Team(id="t")
        session.add(team)
        session.add(Player(id="p", team_id=team.id))  # SES306
        session.commit()


def seed_backwards() -> None:
    with Session(engine) as session:
        session.add(Player(id="b", team_id="old", captain_id="a"))  # SES306
        session.add(Player(id="a", team_id="old"))
        session.commit()
""",
)

GOOD = (
    """
# --- app/models.py ---
from sqlalchemy import ForeignKey, ForeignKeyConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class OwnedByVisitor:
    visitor_id: Mapped[str] = mapped_column(ForeignKey("visitors.id"))

    @declared_attr
    def visitor(cls) -> Mapped["Visitor"]:
        return relationship("Visitor")


class Visitor(Base):
    __tablename__ = "visitors"
    id: Mapped[str] = mapped_column(primary_key=True)
    bills: Mapped[list["Bill"]] = relationship(backref="visitor")


class Appointment(OwnedByVisitor, Base):
    __tablename__ = "appointments"
    id: Mapped[int] = mapped_column(primary_key=True)


class Bill(Base):
    __tablename__ = "bills"
    id: Mapped[int] = mapped_column(primary_key=True)
    visitor_id: Mapped[str] = mapped_column(ForeignKey("visitors.id"))


class Coupon(Base):
    __tablename__ = "coupons"
    id: Mapped[int] = mapped_column(primary_key=True)
    visitor_id: Mapped[str] = mapped_column(ForeignKey("visitors.id", deferrable=True, initially="DEFERRED"))


class Document(Base):
    __tablename__ = "documents"
    id: Mapped[int] = mapped_column(primary_key=True)
    visitor_id: Mapped[str] = mapped_column(ForeignKey("visitors.id"))


class Xray(Base):
    __tablename__ = "xrays"
    id: Mapped[int] = mapped_column(primary_key=True)
    visitor_id: Mapped[str] = mapped_column()
    __table_args__ = (ForeignKeyConstraint(["visitor_id"], ["visitors.id"]),)

# --- app/booking.py ---
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Appointment, Bill, Coupon, Document, Visitor, Xray


async def by_relationship(db: AsyncSession, visitor_id: str) -> None:
    db.add(Visitor(id=visitor_id))
    db.add(Appointment(visitor_id=visitor_id))
    db.add(Bill(visitor_id=visitor_id))
    db.add(Coupon(visitor_id=visitor_id))
    await db.commit()


async def by_name(db: AsyncSession, visitor_id: str) -> None:
    db.add_all([Xray(visitor_id=visitor_id), Visitor(id=visitor_id)])
    await db.commit()


async def by_flush(db: AsyncSession, visitor_id: str) -> None:
    db.add(Visitor(id=visitor_id))
    await db.flush()
    db.add(Document(visitor_id=visitor_id))
    await db.commit()


async def by_autoflush(db: AsyncSession, visitor_id: str) -> None:
    db.add(Visitor(id=visitor_id))
    found = await db.scalar(select(Bill).where(Bill.visitor_id == visitor_id))
    if found is None:
        db.add(Document(visitor_id=visitor_id))
    await db.commit()


async def of_somebody_else(db: AsyncSession, visitor: Visitor, new_id: str) -> None:
    db.add(Visitor(id=new_id))
    db.add(Document(visitor_id=visitor.id))
    await db.commit()


async def already_there(db: AsyncSession, visitor_id: str) -> None:
    visitor = await db.get_one(Visitor, visitor_id)
    visitor.id = visitor_id
    db.add(Document(visitor_id=visitor.id))
    await db.commit()
""",
    """
# --- app/models.py ---
from sqlalchemy import Column, ForeignKey, Integer, String, Table
from sqlalchemy.orm import declarative_base, relationship

Base = declarative_base()

tags_of_notes = Table(
    "tags_of_notes",
    Base.metadata,
    Column("note", ForeignKey("notes.id")),
    Column("tag", ForeignKey("tags.id")),
)


class User(Base):
    __tablename__ = "users"
    id = Column(Integer, primary_key=True)


class Note(Base):
    __tablename__ = "notes"
    id = Column(Integer, primary_key=True)
    user_id = Column(Integer, ForeignKey("users.id"))
    parent_id = Column(Integer, ForeignKey("notes.id"))
    tags = relationship("Tag", secondary=tags_of_notes)


class Tag(Base):
    __tablename__ = "tags"
    id = Column(Integer, primary_key=True)
    name = Column(String)


class Person(Base):
    __tablename__ = "persons"
    id = Column(Integer, primary_key=True)
    kind = Column(String)
    __mapper_args__ = {"polymorphic_on": kind}


class Employee(Person):
    __tablename__ = "employees"
    id = Column(Integer, ForeignKey("persons.id"), primary_key=True)


User.notes = relationship(Note)

# --- app/service.py ---
from sqlalchemy.orm import Session

from app.models import Employee, Note, Person, Tag, User


def write(db: Session, key: int) -> None:
    db.add(User(id=key))
    db.add(Note(id=key, user_id=key))
    db.add(Tag(id=key, name="n"))
    db.commit()


def thread(db: Session, key: int) -> None:
    db.add(Note(id=key))
    db.add(Note(id=key + 1, parent_id=key))
    db.commit()


def hire(db: Session, key: int) -> None:
    db.add(Employee(id=key))
    db.add(Person(id=key + 1))
    db.commit()
""",
    """
# --- app/models.py ---
from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Shop(Base):
    __tablename__ = "shops"
    id: Mapped[int] = mapped_column(primary_key=True)


class Basket(Base):
    __tablename__ = "baskets"
    id: Mapped[int] = mapped_column(primary_key=True)
    shop_id: Mapped[int] = mapped_column(ForeignKey("shops.id"))
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    customer: Mapped["Customer"] = relationship()


class Customer(Base):
    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)

# --- app/service.py ---
from sqlalchemy.orm import Session

from app.models import Basket, Customer, Shop


def open_basket(db: Session, key: int) -> None:
    \"\"\"`Basket` waits for `Customer`, so it comes in the second round: after `Shop` too.\"\"\"
    db.add(Shop(id=key))
    db.add(Basket(id=key, shop_id=key, customer_id=key))
    db.add(Customer(id=key))
    db.commit()
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    found: dict[tuple[object, ...], tuple[int, Draft]] = {}
    for function, seen in analysis.observations(FlushedTogether):
        for child, parent in pairs(seen.batch):
            reference = linked(analysis.tables, child, parent)
            if reference is None or not _comes_first(analysis.tables, child, parent, seen.batch):
                continue
            key = (child.path, child.loc, parent.model)
            depth = len(child.chain)
            if key not in found or depth < found[key][0]:
                found[key] = depth, _draft(function, seen, child, parent, reference)
    drafts: dict[tuple[object, ...], Draft] = {}
    for _, draft in found.values():
        drafts.setdefault((draft.place, draft.message), draft)
    yield from drafts.values()


def _comes_first(tables: Tables, child: Pending, parent: Pending, batch: Sequence[Pending]) -> bool:
    """Whether the unit of work inserts the child's row before the parent's."""
    assert child.model is not None and parent.model is not None
    if tables.base(child.model).key == tables.base(parent.model).key:
        return (
            child.model is parent.model and _related(tables, child.model) and batch.index(child) < batch.index(parent)
        )
    if tables.ordered(parent.model, child.model) is not False:
        return False
    levels = tables.insert_levels([p.model for p in batch if p.model is not None])
    return levels is not None and levels[tables.base(child.model).key] < levels[tables.base(parent.model).key]


def _related(tables: Tables, model: Class) -> bool:
    """Whether a self-referential model has no relationship to itself, so that only the order of `add()` counts."""
    targets = [r.target for r in tables.model(model).relationships.values()]
    return all(t is not None and tables.base(t).key != tables.base(model).key for t in targets)


def _draft(function: Function, seen: FlushedTogether, child: Pending, parent: Pending, reference: Reference) -> Draft:
    assert child.model is not None and parent.model is not None
    column = ", ".join(reference.key.columns)
    why = (
        "rows of one model are inserted in the order they are added"
        if child.model is parent.model
        else "no relationship orders the two, so the class name decides"
    )
    return Draft(
        function,
        child.local,
        f"the `{child.model.name}` row is inserted before the `{parent.model.name}` row its `{column}` refers to: {why}",
        "flush after adding the parent (no commit needed), or declare a relationship() between the two",
        "flushed first",
        (
            *pending_steps(parent),
            *pending_steps(child),
            step(function.module.path, seen.loc, "both are flushed together"),
        ),
    )
