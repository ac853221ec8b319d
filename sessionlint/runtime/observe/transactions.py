"""Follows every transaction of an engine's sessions to its real end and tells listeners how it ended.

It listens to sessions and to the pool. Connection events would be the obvious choice, but the first listener of that
kind makes SQLAlchemy build event objects for every connection it hands out, which costs more than all of this; so they
are used only for those who ask for transactions begun past any session.

Facts about the events (SQLAlchemy 2.0 and 2.1): ``after_commit`` of the session fires after the COMMIT, but also for a
released savepoint, for a commit of nothing, and for one that leaves the end of a joined transaction to its owner;
``after_rollback`` also fires for a savepoint; ``Session.close()`` with an open transaction sends a ROLLBACK without it.
``commit`` and ``rollback`` of the connection fire *before* the statement is sent.
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
    __slots__ = (
        "answered",
        "label",
        "of_session",
        "outcome",
        "raw",
        "reason",
        "request",
        "sqlstate",
        "started",
    )

    def __init__(self, raw: DBAPIConnection, of_session: bool) -> None:
        # Held so that its id, the key it is found by, can't be given to another connection. SQLAlchemy's Connection
        # must not be: it goes back to its pool when a forgotten session is collected.
        self.raw = raw
        self.of_session = of_session
        self.request: RequestScope | None = current_request.get()
        self.started = time.perf_counter()
        self.label: SessionLabel | None = None
        self.outcome: Outcome | None = None
        self.reason: RollbackReason | None = None
        self.sqlstate = ""
        self.answered: float | None = None

    @property
    def operation(self) -> str:
        return UNNAMED if self.label is None else self.label.operation


class TransactionObserver:
    """Attach one to each engine, at start-up. ``name`` tells engines apart in pool metrics.

    ``session_class`` narrows the listeners for sessions to one class and its subclasses. ``connections`` follows, too,
    what is begun past any session (``engine.begin()``); it makes every transaction of the engine dearer.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        name: str = "main",
        *,
        session_class: type[Session] = Session,
        connections: bool = False,
    ) -> None:
        self.engine = engine
        self.name = name
        self._listeners: list[TransactionListener] = []
        self._open: dict[int, _Open] = {}
        self._key = f"{_KEY}.{id(self)}"
        sync = self._sync = engine.sync_engine
        self._attached: list[tuple[Engine | type[Session], str, Callable[..., None]]] = [
            (session_class, "after_begin", self._on_session_begin),
            (session_class, "after_commit", self._on_session_commit),
            (session_class, "after_rollback", self._on_session_rollback),
            (session_class, "after_transaction_end", self._on_session_end),
            (sync, "handle_error", self._on_error),
            (sync, "checkin", self._on_checkin),
            (sync, "invalidate", self._on_invalidate),
            (sync, "close_detached", self._on_close_detached),
        ]
        if connections:
            self._attached += [
                (sync, "begin", self._on_begin),
                (sync, "commit", self._on_commit),
                (sync, "rollback", self._on_rollback),
                (sync, "rollback_savepoint", self._on_rollback_savepoint),
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
            operation = transaction.operation
            oldest[operation] = max(oldest.get(operation, 0.0), now - transaction.started)
        return oldest

    # -- session -----------------------------------------------------------------------------------------------

    def _on_session_begin(self, session: Session, transaction: SessionTransaction, connection: Connection) -> None:
        if transaction.nested:
            return
        raw = connection.connection.dbapi_connection
        found = self._open.get(id(raw))
        if found is None:
            if raw is None or connection.engine.pool is not self._sync.pool:
                return  # of another engine
            found = self._open[id(raw)] = _Open(raw, of_session=True)
        found.label = label_of(session)
        session.info.setdefault(self._key, []).append((found, connection))

    def _on_session_commit(self, session: Session) -> None:
        if self._key in session.info and session.get_nested_transaction() is None:
            ended = time.perf_counter()
            for found in self._leave(session):
                found.outcome = "commit"
                self._finish(found, ended)

    def _on_session_rollback(self, session: Session) -> None:
        if session.get_nested_transaction() is not None:
            for found, _connection in session.info.get(self._key, ()):
                found.sqlstate, found.reason = "", None  # the error stayed within the savepoint
            return
        ended = time.perf_counter()
        for found in self._leave(session):
            found.outcome = "rollback"
            if found.reason is None and not found.sqlstate:
                found.reason = "explicit" if found.label is None else found.label.reason or "explicit"
            self._finish(found, ended)

    def _on_session_end(self, session: Session, transaction: SessionTransaction) -> None:
        if transaction.parent is None and self._key in session.info:
            for found in self._leave(session):
                self._finish(found, None)

    def _leave(self, session: Session) -> list[_Open]:
        """The transactions that ended with the session's; one that it had joined goes on, and is its owner's."""
        ended = []
        found: _Open
        connection: Connection
        for found, connection in session.info.pop(self._key, ()):
            if not connection.in_transaction():
                ended.append(found)
            elif found.of_session:
                self._open.pop(id(found.raw), None)
        return ended

    # -- errors ------------------------------------------------------------------------------------------------

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

    # -- pool: sessions that were never closed, and connections that were lost ---------------------------------------

    def _on_checkin(self, connection: DBAPIConnection | None, _entry: ConnectionPoolEntry | None) -> None:
        transaction = self._open.get(id(connection))
        if transaction is not None:
            self._finish(transaction, None)

    def _on_close_detached(self, connection: DBAPIConnection) -> None:
        """What becomes of an asynchronous connection whose session was forgotten: nobody could await its reset."""
        self._on_checkin(connection, None)

    def _on_invalidate(
        self, connection: DBAPIConnection, _entry: ConnectionPoolEntry, error: BaseException | None
    ) -> None:
        transaction = self._open.get(id(connection))
        if transaction is None:
            return
        transaction.outcome = "rollback"
        if transaction.reason is None and error is not None:
            transaction.reason = "cancel" if isinstance(error, asyncio.CancelledError) else "error"
        self._finish(transaction, None)

    # -- connections without a session ---------------------------------------------------------------------------

    def _on_begin(self, connection: Connection) -> None:
        raw = connection.connection.dbapi_connection
        if raw is None:
            return
        former = self._open.get(id(raw))
        if former is not None:
            self._finish(former, former.answered)
        self._open[id(raw)] = _Open(raw, of_session=False)

    def _on_commit(self, connection: Connection) -> None:
        # Counts only once the connection moves on without an error.
        self._answer(connection, "commit")

    def _on_rollback(self, connection: Connection) -> None:
        self._answer(connection, "rollback")

    def _answer(self, connection: Connection, outcome: Outcome) -> None:
        transaction = self._of(connection)
        if transaction is not None:
            transaction.outcome = outcome
            transaction.answered = time.perf_counter()

    def _on_rollback_savepoint(self, connection: Connection, _name: str, _context: None) -> None:
        transaction = self._of(connection)
        if transaction is not None:
            transaction.sqlstate, transaction.reason = "", None

    # -- the end -----------------------------------------------------------------------------------------------

    def _finish(self, transaction: _Open, ended: float | None) -> None:
        if self._open.pop(id(transaction.raw), None) is None:
            return  # told already
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
