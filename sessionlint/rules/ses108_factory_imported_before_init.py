"""A session factory is imported by name while it is still None.

## What it does

Reports `from app.db import maker` at module level where `app.db` sets `maker = None` and a function gives it its value
later through `global`. The same for an engine and for a session.

## Why is this bad

An import binds a name to the object of that moment. The function rebinds the name in `app.db`; the importing module keeps
the None it has copied, for ever. Everything works in the module itself and in whoever reads `db.maker`, and fails in the
others.

## Instead

Make the factory at once, and give it its engine later:

    maker = async_sessionmaker(expire_on_commit=False)

    def init(url: str) -> None:
        maker.configure(bind=create_async_engine(url))

or read it through the module (`from app import db` ... `db.maker()`), or import it inside the function that uses it.

## When it is silent

Imports inside functions; `import app.db`; imports for the type checker; a module that calls its own set-up function while
it is imported; an importing module that is itself imported only inside functions.

## Fix safety

There is no automatic fix; making the factory at once and calling `configure(bind=...)` changes the defining module only.

## Options

None.

## Symptom at run time

`TypeError: 'NoneType' object is not callable`, or `AttributeError: 'NoneType' object has no attribute 'begin'`.

## References

- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#when-do-i-make-a-sessionmaker
- https://docs.sqlalchemy.org/en/20/orm/session_api.html#sqlalchemy.orm.sessionmaker.configure
- https://docs.python.org/3/faq/programming.html#how-do-i-share-global-variables-across-modules
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.findings import Severity
from sessionlint.project.late import early_imports
from sessionlint.rules.base import Draft, step

SEVERITY = Severity.ERROR
DEFAULT = True

BAD = (
    """
# --- app/db.py ---
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

engine: AsyncEngine | None = None
maker: async_sessionmaker[AsyncSession] | None = None


def init(url: str) -> None:
    global engine, maker
    engine = create_async_engine(url)
    maker = async_sessionmaker(engine, expire_on_commit=False)

# --- app/jobs.py ---
from sqlalchemy import text

from app.db import maker as open_session  # SES108


async def prune() -> None:
    async with open_session() as db:
        await db.execute(text("delete from logs"))
        await db.commit()

# --- app/health.py ---
from .db import engine  # SES108


async def alive() -> None:
    async with engine.connect():
        pass

# --- app/__main__.py ---
from app import health, jobs
from app.db import init

init("postgresql+asyncpg://app@db/app")
print(health, jobs)
""",
)

GOOD = (
    '''
# --- app/db.py ---
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

maker: async_sessionmaker[AsyncSession] | None = None
ready = async_sessionmaker(expire_on_commit=False)
level = None


def init(url: str) -> None:
    global maker, level
    level = "high"
    maker = async_sessionmaker(create_async_engine(url), expire_on_commit=False)
    ready.configure(bind=create_async_engine(url))

# --- app/settings.py ---
from sqlalchemy import Engine, create_engine

engine: Engine | None = None


def _connect() -> None:
    global engine
    engine = create_engine("sqlite://")


_connect()

# --- app/jobs.py ---
from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

import app.db
from app import db as database
from app.db import level, ready
from app.settings import engine

if TYPE_CHECKING:
    from app.db import maker


async def prune() -> None:
    """Read through the module, at the time of the call."""
    async with database.maker() as db:
        await db.execute(text("delete from logs"))
        await db.commit()


async def prune_here() -> None:
    """Imported at the time of the call."""
    from app.db import maker

    async with maker() as db:
        await db.execute(text("delete from logs"))
        await db.commit()


async def prune_dotted() -> None:
    async with app.db.maker() as db, ready() as other:
        await db.execute(text("delete from logs"))
        print(other, level, engine)
        await db.commit()

# --- app/routes.py ---
from app.db import maker


async def count() -> None:
    async with maker() as db:
        print(db)

# --- app/main.py ---
from app.db import init


def create_app() -> object:
    """The routes are imported after the set-up."""
    init("postgresql+asyncpg://app@db/app")
    from app import routes

    return routes
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for seen in early_imports(analysis.infer) if analysis.concerned else ():
        yield Draft(
            seen.module,
            seen.loc,
            f"`{seen.name}` is still None when this import copies it: `{seen.setter.name}()` makes the {seen.what} later",
            f"make it in `{seen.source.dotted}` at once and `configure(bind=...)` it, or read it through the module",
            "bound to None for ever",
            (
                step(
                    seen.source.path, seen.set_at, f"{seen.setter.qualname} rebinds {seen.name} here, in its own module"
                ),
            ),
        )
