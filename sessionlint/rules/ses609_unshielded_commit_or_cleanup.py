"""A unit of work commits or cleans up in a way that a cancellation can interrupt.

## What it does

Reports the first `await session.commit()`, `rollback()` or `close()` in the exit (`__aexit__`) of a unit of work that opens
its own session, or in its `commit` method, that stands in no shield. Off by default: almost every unit of work is written
that way, and it matters where requests are cancelled as a matter of course (streams, timeouts) and somebody counts or
acknowledges what was saved.

## Why is this bad

A client that disconnects, or a timeout, cancels the task wherever it waits. In the middle of a COMMIT the caller sees
`CancelledError`, and the rows may be there nevertheless: `except Exception` does not see it, neither the success nor the
failure is counted, and a retry writes the rows twice. A rollback or close that is cut off throws the connection away.

## Instead

Let the end of a transaction run to its end, whoever is cancelled meanwhile:

    async def __aexit__(self, exc_type, exc, traceback):
        with anyio.CancelScope(shield=True):
            if exc_type is None:
                await self.session.commit()
            await self.session.close()

or hand it to `asyncio.shield()` and wait for the outcome (`sessionlint scaffold` writes `run_shielded()`).

## When it is silent

The call stands in a scope with `shield=True`, or is handed to another function (`asyncio.shield(...)`) instead of being
awaited; sync sessions; units that were handed their session; `async with maker() as db`, whose closing SQLAlchemy 2.0.58
and later runs to its end.

## Fix safety

There is no fix.

## Options

None.

## Symptom at run time

`asyncio.CancelledError` at the commit, and the row is in the database all the same; connections that the pool has to
replace.

## References

- https://docs.sqlalchemy.org/en/20/orm/extensions/asyncio.html
- https://github.com/sqlalchemy/sqlalchemy/issues/8145
- https://github.com/sqlalchemy/sqlalchemy/issues/12077
- https://anyio.readthedocs.io/en/stable/cancellation.html#shielding
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.shielding import unshielded
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, callers_steps

SEVERITY = Severity.WARNING
DEFAULT = False

BAD = (
    """
# --- app/units.py ---
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)


class Unit:
    async def __aenter__(self) -> "Unit":
        self.session: AsyncSession = maker()
        return self

    async def commit(self) -> None:
        await self.session.commit()  # SES609

    async def __aexit__(self, exc_type, exc, traceback) -> None:
        try:
            if exc_type is not None:
                await self.session.rollback()  # SES609
        finally:
            await self.session.close()
""",
)

GOOD = (
    '''
# --- app/units.py ---
import asyncio

import anyio
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

maker = async_sessionmaker(create_async_engine("postgresql+asyncpg://app@db/app"), expire_on_commit=False)
sync_maker = sessionmaker(create_engine("postgresql+psycopg://app@db/app"))


class Shielded:
    async def __aenter__(self) -> "Shielded":
        self.session: AsyncSession = maker()
        return self

    async def commit(self) -> None:
        await asyncio.shield(self.session.commit())

    async def __aexit__(self, exc_type, exc, traceback) -> None:
        with anyio.CancelScope(shield=True):
            if exc_type is not None:
                await self.session.rollback()
            await self.session.close()


class Borrowed:
    """Its owner ends the transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def __aenter__(self) -> "Borrowed":
        return self

    async def __aexit__(self, exc_type, exc, traceback) -> None:
        if exc_type is not None:
            await self.session.rollback()


class Plain:
    """Threads are not cancelled."""

    def __enter__(self) -> "Plain":
        self.session: Session = sync_maker()
        return self

    def __exit__(self, exc_type, exc, traceback) -> None:
        if exc_type is None:
            self.session.commit()
        self.session.close()
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    told = set()
    for unit in analysis.unit_exits:
        if not unit.opens:
            continue
        for method in (unit.method, analysis.infer.classes.method(unit.cls, "commit")):
            if method is None or method.key in told:
                continue
            told.add(method.key)
            for call in unshielded(analysis, method):
                yield Draft(
                    method,
                    call.loc,
                    f"a cancellation can interrupt `{call.receiver}.{call.method}()` in `{method.qualname}`: whether it "
                    "took effect is then not known",
                    "run it in a shielded scope, or hand it to `asyncio.shield()` and wait for the outcome",
                    "interrupted by a disconnect or a timeout",
                    callers_steps(analysis, method),
                )
                break
