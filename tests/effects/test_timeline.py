"""``trace``: the timeline of an entry point, and names that lead to none or to several."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from sessionlint.config.settings import AnalysisSettings
from sessionlint.effects import Analysis, analyse
from sessionlint.facts import FileFacts, extract
from sessionlint.findings import Severity
from sessionlint.project import shipped
from sessionlint.rules import registry
from sessionlint.rules.base import Draft, step

_PROGRAM = """
from fastapi import APIRouter, Depends
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

maker = async_sessionmaker(create_async_engine("x"), expire_on_commit=False)
router = APIRouter()


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)


async def get_db():
    async with maker() as session:
        yield session
        await session.commit()


class Notes:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def save(self) -> None:
        self._db.add(Note(id=1))
        await self._db.flush()


class Drafts:
    async def save(self) -> None:
        return None


@router.post("/notes")
async def create(db: AsyncSession = Depends(get_db)) -> None:
    await Notes(db).save()
    await Notes(db).save()
"""


@pytest.fixture
def analysis() -> Analysis:
    facts = extract("app.py", _PROGRAM.encode())
    assert isinstance(facts, FileFacts)
    return analyse([facts], AnalysisSettings(root=Path()))


def test_the_timeline_begins_and_ends_with_the_request(analysis: Analysis) -> None:
    lines = [(event.depth, event.kind, event.message) for event in analysis.timeline("create")]
    assert lines == [
        (0, "open", "session opened by the dependency get_db"),
        (0, "call", "Notes.save"),
        (1, "write", "insert Note"),
        (1, "flush", "flush()"),
        (0, "call", "Notes.save, as above (insert Note, flush)"),
        (0, "close", "commit, then close in get_db, when the request ends"),
    ]


def test_an_entry_point_goes_by_its_route(analysis: Analysis) -> None:
    assert analysis.timeline("POST /notes") == analysis.timeline("create")


def test_names_that_mean_several_functions_are_listed(analysis: Analysis) -> None:
    with pytest.raises(LookupError) as caught:
        analysis.timeline("save")
    assert caught.value.args[0] == ["app.py:Notes.save", "app.py:Drafts.save"]


def test_unknown_names_lead_nowhere(analysis: Analysis) -> None:
    with pytest.raises(LookupError) as caught:
        analysis.timeline("nothing")
    assert caught.value.args[0] == []


_UNIT = """
from sessionlint.runtime import SSEUnitOfWork
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

maker = async_sessionmaker(create_async_engine("x"), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)


async def save() -> None:
    async with SSEUnitOfWork(maker) as uow:
        uow.session.add(Note(id=1))
        await uow.flush()
        await uow.commit("create_note")
"""


def test_methods_of_the_runtime_say_what_they_do() -> None:
    facts = extract("app.py", _UNIT.encode())
    assert isinstance(facts, FileFacts)
    events = analyse([facts], AnalysisSettings()).timeline("save")
    assert [e.kind for e in events] == ["open", "write", "flush", "commit", "close"]
    assert {e.place.file for e in events} == {"app.py"}


def test_no_finding_leads_into_the_runtime() -> None:
    facts = extract("app.py", _UNIT.encode())
    assert isinstance(facts, FileFacts)
    analysis = analyse([facts], AnalysisSettings())
    save = next(f for f in analysis.functions if f.name == "save")
    here, there = (step(file, save.facts.loc, "it is opened") for file in ("app.py", shipped.PATH))
    rule = ModuleType("sessionlint.rules.ses999_example")
    vars(rule).update(
        SEVERITY=Severity.WARNING,
        check=lambda _analysis: [Draft(save, save.facts.loc, "message", "help", "label", (here, there))],
    )
    (finding,) = registry._checker(rule, "SES999", "example")(analysis)
    assert finding.trace == (here,), "a reader cannot open what is no file of the project"
