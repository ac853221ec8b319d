"""A method of a session, or of the session class, is replaced at run time.

## What it does

Reports `session.commit = tracked`, `AsyncSession.commit = tracked` and `setattr(session, "commit", tracked)` for the
methods that touch the database.

## Why is this bad

The replacement sees only calls of that one attribute. `session.begin()` commits without it, and so do `run_sync()`, the
exit of a factory's `begin()`, and the synchronous session inside an asynchronous one; on the other hand a commit with
nothing to do is counted. What counts commits this way counts wrongly.

## Instead

SQLAlchemy tells of each of them:

    @event.listens_for(SyncSession, "after_commit")
    def count(session): ...

## When it is silent

Tests, test doubles, and putting the original back.

## Fix safety

No fix.

## Options

None.

## Symptom at run time

A counter that says 2 where the database saw 3 commits.

## References

- https://docs.sqlalchemy.org/en/20/orm/session_events.html
- https://docs.sqlalchemy.org/en/20/orm/extensions/asyncio.html#using-events-with-the-asyncio-extension
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
# --- app/tracking.py ---
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

count = 0


def track(session: AsyncSession) -> None:
    original = session.commit

    async def tracked() -> None:
        global count
        count += 1
        await original()

    session.commit = tracked  # SES608


def track_flush(session: Session, listener) -> None:
    setattr(session, "flush", listener)  # SES608


def announce(session: Session) -> None:
    print("rollback")


Session.rollback = announce  # SES608
""",
)

GOOD = (
    '''
# --- app/tracking.py ---
from unittest.mock import AsyncMock

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session


class Journal:
    def commit(self) -> None:
        pass


def listen(session: AsyncSession, listener) -> None:
    event.listen(session.sync_session, "after_commit", listener)


def restore(session: AsyncSession) -> None:
    original = session.commit
    session.commit = original


def double(session: AsyncSession) -> None:
    session.commit = AsyncMock()


def other(journal: Journal, listener) -> None:
    journal.commit = listener


def facts(session: AsyncSession, user: str) -> None:
    session.info["user"] = user
    session.autoflush = False


class Counted(Session):
    """A subclass is no replacement."""

    def commit(self) -> None:
        super().commit()
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function, found in analysis.patched_sessions():
        yield Draft(
            function,
            found.loc,
            f"`{found.text}` is replaced: commits by `begin()` or `run_sync()` go past the replacement",
            "listen to session events instead",
            "seen only by calls of this attribute",
        )
