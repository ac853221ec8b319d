"""An endpoint commits, and its session dependency commits again after it.

## What it does

Reports `commit()` in an endpoint (or in what it calls on the same session) whose session comes from a dependency that
commits after its `yield`. Opt-in: it is untidy, not wrong.

## Why is this bad

Two places decide when the request's work is final. The second commit has usually nothing to do, but fires `after_commit`
and expires what was loaded; metrics count two transactions per request. The reader has to find out which of the two
matters, and the next endpoint trusts the wrong one.

## Instead

One owner: either the endpoints commit, and the dependency only closes; or the dependency does (mind SES212).

## When it is silent

A dependency that only closes, or commits on some condition; endpoints that leave the commit to it; streams, which need
small transactions of their own; an endpoint that writes again after its commit.

## Fix safety

There is no fix: which of the two is the owner is a decision.

## Options

None.

## Symptom at run time

None, but for an additional round trip per request where something was read after the first commit.

## References

- https://docs.sqlalchemy.org/en/20/orm/session_basics.html#when-do-i-construct-a-session-when-do-i-commit-it-and-when-do-i-close-it
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import Committed, Ended, Streamed
from sessionlint.effects.requests import provided
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft, spelled, step

SEVERITY = Severity.INFO
DEFAULT = False

BAD = (
    """
# --- app/main.py ---
import os
from collections.abc import AsyncIterator

from fastapi import Depends, FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

maker = async_sessionmaker(create_async_engine(os.environ["DATABASE_URL"]), expire_on_commit=False)
app = FastAPI()


async def get_db() -> AsyncIterator[AsyncSession]:
    async with maker() as db:
        yield db
        await db.commit()


@app.post("/visits")
async def visit(page: str, db: AsyncSession = Depends(get_db)) -> None:
    await db.execute(text("insert into visits (page) values (:p)"), {"p": page})
    await db.commit()  # SES205
""",
)

GOOD = (
    '''
# --- app/main.py ---
import os
from collections.abc import AsyncIterator

from fastapi import Depends, FastAPI
from fastapi.responses import StreamingResponse
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

maker = async_sessionmaker(create_async_engine(os.environ["DATABASE_URL"]), expire_on_commit=False)
app = FastAPI()


async def get_db() -> AsyncIterator[AsyncSession]:
    async with maker() as db:
        yield db


async def get_tx() -> AsyncIterator[AsyncSession]:
    async with maker.begin() as db:
        yield db


@app.post("/visits")
async def visit(page: str, db: AsyncSession = Depends(get_db)) -> None:
    """The dependency only closes."""
    await db.execute(text("insert into visits (page) values (:p)"), {"p": page})
    await db.commit()


@app.post("/visits/tx")
async def visit_tx(page: str, db: AsyncSession = Depends(get_tx)) -> None:
    """The dependency commits, alone."""
    await db.execute(text("insert into visits (page) values (:p)"), {"p": page})


@app.post("/visits/stream")
async def stream(page: str, db: AsyncSession = Depends(get_tx)) -> StreamingResponse:
    """Nothing may stay open while the client reads."""
    await db.execute(text("insert into visits (page) values (:p)"), {"p": page})
    await db.commit()

    async def body() -> AsyncIterator[str]:
        yield page

    return StreamingResponse(body())
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function, seen in analysis.observations(Committed):
        if analysis.entries.kind(function) != "route" or seen.origin.kind != "param":
            continue
        if any(isinstance(o, (Ended, Streamed)) for o in analysis.result(function).observations):
            continue
        for one in provided(analysis, function, seen.origin.name):
            if set((analysis.result(one.provider).after_yield or {}).values()) == {"commit"}:
                yield Draft(
                    function,
                    seen.loc,
                    f"`{function.qualname}` commits `{spelled(seen.origin)}`, and `{one.provider.name}` commits it again",
                    "let one of them own the transaction",
                    "the first of two commits",
                    (
                        step(
                            one.provider.module.path,
                            one.provider.facts.loc,
                            f"{one.provider.name} commits after `yield`",
                        ),
                    ),
                )
                break
