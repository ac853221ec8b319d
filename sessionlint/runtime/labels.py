"""Names a session's transactions for metrics and traces: which operation they serve and why they were rolled back.

The label travels in ``Session.info``, so that event listeners, which run deep inside SQLAlchemy, find it without
context variables (a task that finishes a shielded commit has a context of its own).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

RollbackReason = Literal["error", "cancel", "explicit", "implicit_close"]

RELEASE = "release"
"""Operation of a read-only transaction that was ended before foreign I/O."""

UNNAMED = "unnamed"
_KEY = "sessionlint.runtime.label"


@dataclass
class SessionLabel:
    """``operation`` names the transaction now open; ``reason`` is set shortly before a rollback is sent."""

    operation: str
    reason: RollbackReason | None = None


def set_operation(session: AsyncSession | Session, operation: str) -> SessionLabel:
    """Name the transactions of ``session``. Keep to a small fixed set of names: each becomes a metric series."""
    info = session.info
    label: SessionLabel | None = info.get(_KEY)
    if label is None:
        label = info[_KEY] = SessionLabel(operation)
    label.operation = operation
    return label


def label_of(session: AsyncSession | Session) -> SessionLabel | None:
    label: SessionLabel | None = session.info.get(_KEY)
    return label
