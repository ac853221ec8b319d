"""A commit inside a `with session.begin_nested():` block commits everything, not only the savepoint.

## What it does

Reports `session.commit()` inside a block that frames a savepoint of the same session. The call may be in a function that
the block calls; then the finding is at the call, with the commit in the trace.

## Why is this bad

`session.commit()` always ends the outermost transaction. What the caller had done before the savepoint becomes
permanent, whatever happens to it later; and the savepoint's block is left without a savepoint, so the next use of the
session in it raises.

## Instead

Let the block release the savepoint. To release it early, use the object: `async with db.begin_nested() as savepoint:`
... `await savepoint.commit()`. Commit the transaction after the block, where its owner is.

## Fix safety

Suggestion only: deleting the commit is right when the caller commits, and loses the data when nobody does.

## Options

None.

## Symptom at run time

The caller's rollback undoes nothing: its rows are there. Then `sqlalchemy.exc.InvalidRequestError: Can't operate on
closed transaction inside context manager.`

## References

- https://docs.sqlalchemy.org/en/20/orm/session_transaction.html#using-savepoint
- https://docs.sqlalchemy.org/en/20/faq/sessions.html#but-why-does-flush-insist-on-issuing-a-rollback
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import Committed, EndedInside
from sessionlint.facts.shape import Loc
from sessionlint.findings import Severity, Step
from sessionlint.project.symbols import Function
from sessionlint.rules.base import Draft, chain_steps, spelled, step

SEVERITY = Severity.ERROR
DEFAULT = True
_DEPTH = 4

BAD = (
    """
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str]

# --- app/store.py ---
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Item


async def save(db: AsyncSession, sku: str) -> None:
    db.add(Item(sku=sku))
    await db.commit()

# --- app/items.py ---
import logging

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import Item
from app.store import save

log = logging.getLogger(__name__)


async def load(db: AsyncSession, skus: list[str]) -> None:
    for sku in skus:
        try:
            async with db.begin_nested():
                db.add(Item(sku=sku))
                await db.commit()  # SES210
        except IntegrityError:
            log.warning("duplicate %s", sku)


async def load_by_store(db: AsyncSession, sku: str) -> None:
    db.add(Item(sku="header"))
    async with db.begin_nested():
        await save(db, sku)  # SES210
""",
)

GOOD = (
    '''
# --- app/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str]

# --- app/items.py ---
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.models import Item


async def load(db: AsyncSession, skus: list[str]) -> None:
    """The block releases its savepoint; the owner commits after it."""
    for sku in skus:
        try:
            async with db.begin_nested():
                db.add(Item(sku=sku))
        except IntegrityError:
            continue
    await db.commit()


async def by_object(db: AsyncSession, sku: str) -> bool:
    """The savepoint's own commit releases the savepoint."""
    savepoint = await db.begin_nested()
    db.add(Item(sku=sku))
    try:
        await savepoint.commit()
    except IntegrityError:
        await savepoint.rollback()
        return False
    return True


async def in_block(db: AsyncSession, sku: str) -> None:
    async with db.begin_nested() as savepoint:
        db.add(Item(sku=sku))
        await savepoint.commit()


async def other_session(db: AsyncSession, maker: async_sessionmaker[AsyncSession], sku: str) -> None:
    """Another session's transaction, inside the savepoint."""
    async with db.begin_nested():
        db.add(Item(sku=sku))
        async with maker() as own:
            own.add(Item(sku="audit"))
            await own.commit()
''',
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function, seen in analysis.observations(EndedInside):
        if seen.block != "begin_nested" or seen.how != "commit":
            continue
        name = f"`{spelled(seen.origin)}`" if seen.origin.kind == "param" else "the session"
        trace = [step(function.module.path, seen.opened, "the savepoint begins here"), *chain_steps(seen.chain)]
        trace.extend(_callees_commit(analysis, function, seen.loc) if seen.chain else ())
        if seen.then is not None:
            trace.append(step(function.module.path, seen.then, "used again here: raises InvalidRequestError"))
        yield Draft(
            function,
            seen.loc,
            f"commit of {name} inside its savepoint: it commits the whole transaction, the caller's part included",
            "let the block release the savepoint, and commit after it where the transaction is owned",
            "ends the outermost transaction",
            tuple(trace),
        )


def _callees_commit(analysis: Analysis, function: Function, loc: Loc, depth: int = 0) -> tuple[Step, ...]:
    """Below a call, the commit on a session that was handed down, and the calls that lead to it."""
    for edge in analysis.result(function).edges:
        callee = analysis.table.functions.get(edge.callee)
        if edge.loc != loc or callee is None or depth > _DEPTH:
            continue
        result = analysis.result(callee)
        for seen in result.observations:
            if isinstance(seen, Committed) and seen.origin.kind == "param":
                return (step(callee.module.path, seen.loc, f"`{callee.qualname}` commits"),)
        for inner in result.edges:
            found = _callees_commit(analysis, callee, inner.loc, depth + 1)
            if found:
                name = analysis.table.functions[inner.callee].qualname
                return (step(callee.module.path, inner.loc, f"{name}()"), *found)
    return ()
