"""Callbacks that wait for the fate of a transaction, fired once after the real COMMIT or ROLLBACK."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

from .errors import UnitOfWorkError

logger = logging.getLogger(__name__)

# A function without arguments; what it returns is awaited if it can be.
Hook = Callable[[], object]

_KEY = "sessionlint.runtime.hooks"


class Hooks:
    """Two lists of callbacks; either fate empties both. A callback that raises is logged, the others still run."""

    def __init__(self) -> None:
        self._after_commit: list[Hook] = []
        self._after_rollback: list[Hook] = []

    def add_after_commit(self, hook: Hook) -> None:
        self._after_commit.append(hook)

    def add_after_rollback(self, hook: Hook) -> None:
        self._after_rollback.append(hook)

    async def committed(self) -> None:
        await self._fire(self._after_commit)

    async def rolled_back(self) -> None:
        await self._fire(self._after_rollback)

    async def _fire(self, hooks: list[Hook]) -> None:
        if not hooks and not self._after_commit and not self._after_rollback:
            return
        due = list(hooks)
        self._after_commit.clear()
        self._after_rollback.clear()
        for hook in due:
            try:
                result = hook()
                if inspect.isawaitable(result):
                    await result
            except Exception:
                # The transaction has ended; nothing a callback does can change that, so nobody may think it failed.
                logger.exception("A callback after the end of a transaction failed: %r", hook)


def wait_for_owner(session: Session, *, after_commit: Hook | None = None, after_rollback: Hook | None = None) -> None:
    """Fire after the COMMIT or ROLLBACK of a session that someone else owns, by SQLAlchemy's events.

    Such events run inside SQLAlchemy, where nothing can be awaited: coroutine functions are refused.
    """
    waiting: _Waiting | None = session.info.get(_KEY)
    if waiting is None:
        waiting = session.info[_KEY] = _Waiting()
        event.listen(session, "after_commit", waiting.on_commit)
        event.listen(session, "after_transaction_end", waiting.on_end)
    for hook, hooks in ((after_commit, waiting.after_commit), (after_rollback, waiting.after_rollback)):
        if hook is None:
            continue
        if inspect.iscoroutinefunction(hook):
            raise UnitOfWorkError(
                "A callback on a session without a unit of work of its own can't be a coroutine function: "
                "schedule the work from a plain function, or let the owner use SSEUnitOfWork."
            )
        hooks.append(hook)


class _Waiting:
    """The callbacks of one session; its listeners stay, since none may be removed while events are delivered."""

    def __init__(self) -> None:
        self.after_commit: list[Hook] = []
        self.after_rollback: list[Hook] = []
        self._committed = False

    def on_commit(self, session: Session) -> None:
        # The event also fires when a savepoint is released, which makes nothing permanent.
        self._committed = session.get_nested_transaction() is None

    def on_end(self, _session: Session, transaction: SessionTransaction) -> None:
        if transaction.parent is not None:
            return
        due = self.after_commit if self._committed else self.after_rollback
        self.after_commit, self.after_rollback, self._committed = [], [], False
        for hook in due:
            try:
                hook()
            except Exception:
                logger.exception("A callback after the end of a transaction failed: %r", hook)
