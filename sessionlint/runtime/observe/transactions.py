"""Follows every transaction of an engine from BEGIN to its real end and tells listeners how it ended.

Facts about the events (SQLAlchemy 2.0 and 2.1): ``commit`` and ``rollback`` of the connection fire *before* the
statement is sent, so a commit counts only once the connection moves on without an error; ``Session.close()`` with an
open transaction sends a ROLLBACK without ``after_rollback``; ``after_commit`` of the session also fires for a released
savepoint and for a commit of nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Session, SessionTransaction
from sqlalchemy.pool import ConnectionPoolEntry

from ..labels import RELEASE, UNNAMED, RollbackReason, SessionLabel, label_of
from ..sqlstate import sqlstate_of
from .request_scope import NO_REQUEST, RequestScope, current_request

logger = logging.getLogger(__name__)

_KEY = "sessionlint.runtime.transactions"

Outcome = Literal["commit", "rollback"]


class EndedTransaction(NamedTuple):
    """``reason`` and ``sqlstate`` are empty for a commit; ``seconds`` lie between BEGIN and the end of its ending."""

    outcome: Outcome
    operation: str
    endpoint: str
    reason: RollbackReason | Literal[""]
    sqlstate: str
    seconds: float

    @property
    def saved(self) -> bool:
        """A commit that could have saved something, unlike the end of a read-only transaction by ``release()``."""
        return self.outcome == "commit" and self.operation != RELEASE


class TransactionListener(Protocol):
    def ended(self, transaction: EndedTransaction) -> None:
        """Called in the middle of database work: be quick, await nothing."""
        ...


class _Open:
    __slots__ = ("answered", "connection", "label", "operation", "outcome", "reason", "request", "sqlstate", "started")

    def __init__(self, connection: DBAPIConnection) -> None:
        # Held so that its id, the key it is found by, can't be given to another connection.
        self.connection = connection
        self.request: RequestScope | None = current_request.get()
        self.started = time.perf_counter()
        self.label: SessionLabel | None = None
        self.operation = UNNAMED
        self.outcome: Outcome | None = None
        self.reason: RollbackReason | None = None
        self.sqlstate = ""
        self.answered: float | None = None


class TransactionObserver:
    """Attach one to each engine, at start-up. ``name`` tells engines apart in pool metrics.

    ``session_class`` narrows the listeners for sessions (labels, explicit rollbacks) to one class and its subclasses.
    """

    def __init__(self, engine: AsyncEngine, name: str = "main", *, session_class: type[Session] = Session) -> None:
        self.engine = engine
        self.name = name
        self._listeners: list[TransactionListener] = []
        self._open: dict[int, _Open] = {}
        self._key = f"{_KEY}.{id(self)}"
        sync = engine.sync_engine
        self._attached: list[tuple[Engine | type[Session], str, Callable[..., None]]] = [
            (sync, "begin", self._on_begin),
            (sync, "commit", self._on_commit),
            (sync, "rollback", self._on_rollback),
            (sync, "rollback_savepoint", self._on_rollback_savepoint),
            (sync, "handle_error", self._on_error),
            (sync, "checkin", self._on_checkin),
            (sync, "invalidate", self._on_invalidate),
            (session_class, "after_begin", self._on_session_begin),
            (session_class, "after_rollback", self._on_session_rollback),
        ]
        for target, name_, function in self._attached:
            event.listen(target, name_, function)

    def detach(self) -> None:
        for target, name, function in self._attached:
            event.remove(target, name, function)
        self._attached.clear()

    def add(self, listener: TransactionListener) -> None:
        self._listeners.append(listener)

    def oldest_open(self) -> dict[str, float]:
        """Seconds since BEGIN of the oldest transaction now open, for each operation that has one."""
        now = time.perf_counter()
        oldest: dict[str, float] = {}
        for transaction in list(self._open.values()):
            operation = transaction.label.operation if transaction.label is not None else UNNAMED
            oldest[operation] = max(oldest.get(operation, 0.0), now - transaction.started)
        return oldest

    # -- connection --------------------------------------------------------------------------------------------

    def _on_begin(self, connection: Connection) -> None:
        raw = connection.connection.dbapi_connection
        if raw is None:
            return
        former = self._open.get(id(raw))
        if former is not None:
            self._finish(former, former.answered)
        self._open[id(raw)] = _Open(raw)

    def _on_commit(self, connection: Connection) -> None:
        transaction = self._open.get(id(connection.connection.dbapi_connection))
        if transaction is not None:
            transaction.outcome = "commit"
            transaction.answered = time.perf_counter()
            if transaction.label is not None:
                transaction.operation = transaction.label.operation

    def _on_rollback(self, connection: Connection) -> None:
        transaction = self._of(connection)
        if transaction is None:
            return
        transaction.outcome = "rollback"
        transaction.answered = time.perf_counter()
        if transaction.label is not None:
            transaction.operation = transaction.label.operation
            transaction.reason = transaction.reason or transaction.label.reason

    def _on_rollback_savepoint(self, connection: Connection, _name: str, _context: None) -> None:
        transaction = self._of(connection)
        if transaction is not None:
            # The error stayed within the savepoint.
            transaction.sqlstate = ""
            transaction.reason = None

    def _on_error(self, context: ExceptionContext) -> None:
        transaction = self._of(context.connection) if context.connection is not None else None
        if transaction is None:
            return
        error = context.original_exception
        transaction.sqlstate = sqlstate_of(error)
        transaction.reason = "cancel" if isinstance(error, (asyncio.CancelledError, GeneratorExit)) else "error"
        transaction.outcome = "rollback"

    def _of(self, connection: Connection) -> _Open | None:
        if connection.closed or connection.invalidated:
            return None
        return self._open.get(id(connection.connection.dbapi_connection))

    # -- pool --------------------------------------------------------------------------------------------------

    def _on_checkin(self, connection: DBAPIConnection | None, _entry: ConnectionPoolEntry) -> None:
        transaction = self._open.get(id(connection))
        if transaction is not None:
            self._finish(transaction, time.perf_counter())

    def _on_invalidate(
        self, connection: DBAPIConnection, _entry: ConnectionPoolEntry, error: BaseException | None
    ) -> None:
        transaction = self._open.get(id(connection))
        if transaction is None:
            return
        transaction.outcome = "rollback"
        if transaction.reason is None and error is not None:
            transaction.reason = "cancel" if isinstance(error, asyncio.CancelledError) else "error"
        self._finish(transaction, time.perf_counter())

    # -- session -----------------------------------------------------------------------------------------------

    def _on_session_begin(self, session: Session, transaction: SessionTransaction, connection: Connection) -> None:
        found = self._open.get(id(connection.connection.dbapi_connection))
        if found is None or transaction.nested:
            return
        found.label = label_of(session)
        session.info[self._key] = found

    def _on_session_rollback(self, session: Session) -> None:
        found: _Open | None = session.info.pop(self._key, None)
        if found is not None and found.outcome == "rollback" and found.reason is None and not found.sqlstate:
            found.reason = "explicit"

    # -- the end -----------------------------------------------------------------------------------------------

    def _finish(self, transaction: _Open, ended: float | None) -> None:
        self._open.pop(id(transaction.connection), None)
        outcome: Outcome = transaction.outcome or "rollback"
        reason: RollbackReason | Literal[""] = ""
        if outcome == "rollback":
            reason = transaction.reason or ("error" if transaction.sqlstate else "implicit_close")
        request = transaction.request
        result = EndedTransaction(
            outcome,
            transaction.operation,
            NO_REQUEST if request is None else request.endpoint,
            reason,
            transaction.sqlstate if reason else "",
            (ended or time.perf_counter()) - transaction.started,
        )
        if request is not None and result.saved:
            request.commits += 1
        for listener in self._listeners:
            try:
                listener.ended(result)
            except Exception:
                logger.exception("A listener of transactions failed")
