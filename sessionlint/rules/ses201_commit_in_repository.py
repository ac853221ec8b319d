"""A repository commits the session it was given, so the work of its caller becomes permanent half-way.

## What it does

Reports `commit()` on a session that a repository class was handed, or that it shares with everybody in the thread or
request (`scoped_session`, Flask-SQLAlchemy's `db.session`). A class is a repository by its role (it is built on
a session and reads or writes models) or by its name (`*Repository*`, `*Repo`, `*DAO`, `*CRUD*`); base classes and
mixins count. In a module of functions either this rule or SES202 fits, and one reports.

Not reported: units of work, transaction managers and command handlers that *are* the boundary; `commit()` of a
savepoint (`begin_nested()`); and `commit()` of things that are no session (a message consumer, a git repository).

## Why is this bad

A repository cannot know what else belongs to the transaction. Its commit also makes everything permanent that the
caller has done before; if the next step fails, the caller's rollback finds nothing left to undo. Two calls that should
succeed or fail together become two transactions. Every commit also expires objects and releases row locks.

## Instead

`await self._db.flush()`: the rows are written, keys are assigned, constraints are checked. The commit stands once,
where the unit of work ends: in the unit of work, the use case, or the request dependency.

## Fix safety

Unsafe, and offered only where every caller is shown to commit afterwards: replaces `commit()` by `flush()`. Where a
caller relies on this commit, the fix is refused, because the rows would be lost (SES301).

## Options

- `commit-owner`: with `"repository"` nothing is reported; `"boundary"` (the default) and `"service"` are one here.
- `repository-classes`: class globs, in addition to what is recognised.
- `unit-of-work-classes`: classes whose commit is meant to be there.

## Symptom at run time

No error. After a failed operation and its rollback, the first half of its rows is there.

## References

- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#when-do-i-construct-a-session-when-do-i-commit-it-and-when-do-i-close-it
- https://www.cosmicpython.com/book/chapter_06_uow.html
- https://github.com/mozilla-ai/otari/pull/1321
- https://github.com/bitcart/bitcart/issues/584
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import Committed
from sessionlint.findings import Severity
from sessionlint.project.symbols import Class, Function
from sessionlint.rules.base import Draft, callers_steps

SEVERITY = Severity.ERROR
DEFAULT = True
WHEN_MANY = 'if repositories commit by this project\'s policy, say `commit-owner = "repository"`; else take the commits out of the base class'

#: the policy under which a repository may end the transaction
_OWNER = "repository"
_TIE = {"param": "owns", "global": "shares", "dependency": "opened"}

BAD = (
    """
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]

# --- app/users.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import User


class UserRepository:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def get(self, key: int) -> User | None:
        return await self._db.get(User, key)

    async def save(self, user: User) -> User:
        self._db.add(user)
        await self._db.commit()  # SES201
        return user
""",
    """
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]

# --- app/base.py ---
from typing import Generic, TypeVar

from sqlalchemy.orm import Session

M = TypeVar("M")


class BaseRepository(Generic[M]):
    model: type[M]

    def __init__(self, session: Session) -> None:
        self.session = session

    def remove(self, row: M) -> None:
        self.session.delete(row)
        self._finish()

    def _finish(self) -> None:
        self.session.commit()  # SES201


# --- app/users.py ---
from sqlalchemy import update

from app.base import BaseRepository
from app.models import User


class UserRepository(BaseRepository[User]):
    model = User

    def rename_all(self, name: str) -> None:
        self.session.execute(update(User).values(name=name))
        self.session.commit()  # SES201
""",
    """
# --- shop/extensions.py ---
from flask_sqlalchemy import SQLAlchemy

db = SQLAlchemy()

# --- shop/pictures.py ---
from shop.extensions import db


class Picture(db.Model):
    id = db.Column(db.Integer, primary_key=True)


class PictureRepository:
    @staticmethod
    def store(picture: Picture) -> Picture:
        db.session.add(picture)
        db.session.commit()  # SES201
        return picture
""",
)

GOOD = (
    """
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]

# --- app/users.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import User


class UserRepository:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def save(self, user: User) -> User:
        self._db.add(user)
        await self._db.flush()
        return user

    async def try_save(self, user: User) -> None:
        nested = await self._db.begin_nested()
        self._db.add(user)
        await nested.commit()
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


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]

# --- app/uow.py ---
from types import TracebackType

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.models import User


class UserRepository:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    def add(self, user: User) -> None:
        self._db.add(user)


class UnitOfWork:
    def __init__(self, factory: async_sessionmaker[AsyncSession]) -> None:
        self._factory = factory

    async def __aenter__(self) -> "UnitOfWork":
        self.session = self._factory()
        self.users = UserRepository(self.session)
        return self

    async def commit(self) -> None:
        await self.session.commit()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None:
                await self.session.rollback()
        finally:
            await self.session.close()


class TransactionManager:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def commit(self) -> None:
        await self._session.commit()


class RegisterUser:
    """Command handler: the boundary of one transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._users = UserRepository(session)
        self._transaction = TransactionManager(session)

    async def handle(self, name: str) -> None:
        self._users.add(User(name=name))
        await self._transaction.commit()
''',
    """
# --- app/events.py ---
from aiokafka import AIOKafkaConsumer
from git import Repo


class EventRepository:
    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    async def acknowledge(self) -> None:
        await self._consumer.commit()


class CatalogueRepository:
    def __init__(self, repo: Repo) -> None:
        self._repo = repo

    def save(self, message: str) -> str:
        return self._repo.index.commit(message).hexsha
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    if analysis.settings.commit_owner == _OWNER:
        return
    for function, seen in analysis.observations(Committed):
        if seen.origin.kind not in _TIE or function.name in {"commit", "__aexit__", "__exit__"}:
            continue
        cls = _class_of(function)
        if cls is None or not analysis.is_repository_name(cls) or analysis.engine.is_unit_class(cls) or seen.asked:
            continue
        yield Draft(
            function,
            seen.loc,
            f"`{cls.name}.{function.name}` commits `{seen.receiver}`, a session its caller {_TIE[seen.origin.kind]}",
            "`flush()` if keys are needed; commit in the boundary, once every caller does",
            "makes the caller's earlier work permanent",
            callers_steps(analysis, function),
        )


def _class_of(function: Function) -> Class | None:
    current: Function | None = function
    while current is not None and current.owner is None:
        current = current.parent
    return current.owner if current is not None else None
