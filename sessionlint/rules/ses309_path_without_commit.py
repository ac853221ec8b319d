"""One way out of an owned session commits its writes, another does not.

## What it does

Reports a session scope opened here that commits on some paths, while on another path writes are pending when control
leaves: an early `return`, the other branch of an `if` or `match`, a `break` or `continue`, an `except` that carries on,
a helper that commits only sometimes. The finding stands at the `return` (or the last statement) of the path that lacks
the commit; the trace shows the write and a path that does commit.

A function that commits a session it was handed only when a parameter tells it to (`commit: bool = True`) is held to
that: a way out that writes and never looks at the parameter is reported too.

SES301 is for scopes with no commit on any path.

## Why is this bad

The common path works, so nobody suspects the other. Rows are missing "sometimes": for quiet subscribers, for empty
lists, for the second branch. No error is raised.

## Instead

Make the commit independent of the path:

    async with maker.begin() as db:
        db.add(subscription)
        if quiet:
            return "welcome"
        ...

## When it is silent

The early way out comes before any write, leaves by an exception, or ends in a `rollback()` on purpose; the commit
stands in a `finally`; the session belongs to a caller and no parameter promises a commit.

## Fix safety

No fix: an early return may also mean "do not save".

## Options

None.

## Symptom at run time

No error; the row is missing whenever that path is taken (two saves, one row).

## References

- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#framing-out-a-begin-commit-rollback-block
- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#closing
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sessionlint.effects import Analysis
from sessionlint.effects.afterwards import is_lost
from sessionlint.effects.asked_commits import unasked
from sessionlint.effects.observations import Ended, ScopeEnd
from sessionlint.effects.state import WriteKey
from sessionlint.facts.shape import Loc
from sessionlint.findings import Severity
from sessionlint.project.symbols import Function
from sessionlint.rules.base import Draft, described, local_place, write_steps

SEVERITY = Severity.ERROR
DEFAULT = True
YIELDS_TO = ("SES304", "SES320")

#: ways out with the same write that are told one by one
_TOLD_EACH = 3

BAD = (
    """
# --- app/db.py ---
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Subscription(Base):
    __tablename__ = "subscriptions"
    name: Mapped[str] = mapped_column(primary_key=True)
    notified: Mapped[bool] = mapped_column(default=False)

# --- app/jobs.py ---
from app.db import Subscription, maker


async def subscribe(name: str, quiet: bool) -> str:
    async with maker() as db:
        subscription = Subscription(name=name)
        db.add(subscription)
        await db.flush()
        if quiet:
            return "welcome"  # SES309
        subscription.notified = True
        await db.commit()
        return "welcome, a mail is on its way"
""",
    """
# --- app/db.py ---
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

Session = sessionmaker(create_engine("postgresql+psycopg://app@db/app"))


class Base(DeclarativeBase):
    pass


class Ticket(Base):
    __tablename__ = "tickets"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    urgent: Mapped[bool]

# --- app/jobs.py ---
from app.db import Session, Ticket


def open_ticket(title: str, urgent: bool) -> None:
    with Session() as db:
        if urgent:
            db.add(Ticket(title=title, urgent=True))
            db.commit()
        else:
            db.add(Ticket(title=title, urgent=False))  # SES309
""",
    """
# --- app/db.py ---
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Subscription(Base):
    __tablename__ = "subscriptions"
    name: Mapped[str] = mapped_column(primary_key=True)
    confirmed: Mapped[bool] = mapped_column(default=False)


async def insert_subscription(db: AsyncSession, name: str) -> Subscription:
    subscription = Subscription(name=name)
    db.add(subscription)
    await db.flush()
    return subscription

# --- app/jobs.py ---
from app.db import insert_subscription, maker


async def import_names(names: list[str], confirmed: set[str]) -> int:
    async with maker() as db:
        for name in names:
            subscription = await insert_subscription(db, name)
            if name not in confirmed:
                return 0  # SES309
            subscription.confirmed = True
        await db.commit()
        return len(names)
""",
)

GOOD = (
    '''
# --- app/db.py ---
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Subscription(Base):
    __tablename__ = "subscriptions"
    name: Mapped[str] = mapped_column(primary_key=True)
    notified: Mapped[bool] = mapped_column(default=False)


async def insert_subscription(db: AsyncSession, name: str, quiet: bool) -> str:
    """Two ways out and no commit: the session belongs to the caller."""
    subscription = Subscription(name=name)
    db.add(subscription)
    if quiet:
        return "welcome"
    subscription.notified = True
    await db.flush()
    return "welcome, a mail is on its way"

# --- app/jobs.py ---
from app.db import Subscription, insert_subscription, maker


async def subscribe(name: str, quiet: bool) -> str:
    async with maker.begin() as db:
        db.add(Subscription(name=name))
        if quiet:
            return "welcome"
        return "welcome, a mail is on its way"


async def subscribe_checked(name: str) -> bool:
    """Leaves before any write, or by an exception."""
    async with maker() as db:
        if not name:
            return False
        db.add(Subscription(name=name))
        if len(name) > 80:
            raise ValueError("name too long")
        await db.commit()
        return True


async def subscribe_guarded(name: str, quiet: bool) -> str:
    """The commit in `finally` covers both returns."""
    async with maker() as db:
        try:
            db.add(Subscription(name=name))
            if quiet:
                return "welcome"
            return "welcome, a mail is on its way"
        finally:
            await db.commit()


async def subscribe_unless(name: str, keep: bool) -> bool:
    """The second way out gives the work up on purpose."""
    async with maker() as db:
        await insert_subscription(db, name, quiet=True)
        if not keep:
            await db.rollback()
            return False
        await db.commit()
        return True
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every way out that forgets a write; many ways with the same write are told as one."""
    exits: dict[tuple[str, WriteKey], dict[Loc, tuple[Function, ScopeEnd | Ended]]] = {}
    for function, seen in _forgotten(analysis):
        write = seen.writes[-1]
        place = seen.loc if seen.leaving == "return" else local_place(write)
        exits.setdefault((function.key, write.key), {}).setdefault(place, (function, seen))
    told = set()
    for found in exits.values():
        places = sorted(found)
        for place in places if len(places) <= _TOLD_EACH else places[:1]:
            function, seen = found[place]
            if (function.key, place) not in told:
                told.add((function.key, place))
                yield _draft(function, seen, place, places[1:] if len(places) > _TOLD_EACH else ())
    yield from _unasked(analysis, told)


def _unasked(analysis: Analysis, told: set[tuple[str, Loc]]) -> Iterator[Draft]:
    """Ways out that never look at the parameter by which the function's other paths commit."""
    for function in analysis.functions:
        for seen, switch in unasked(function, analysis.result(function)):
            place = seen.loc if seen.leaving == "return" else local_place(seen.writes[-1])
            if (function.key, place) not in told:
                told.add((function.key, place))
                yield Draft(
                    function,
                    place,
                    f"`{function.qualname}` ends here without asking `{switch}`, by which its other paths commit: "
                    f"{described(seen.writes[-1])} is left uncommitted",
                    f"commit here too where `{switch}` says so",
                    "the caller believes it is saved",
                    write_steps(seen.writes[-1]),
                )


def _draft(function: Function, seen: ScopeEnd | Ended, place: Loc, others: Sequence[Loc]) -> Draft:
    write, ended = seen.writes[-1], isinstance(seen, Ended)
    return Draft(
        function,
        place,
        f"`{function.qualname}` ends here{_and_elsewhere(others)} without the commit its other paths make: "
        f"{described(write)} is lost",
        "commit on every path" if ended else "commit on every path, or open it with `maker.begin()`",
        "rolled back when the request ends" if ended else "rolled back when the session closes",
        write_steps(write),
    )


def _and_elsewhere(others: Sequence[Loc]) -> str:
    """`` (and in 8 more places from line 725 on)``."""
    return f" (and in {len(others)} more places from line {others[0].line} on)" if others else ""


def _forgotten(analysis: Analysis) -> Iterator[tuple[Function, ScopeEnd | Ended]]:
    """Ends of owned scopes and of entry points on paths without the commit that another path makes."""
    for function, scope in analysis.observations(ScopeEnd):
        if scope.elsewhere and not scope.earlier and not scope.hands_out_object:
            yield function, scope
    for function, end in analysis.observations(Ended):
        if end.committed and not end.earlier and is_lost(analysis, function, end.origin):
            yield function, end
