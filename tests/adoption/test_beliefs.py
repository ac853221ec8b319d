"""What a first run says of a project: what was recognised, what was not, and what cannot be followed."""

from __future__ import annotations

FLASK = {
    "pyproject.toml": '[project]\nname = "board"\nversion = "1"\ndependencies = ["sqlalchemy>=2"]\n',
    "board/extensions.py": "from flask_sqlalchemy import SQLAlchemy\n\ndb = SQLAlchemy()\n",
    "board/models.py": """\
from board.extensions import db


class Topic(db.Model):
    id = db.Column(db.Integer, primary_key=True)
""",
}
OUTSIDE = {
    "pyproject.toml": '[project]\nname = "crud"\nversion = "1"\ndependencies = ["fastapi>=0.115", "sqlalchemy>=2"]\n',
    "app/db.py": """\
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

maker = async_sessionmaker(create_async_engine("sqlite+aiosqlite://"))


async def get_db():
    async with maker() as db:
        yield db
""",
    "app/crud.py": """\
from genericcrud import Crud

from app.models import Topic

crud_topics = Crud[Topic](Topic)
""",
    "app/models.py": """\
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Topic(Base):
    __tablename__ = "topics"
    id: Mapped[int] = mapped_column(primary_key=True)
""",
    "app/routes.py": """\
from typing import Annotated

from fastapi import Depends, FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from app.crud import crud_topics
from app.db import get_db

app = FastAPI()


@app.post("/topics")
async def create(db: Annotated[AsyncSession, Depends(get_db)]) -> None:
    await crud_topics.create(db)
    await crud_topics.get(db)


@app.post("/others")
async def other(db: Annotated[AsyncSession, Depends(get_db)], service) -> None:
    await service.save(db)
""",
}


def test_the_session_of_an_extension_is_a_way_to_sessions(cli, write):
    write(FLASK)
    said = cli("check").stderr
    assert said.startswith(
        "0 session factories, 1 shared session (db.session), 0 providers, 0 repositories, 1 model; sqlalchemy >=2 ("
    )
    assert "recognised" not in said
    assert "fastapi" not in said, "a library that is neither declared nor imported is no belief"


def test_models_without_a_way_to_sessions(cli, write):
    write({"pyproject.toml": "", "app/models.py": OUTSIDE["app/models.py"]})
    said = cli("check").stderr
    assert "no session factory or provider was recognised" in said and "session-factories = [" in said


def test_calls_into_packages_are_told_apart_from_what_an_annotation_would_resolve(cli, write):
    write(OUTSIDE)
    assert cli("show", "unresolved").stdout == (
        "1 call through `service`: annotate it with its class where it is assigned or received\n"
        "  app/routes.py:20:11 service.save(): its target could not be determined\n"
        "2 calls of the package genericcrud, which is not read: nothing is said of sessions given to it\n"
        "  app/routes.py:14:11 crud_topics.create()\n"
        "  app/routes.py:15:11 crud_topics.get()\n"
    )


def test_the_timeline_says_where_it_cannot_see(cli, write):
    write(OUTSIDE)
    lines = cli("trace", "create").stdout.splitlines()
    assert [line.split("  ", 1)[1].strip() for line in lines] == [
        "open: session opened by the dependency get_db",
        "unknown: crud_topics.create() is given the session",
        "unknown: crud_topics.get() is given the session",
        "close: close without commit in get_db, when the request ends",
    ]
