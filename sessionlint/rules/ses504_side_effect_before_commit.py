"""A message leaves for another process before the commit that makes its rows visible.

## What it does

Reports a message to a task queue, broker or channel - `task.delay()`, `send_task()`, `enqueue_job()`, `publish()` - that is
sent while a session holds uncommitted writes which are committed afterwards: in the function, at the end of its block, or
in a caller.

## Why is this bad

The worker may take the message before the commit; it looks for the row and finds none. And when the commit fails, the
message cannot be called back: mail for an order that does not exist. Under light load the commit usually wins the race,
so tests do not see it.

## Instead

Commit first, then send:

    db.add(order)
    await db.commit()
    send_invoice.delay(order.id)

or write the message into an outbox table in the same transaction and let a relay send it.

## When it is silent

Nothing is pending; the message is put off (`countdown`, `eta`); it goes into an outbox row; the work is registered for
after the commit (an `after_commit` listener) or handed to `BackgroundTasks`, which run after the response.

## Fix safety

Unsafe where a fix is offered: moving the call behind the commit changes what happens when it fails.

## Options

None.

## Symptom at run time

The worker logs that the row does not exist, for one request in some hundred; or acts on what was rolled back.

## References

- https://github.com/celery/celery/issues/9617
- https://docs.celeryq.dev/en/stable/userguide/tasks.html#database-transactions
- https://microservices.io/patterns/data/transactional-outbox.html
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import SentEarly
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, described, step, write_steps

SEVERITY = Severity.WARNING
DEFAULT = True
YIELDS_TO = ("SES320",)

BAD = (
    """
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]

# --- app/tasks.py ---
from celery import Celery

celery_app = Celery("app")


@celery_app.task
def send_invoice(order_id: int) -> None:
    print(order_id)

# --- app/service.py ---
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session

from app.models import Order
from app.tasks import celery_app, send_invoice

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


def order(db: Session) -> int:
    row = Order(state="new")
    db.add(row)
    db.flush()
    send_invoice.delay(row.id)  # SES504
    db.commit()
    return row.id


async def announce(redis: Redis, order_id: int) -> None:
    await redis.publish("orders", str(order_id))  # SES504


async def pay(redis: Redis, order_id: int) -> None:
    async with maker.begin() as db:
        row = await db.get(Order, order_id)
        row.state = "paid"
        await announce(redis, order_id)


async def cancel(db: AsyncSession, order_id: int) -> None:
    await _mark(db, order_id)
    await db.commit()


async def _mark(db: AsyncSession, order_id: int) -> None:
    row = await db.get(Order, order_id)
    row.state = "cancelled"
    celery_app.send_task("refund", args=[order_id])  # SES504
""",
)

GOOD = (
    '''
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]


class Outbox(Base):
    __tablename__ = "outbox"
    id: Mapped[int] = mapped_column(primary_key=True)
    topic: Mapped[str]

# --- app/tasks.py ---
from celery import Celery

celery_app = Celery("app")


@celery_app.task
def send_invoice(order_id: int) -> None:
    print(order_id)

# --- app/service.py ---
from fastapi import BackgroundTasks
from redis.asyncio import Redis
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from app.models import Order, Outbox
from app.tasks import send_invoice


def order(db: Session) -> int:
    """Commit first."""
    row = Order(state="new")
    db.add(row)
    db.commit()
    send_invoice.delay(row.id)
    return row.id


def order_later(db: Session) -> None:
    """Put off until long after the commit."""
    row = Order(state="new")
    db.add(row)
    db.flush()
    send_invoice.apply_async(args=[row.id], countdown=60)
    db.commit()


def order_hooked(db: Session) -> None:
    """Sent by the commit itself."""
    row = Order(state="new")
    db.add(row)

    @event.listens_for(db, "after_commit")
    def send(_: Session) -> None:
        send_invoice.delay(row.id)

    db.commit()


async def order_outbox(db: AsyncSession) -> None:
    """The message is a row of the same transaction."""
    db.add(Order(state="new"))
    db.add(Outbox(topic="orders"))
    await db.commit()


async def look(db: AsyncSession, redis: Redis, order_id: int) -> None:
    """Nothing is written."""
    row = await db.get(Order, order_id)
    await redis.publish("seen", str(row.id))
    await db.commit()


async def after_the_response(db: AsyncSession, background: BackgroundTasks) -> None:
    db.add(Order(state="new"))
    background.add_task(print, "created")
    await db.commit()


async def cached(db: AsyncSession, redis: Redis) -> None:
    """A cache entry is no message."""
    db.add(Order(state="new"))
    await redis.set("latest", "new")
    await db.commit()


def given_up(db: Session) -> None:
    db.add(Order(state="new"))
    db.flush()
    send_invoice.delay(0)
    db.rollback()
    db.commit()
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    told = set()
    for function, seen in analysis.observations(SentEarly):
        sender = analysis.function_at(seen.sent.path, seen.sent.loc)
        if sender is None or (seen.sent.path, seen.sent.loc) in told:
            continue
        told.add((seen.sent.path, seen.sent.loc))
        what = described(seen.write) if seen.write is not None else "the rows it speaks of"
        yield Draft(
            sender,
            seen.sent.loc,
            f"`{seen.sent.text}` sends before {what} is committed"
            if seen.write
            else f"`{seen.sent.text}` sends before {what} are committed",
            "send after the commit, or write the message into an outbox table",
            "another process may be faster than the commit",
            (
                *(write_steps(seen.write) if seen.write is not None else ()),
                step(function.module.path, seen.committed, f"{function.qualname} commits afterwards"),
            ),
        )
