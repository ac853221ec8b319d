"""A suppression without codes is refused: it would silence every rule, also those written later.

## What it does

Reports `# sessionlint: ignore` and `# sessionlint: ignore-file` without codes in square brackets, and with empty
brackets. Such a comment silences nothing. A bare `# noqa` belongs to other tools and is left alone; it does not silence
findings of this one either.

## Why is this bad

Whoever wrote the comment had judged one finding. A blanket comment also hides the second fault that somebody adds to
the line next year, and nobody can tell any more which fault was meant.

## Instead

Name the rule, by code or by name, and give a reason: `# sessionlint: ignore[SES202] -- the importer owns the batch`.

## Fix safety

There is no fix: only a person knows which finding was meant.

## Options

None. To switch a rule off for many files, use `per-file-ignores`.

## Symptom at run time

None; this rule is about the comments.

## References

- https://docs.astral.sh/ruff/rules/blanket-noqa/ (the same idea for `noqa`)
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft

SEVERITY = Severity.WARNING
DEFAULT = True

BAD = (
    """
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str]

# --- app/notes.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Note


async def write(db: AsyncSession, body: str) -> None:
    db.add(Note(body=body))
    await db.commit()  # sessionlint: ignore  # SES003
""",
    """
# --- app/legacy.py ---
# sessionlint: ignore-file -- will be rewritten  # SES003
VALUE = 1
""",
    """
# --- app/legacy.py ---
VALUE = 1  # sessionlint: ignore[]  # SES003
""",
)

GOOD = (
    """
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str]

# --- app/notes.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Note


async def write(db: AsyncSession, body: str) -> None:
    db.add(Note(body=body))
    await db.commit()  # sessionlint: ignore[commit-on-borrowed-session] -- the importer hands over whole batches
""",
    """
# --- app/legacy.py ---
import os  # noqa

HELP = "write `# sessionlint: ignore` to be told that this is refused"
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    yield from ()  # reported by the runner, which alone reads suppressions
