"""A unit of work or session is at hand, and a callee that accepts one is called without it.

## What it does

Reports two things:

- a call that leaves out an optional parameter for a unit of work (or session) while the caller has one: as a
  parameter, an attribute, or from an enclosing `with` block;
- a unit of work that is opened (`async with UnitOfWork() as uow:`) and used by nothing in its block. Here the finding
  stands at the `with`.

## Why is this bad

Left alone, the callee opens a unit of its own, or does nothing. In the first case one piece of work becomes two
transactions: the caller rolls back, the callee's rows stay; the callee cannot see what the caller has not committed;
and each request holds two connections, which can exhaust the pool or deadlock. A unit that nothing uses commits
nothing, although the code reads as if the block were one transaction.

## Instead

Pass it on:

    await notify(order_id, "done", uow=uow)

and where every caller has one, make the parameter mandatory: then the type checker finds the next omission.

## When it is silent

The unit is passed, by position or by keyword; the caller has none; the callee is marked as an independent transaction
(an audit record that must survive a rollback).

## Fix safety

No fix: passing the unit changes which transaction the callee's rows belong to.

## Options

`unit-of-work-classes`: further classes that are units of work.

## Symptom at run time

No error: after a rollback the callee's rows are still there. With a foreign key between the two:
`sqlalchemy.exc.IntegrityError: ... violates foreign key constraint`. On SQLite: `database is locked`.

## References

- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#session-faq-whentocreate
- https://martinfowler.com/eaaCatalog/unitOfWork.html
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import LeftOut, UnusedUnit
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, step

SEVERITY = Severity.WARNING
DEFAULT = True

BAD = (
    """
# --- app/uow.py ---
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class UnitOfWork:
    session: AsyncSession

    async def __aenter__(self) -> "UnitOfWork":
        self.session = maker()
        return self

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if kind is None:
                await self.session.commit()
            else:
                await self.session.rollback()
        finally:
            await self.session.close()

# --- app/notices.py ---
from sqlalchemy import text

from app.uow import UnitOfWork


async def notify(order_id: int, message: str, uow: UnitOfWork | None = None) -> None:
    if uow is None:
        async with UnitOfWork() as own:
            await notify(order_id, message, own)
        return
    await uow.session.execute(text("insert into notices values (:o, :m)"), {"o": order_id, "m": message})


async def close_all() -> None:
    async with UnitOfWork() as own:
        await own.session.execute(text("update orders set open = false"))

# --- app/orders.py ---
from sqlalchemy import text

from app.notices import close_all, notify
from app.uow import UnitOfWork


async def check_out(order_id: int, uow: UnitOfWork) -> None:
    await uow.session.execute(text("update orders set open = false where id = :i"), {"i": order_id})
    await notify(order_id, "thank you")  # SES605


async def close_day() -> None:
    async with UnitOfWork() as uow:  # SES605
        await close_all()
""",
    """
# --- app/audit.py ---
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session, sessionmaker

maker = sessionmaker(create_engine("postgresql+psycopg://app@db/app"))


def record(message: str, db: Session | None = None) -> None:
    if db is None:
        with maker.begin() as own:
            record(message, own)
        return
    db.execute(text("insert into audit (message) values (:m)"), {"m": message})

# --- app/accounts.py ---
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.audit import record


class AccountService:
    def __init__(self, db: Session) -> None:
        self._db = db

    def block(self, account_id: int) -> None:
        self._db.execute(text("update accounts set blocked = true where id = :i"), {"i": account_id})
        record(f"account {account_id} blocked")  # SES605
""",
)

GOOD = (
    '''
# --- app/uow.py ---
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class UnitOfWork:
    session: AsyncSession

    async def __aenter__(self) -> "UnitOfWork":
        self.session = maker()
        return self

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if kind is None:
                await self.session.commit()
            else:
                await self.session.rollback()
        finally:
            await self.session.close()

# --- app/notices.py ---
from sqlalchemy import text

from app.uow import UnitOfWork


async def notify(order_id: int, message: str, uow: UnitOfWork | None = None) -> None:
    if uow is None:
        async with UnitOfWork() as own:
            await notify(order_id, message, own)
        return
    await uow.session.execute(text("insert into notices values (:o, :m)"), {"o": order_id, "m": message})


async def render(order_id: int) -> str:
    return f"order {order_id} is on its way"

# --- app/orders.py ---
from sqlalchemy import text

from app.notices import notify, render
from app.uow import UnitOfWork


async def check_out(order_id: int, uow: UnitOfWork) -> None:
    """By keyword, by position; and a callee that takes no unit."""
    await uow.session.execute(text("update orders set open = false where id = :i"), {"i": order_id})
    await notify(order_id, await render(order_id), uow=uow)
    await notify(order_id, "thank you", uow)


async def remind(order_ids: list[int]) -> None:
    """No unit at hand: each notice is a transaction of its own."""
    for order_id in order_ids:
        await notify(order_id, "still interested?")


async def close_day(order_ids: list[int]) -> None:
    async with UnitOfWork() as uow:
        for order_id in order_ids:
            await check_out(order_id, uow)
    await notify(0, "all closed")
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    left_out = set()
    for function, seen in analysis.observations(LeftOut):
        left_out.add(function.key)
        callee = seen.callee
        parameter = callee.parameters[seen.parameter]
        yield Draft(
            function,
            seen.loc,
            f"`{callee.qualname}` accepts `{seen.parameter}`, but `{seen.at_hand}` is not passed on",
            f"pass it: `{seen.parameter}={seen.at_hand}`",
            "falls back to a session of its own, or does nothing",
            (step(callee.module.path, parameter.loc, f"`{seen.parameter}` is left at its default"),),
        )
    for function, unit in analysis.observations(UnusedUnit):
        if function.key in left_out:
            continue
        yield Draft(
            function,
            unit.loc,
            f"`{unit.text}` is opened, but nothing in its block uses it",
            "pass it to the calls in the block, or remove it",
            "its transaction stays empty",
        )
