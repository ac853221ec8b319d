"""A suppression that silences nothing: the fault it excused is gone, or it never stood there.

## What it does

Reports a `# noqa: SES...` or `# sessionlint: ignore[...]` comment whose codes match no finding of this run. Of several
codes in one comment only the unused ones are named. Codes of other tools in the same `noqa` are not looked at, and
neither are codes of rules that were not selected.

## Why is this bad

A leftover suppression keeps watch over an empty place. When the same fault comes back to that line, it is silenced
before anybody has judged it. It also tells the next reader about a danger that is no longer there.

## Instead

Delete the comment, or the unused code in it. If the finding moved, put the comment where the finding is now: for a
statement over several lines `# noqa` belongs to the physical line of the finding.

## Fix safety

Safe: removes the unused codes, or the whole comment if none is left. A reason after `--` goes with its comment.

## Options

- `select`, `ignore`: a suppression of a rule that is not selected is never reported as unused.

## Symptom at run time

None; this rule is about the comments.

## References

- https://docs.astral.sh/ruff/rules/unused-noqa/ (the same idea for ruff's own codes)
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
    await db.flush()  # noqa: SES202  # SES002
""",
    """
# --- app/numbers.py ---
def double(number: int) -> int:
    return 2 * number  # sessionlint: ignore[commit-in-repository] -- moved to the service  # SES002
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
    await db.commit()  # noqa: SES202
""",
    """
# --- app/numbers.py ---
import os  # noqa: F401

TEXT = "await db.flush()  # noqa: SES202"
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    yield from ()  # reported by the runner, which alone knows what suppressed what
