"""An async session factory leaves `expire_on_commit` on.

## What it does

Reports a factory of async sessions (`async_sessionmaker(...)`, `sessionmaker(..., class_=AsyncSession)`) without
`expire_on_commit=False`, and an `AsyncSession(engine)` without it that the same function commits or hands out.

## Why is this bad

After a commit every loaded object forgets its attributes and loads them again on the next access. A synchronous session
does that quietly; an async one cannot, because an attribute access is no `await`. So the line after the commit that
reads `order.id` for the response raises, and only there, and only when there was a commit before it.

## Instead

    maker = async_sessionmaker(engine, expire_on_commit=False)

Objects then keep the values they had at the commit. Where fresh ones are needed, say so: `await db.refresh(order)`.

## When it is silent

Synchronous factories; a factory made in a function of a script; `**options` that come from elsewhere; `expire_on_commit` given with any value; a factory that is
configured later (`maker.configure(expire_on_commit=False)`).

## Fix safety

Unsafe: code that relied on the reload after a commit (columns the database computes) reads older values afterwards.

## Options

None.

## Symptom at run time

`sqlalchemy.exc.MissingGreenlet: greenlet_spawn has not been called; can't call await_only() here. Was IO attempted in an
unexpected place?`, or, when the session is closed already, `DetachedInstanceError: Instance ... is not bound to a
Session; attribute refresh operation cannot proceed`.

## References

- https://docs.sqlalchemy.org/en/20/orm/extensions/asyncio.html#preventing-implicit-io-when-using-asyncsession
- https://docs.sqlalchemy.org/en/20/errors.html#error-xd2s
- https://docs.sqlalchemy.org/en/20/errors.html#error-bhk3
- https://github.com/fastapi-users/fastapi-users/issues/1395
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import Committed
from sessionlint.findings import Severity
from sessionlint.project import values as v
from sessionlint.project.constructions import Construction, factories, keyword, passes_on, reconfigured, sessions
from sessionlint.project.infer import place_origin
from sessionlint.rules.base import Draft

SEVERITY = Severity.WARNING
DEFAULT = True

_OPTION = "expire_on_commit"

BAD = (
    """
# --- app/db.py ---
import os
from collections.abc import AsyncIterator

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

engine = create_async_engine(os.environ["DATABASE_URL"])
maker = async_sessionmaker(engine, class_=AsyncSession)  # SES112
typed = async_sessionmaker[AsyncSession](bind=engine, autoflush=False)  # SES112
older = sessionmaker(engine, class_=AsyncSession)  # SES112


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)


class Database:
    def __init__(self, url: str) -> None:
        self.session = async_sessionmaker(create_async_engine(url))  # SES112


async def get_db() -> AsyncIterator[AsyncSession]:
    async with AsyncSession(engine) as db:  # SES112
        yield db


async def create() -> int:
    async with AsyncSession(engine) as db:  # SES112
        order = Order()
        db.add(order)
        await db.commit()
        return order.id
""",
)

GOOD = (
    '''
# --- app/db.py ---
import os
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import sessionmaker

engine = create_async_engine(os.environ["DATABASE_URL"])
maker = async_sessionmaker(engine, expire_on_commit=False)
older = sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)
sync = sessionmaker(create_engine("sqlite://"))
late = async_sessionmaker(engine)
late.configure(expire_on_commit=False)
deliberate = async_sessionmaker(engine, expire_on_commit=True)


def make(**options: Any) -> async_sessionmaker[AsyncSession]:
    """The caller decides."""
    return async_sessionmaker(engine, **options)


async def names() -> list[str]:
    """Nothing is committed, so nothing expires."""
    async with AsyncSession(engine) as db:
        return list((await db.scalars(text("select name from users"))).all())
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    if not analysis.concerned:
        return
    infer = analysis.infer
    for found in factories(infer):
        if not isinstance(found.made, v.Factory) or not found.made.is_async:
            continue
        if found.function is not None and analysis.is_script(found.function):
            continue  # a script's own factory, for one run
        if not _decided(found) and not reconfigured(infer, found, _OPTION):
            yield _draft(found, "this factory makes async sessions that expire every object on commit")
    for found in sessions(infer):
        if isinstance(found.made, v.Session) and found.made.is_async and not _decided(found):
            if _commits(analysis, found):
                yield _draft(found, "this async session expires every object on commit")


def _decided(found: Construction) -> bool:
    return keyword(found.call, _OPTION) is not None or passes_on(found.call)


def _commits(analysis: Analysis, found: Construction) -> bool:
    """Whether the session is handed out by a provider, or committed where it is opened and has objects that expire."""
    if found.function is None:
        return False
    if found.function.key in analysis.providers:
        return True
    result, origin = analysis.result(found.function), place_origin(found.call.loc)
    objects = any(e.kind in {"read", "write"} and e.text != "execute()" and not e.text.isalpha() for e in result.events)
    return objects and any(isinstance(o, Committed) and o.origin == origin for o in result.observations)


def _draft(found: Construction, message: str) -> Draft:
    return Draft(
        found.owner,
        found.call.loc,
        message,
        "pass `expire_on_commit=False`",
        "an attribute read after a commit raises MissingGreenlet",
    )
