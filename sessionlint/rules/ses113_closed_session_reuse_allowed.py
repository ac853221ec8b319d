"""A session factory lets closed sessions be used again.

## What it does

Reports a session factory without `close_resets_only=False`. Opt-in: nothing is wrong yet, the option turns a whole family
of silent faults into exceptions.

## Why is this bad

A closed session is as good as new: the next call begins another transaction on another connection, which nobody will
commit or close. That is why a session used after its scope, by a stream, a task or a stored service, loses data without
an error (SES105, SES106, SES109, SES303, SES402, SES501).

## Instead

    maker = async_sessionmaker(engine, expire_on_commit=False, close_resets_only=False)

The use after `close()` then raises at once, where it happens. Needs SQLAlchemy 2.0.22.

## When it is silent

`close_resets_only` given with any value; `**options` that come from elsewhere; a SQLAlchemy that does not know the option.

## Fix safety

Unsafe: code that reuses a closed session on purpose raises afterwards.

## Options

- `target`: the SQLAlchemy version.

## Symptom at run time

None without the option. With it: `sqlalchemy.exc.InvalidRequestError: This Session has been permanently closed and is
unable to handle any more transaction requests.`

## References

- https://docs.sqlalchemy.org/en/20/orm/session_api.html#sqlalchemy.orm.Session.params.close_resets_only
- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#closing
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.findings import Severity
from sessionlint.project.constructions import factories, keyword, passes_on, reconfigured
from sessionlint.rules.base import Draft

SEVERITY = Severity.INFO
DEFAULT = False

_OPTION = "close_resets_only"
#: versions that know the option: [low, high)
_KNOWN = ("2.0.22", "999")

BAD = (
    """
# --- app/db.py ---
import os

from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import sessionmaker

maker = async_sessionmaker(create_async_engine(os.environ["DATABASE_URL"]), expire_on_commit=False)  # SES113
SessionLocal = sessionmaker(create_engine(os.environ["DATABASE_URL"]))  # SES113
""",
)

GOOD = (
    """
# --- app/db.py ---
import os
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

engine = create_async_engine(os.environ["DATABASE_URL"])
maker = async_sessionmaker(engine, expire_on_commit=False, close_resets_only=False)
reused = async_sessionmaker(engine, close_resets_only=True)


def make(**options: Any) -> async_sessionmaker[AsyncSession]:
    return async_sessionmaker(engine, **options)
""",
    """
# --- pyproject.toml ---
[project]
name = "older"
version = "1"
dependencies = ["sqlalchemy==1.4.50"]

# --- app/db.py ---
import os

from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

SessionLocal = sessionmaker(create_engine(os.environ["DATABASE_URL"]))
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    version = analysis.settings.versions.get("sqlalchemy")
    if not analysis.concerned or (version is not None and not version.admits(*_KNOWN)):
        return
    for found in factories(analysis.infer):
        if keyword(found.call, _OPTION) is None and not passes_on(found.call):
            if not reconfigured(analysis.infer, found, _OPTION):
                yield Draft(
                    found.owner,
                    found.call.loc,
                    "a session of this factory may be used after close(): it begins a transaction that nobody ends",
                    "pass `close_resets_only=False` (SQLAlchemy 2.0.22 and later)",
                    "use after close() is silent",
                )
