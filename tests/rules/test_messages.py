"""A message says by itself what is wrong and whose; its path leads to the statement that makes it so."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

PROJECT = {
    "pyproject.toml": '[project]\nname = "app"\nversion = "1"\ndependencies = ["fastapi==0.128.0", "sqlalchemy>=2"]\n',
    "app/models.py": """\
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
""",
    "app/store.py": """\
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Item


async def save(db: AsyncSession, name: str) -> None:
    db.add(Item(name=name))
    await finish(db)


async def finish(db: AsyncSession) -> None:
    await db.commit()
""",
    "app/imports.py": """\
from sqlalchemy.ext.asyncio import AsyncSession

from app.store import save


async def load(db: AsyncSession, names: list[str]) -> None:
    for name in names:
        async with db.begin_nested():
            await save(db, name)


async def load_each(db: AsyncSession, names: list[str]) -> None:
    for name in names:
        db.add(Item(name=name))
        await db.commit()
""",
    "app/sync.py": """\
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session, sessionmaker

maker = sessionmaker(create_engine("sqlite://"))


def get_db():
    with maker() as db:
        yield db


def count(db: Session) -> int:
    return db.execute(text("SELECT count(*) FROM items")).scalar_one()
""",
    "app/routes.py": """\
from fastapi import BackgroundTasks, Depends, FastAPI
from sqlalchemy.orm import Session

from app.sync import count, get_db

app = FastAPI()


def refresh(db: Session) -> None:
    count(db)


@app.get("/items")
async def items(jobs: BackgroundTasks, db: Session = Depends(get_db)) -> int:
    jobs.add_task(refresh, db)
    return count(db)
""",
}
PROJECT["app/imports.py"] = PROJECT["app/imports.py"].replace(
    "from app.store import save", "from app.models import Item\nfrom app.store import save"
)
EXPECTED = {
    "SES206": (
        "`load_each` commits in every turn of the loop: a failure half-way leaves the first part done for good",
        ["app/imports.py:14 the loop"],
    ),
    "SES210": (
        "commit of `db` inside its savepoint: it commits the whole transaction, the caller's part included",
        [
            "app/imports.py:9 the savepoint begins here",
            "app/imports.py:10 save()",
            "app/store.py:8 finish()",
            "app/store.py:12 `finish` commits",
        ],
    ),
    "SES402": (
        "`db` is handed to `refresh`, which runs after the response: "
        "the request's connection stays pinned until the job ends",
        [],
    ),
    "SES403": (
        "`count()` queries a sync session inside `async def items`, and the event loop waits for it",
        ["app/routes.py:16 count()", "app/sync.py:13 db.execute()"],
    ),
}


@pytest.mark.parametrize("code", EXPECTED)
def test_message_and_path(cli: Callable[..., Any], write: Callable[..., Any], code: str) -> None:
    write(PROJECT)
    found = json.loads(cli("check", "--select", code, "--output-format", "json", "--no-cache").stdout)["findings"]
    got = [(one["message"], [f"{s['file']}:{s['line']} {s['message']}" for s in one["trace"]]) for one in found]
    assert EXPECTED[code] in got
