"""The unit of work for services that stream: short transactions, each committed on purpose, none left behind.

    async with SSEUnitOfWork(session_factory, name="chat") as uow:
        uow.session.add(message)
        await uow.commit("save_message")

Leaving the block rolls back what was not committed. Commit, rollback and close run to their end even when the client
disconnects in the middle of them, and the cancellation is raised afterwards.
"""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Generic

from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction
from typing_extensions import Self, TypeVar

from .errors import LostWriteError, LostWriteWarning, RollbackOnlyError, TransactionOpenError, UnitOfWorkError
from .hooks import Hook, Hooks, wait_for_owner
from .labels import RELEASE, UNNAMED, RollbackReason, SessionLabel, label_of, set_operation
from .open_units import OPEN_UNITS
from .shielding import run_shielded
from .sqlstate import may_have_committed
from .writes import UncommittedWrites, forget, uncommitted, watch

logger = logging.getLogger(__name__)

S = TypeVar("S", bound=AsyncSession, default=AsyncSession)

_OWNER = "sessionlint.runtime.unit_of_work"


class SSEUnitOfWork(Generic[S]):
    """Owns one session between entering and leaving the block.

    ``session_factory`` makes the session (an ``async_sessionmaker``). ``name`` labels its transactions in metrics.
    With ``autocommit`` a normal exit commits, as Spring's TransactionTemplate does; an exception still rolls back.
    ``strict`` turns `LostWriteWarning` into `LostWriteError`.
    """

    def __init__(
        self,
        session_factory: Callable[[], S],
        *,
        name: str = UNNAMED,
        autocommit: bool = False,
        strict: bool = False,
    ) -> None:
        self.name = name
        self.commits = 0
        """COMMITs that the database has confirmed since the block was entered."""
        self.rollbacks = 0
        self.commit_in_doubt = False
        """A COMMIT was sent and its confirmation never came: the rows may be there or not."""
        self._session_factory = session_factory
        self._autocommit = autocommit
        self._strict = strict
        self._session: S | None = None
        self._borrowed = False
        self._lent = False
        self._rollback_only = False
        self._hooks = Hooks()
        self._label = SessionLabel(name)
        self._outer_operation = UNNAMED

    @classmethod
    def join(cls, session: S, *, name: str = UNNAMED) -> Self:
        """A unit that takes part in a transaction which someone else began and will commit.

        Its ``commit`` flushes, so that constraints are checked here, and leaves the rest to the owner; its
        ``after_commit`` waits for the owner's COMMIT. It never rolls back and never closes: to give up, raise.
        """
        unit = cls(lambda: session, name=name)
        unit._borrowed = True
        return unit

    @classmethod
    def around(cls, session: S, *, name: str = UNNAMED) -> Self:
        """A unit on a session that someone else opened and will close, such as the session of a request.

        Its ``commit`` is a COMMIT. Leaving the block leaves the session and what is pending to whoever opened it. For
        callers that have a session and call what commits through a unit; within another unit use ``join``.
        """
        unit = cls(lambda: session, name=name)
        unit._lent = True
        return unit

    def bind(self, session: S) -> None:
        """Called with the session on entering; a subclass makes its repositories here."""

    # -- the block ---------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._session is not None:
            raise UnitOfWorkError(f"Unit of work {self.name!r} is open already: make a second one, or use savepoint().")
        if not self._borrowed:
            OPEN_UNITS.add(self)
        try:
            session = self._session_factory()
            if self._lent and (owner := session.info.get(_OWNER)) is not None:
                raise UnitOfWorkError(f"The session belongs to unit of work {owner.name!r}: join() it.")
            self.bind(session)
        except BaseException:
            OPEN_UNITS.discard(self)
            raise
        self.commits = self.rollbacks = 0
        self.commit_in_doubt = self._rollback_only = False
        self._hooks = Hooks()
        self._session = session
        if not self._borrowed:
            watch(type(session.sync_session))
            outer = label_of(session)
            self._outer_operation = outer.operation if outer is not None else UNNAMED
            self._label = set_operation(session, self.name)
            session.info[_OWNER] = self
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        session, self._session = self._session, None
        if session is None or self._borrowed:
            return
        session.info.pop(_OWNER, None)
        try:
            if self._lent:
                self._label.operation = self._outer_operation
            else:
                await self._finish(session, exc)
        finally:
            OPEN_UNITS.discard(self)  # not before: a shutdown waits until the connection is back in its pool
            forget(session.sync_session)

    async def _finish(self, session: S, exc: BaseException | None) -> None:
        if not session.in_transaction():
            # Nothing to send, hence nothing that could be interrupted, and no need of SQLAlchemy's greenlet.
            session.sync_session.close()
            return
        if exc is None and self._autocommit and not self._rollback_only:
            await run_shielded(self._commit_and_close(session))
            return
        lost = self._lost_writes(session) if exc is None else None
        await run_shielded(self._roll_back_and_close(session, _reason(exc)))
        if lost:
            message = (
                f"Unit of work {self.name!r} ended without commit(); rolled back: {lost}. "
                f"Call `await uow.commit()`, or `await uow.rollback()` if this is meant."
            )
            if self._strict:
                raise LostWriteError(message)
            warnings.warn(message, LostWriteWarning, stacklevel=3)

    @property
    def session(self) -> S:
        """The session; raises `UnitOfWorkError` outside the block."""
        if self._session is None:
            raise UnitOfWorkError(f"Unit of work {self.name!r} is not open: use it within `async with ... as uow:`.")
        return self._session

    @property
    def is_open(self) -> bool:
        return self._session is not None

    def in_transaction(self) -> bool:
        """True from the first statement, or the first ``add``, until commit or rollback."""
        return self._session is not None and self._session.in_transaction()

    def uncommitted(self) -> UncommittedWrites:
        """What would be lost if the block were left now."""
        return uncommitted(self.session.sync_session)

    # -- ending a transaction ----------------------------------------------------------------------------------

    async def commit(self, operation: str | None = None) -> None:
        """Commit; ``operation`` names the transaction in metrics (few fixed names, never identifiers).

        When the COMMIT fails the transaction is rolled back before the error is raised, so that the session can be
        used at once, for instance to record the failure. Raises `RollbackOnlyError` after `set_rollback_only`.
        """
        session = self.session
        if self._borrowed:
            await session.flush()
            return
        if self._rollback_only:
            raise RollbackOnlyError(f"Unit of work {self.name!r} was marked as rollback-only; call rollback().")
        await run_shielded(self._commit(session, operation or self.name))

    async def rollback(self) -> None:
        """Give up everything since the last commit. Objects are expired, as SQLAlchemy does on every rollback."""
        session = self.session
        if self._borrowed:
            raise UnitOfWorkError(
                "A joined unit of work can't roll back its owner's transaction: raise an exception, or use savepoint()."
            )
        self._rollback_only = False
        if session.in_transaction():
            await run_shielded(self._roll_back(session, "explicit"))
        else:
            await self._hooks.rolled_back()

    async def flush(self) -> None:
        """Send pending writes without committing. Immediate constraints are checked here, deferred ones at COMMIT."""
        await self.session.flush()

    async def release(self) -> None:
        """End a read-only transaction before awaiting something slow, so that no connection is held meanwhile.

        Ends it by COMMIT: a ROLLBACK would expire every object that was loaded. Raises `TransactionOpenError` when
        something has been written, because whether that is to be kept is not for ``release`` to decide. On a session
        that was lent (`around`) such writes may be its owner's: the transaction then stays open.
        """
        session = self.session
        if not session.in_transaction():
            return
        if self._borrowed:
            raise UnitOfWorkError("A joined unit of work can't end its owner's transaction.")
        if written := self.uncommitted():
            if self._lent:
                return
            raise TransactionOpenError(f"release() with uncommitted writes ({written}): commit() or rollback() first.")
        self._label.operation = RELEASE
        try:
            await run_shielded(session.commit())
        finally:
            self._label.operation = self.name

    def set_rollback_only(self) -> None:
        """Forbid commit until the next rollback; an ``autocommit`` unit rolls back silently at its end."""
        self._rollback_only = True

    # -- parts of a transaction --------------------------------------------------------------------------------

    @asynccontextmanager
    async def transaction(self, operation: str | None = None) -> AsyncIterator[S]:
        """A micro-transaction: commits at the end of the block, rolls back on any exception.

        Raises `TransactionOpenError` when a transaction is open already, because its writes would be committed, or
        lost, together with these. In a joined unit the block takes part in the owner's transaction.
        """
        session = self.session
        if self._borrowed:
            yield session
            await session.flush()
            return
        if session.in_transaction():
            raise TransactionOpenError(
                f"transaction({operation!r}) within an open transaction: commit(), rollback() or release() first, "
                f"or use savepoint()."
            )
        try:
            yield session
        except BaseException as error:
            if self._session is session and session.in_transaction():
                await run_shielded(self._roll_back(session, _reason(error)))
            raise
        await self.commit(operation)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[AsyncSessionTransaction]:
        """A part that may fail on its own: an exception undoes only what happened within the block."""
        nested = self.session.begin_nested()
        await nested.start()
        try:
            yield nested
        except BaseException as error:
            await run_shielded(_leave(nested, error))
            raise
        await run_shielded(_leave(nested, None))

    # -- callbacks ---------------------------------------------------------------------------------------------

    def after_commit(self, hook: Hook) -> None:
        """Call ``hook`` once, after the next COMMIT is confirmed; dropped if a rollback comes first.

        The place for publishing events and starting jobs that read what was written. Runs within the shield: keep it
        short. What it raises is logged.
        """
        owner = self._owner()
        if owner is not None:
            owner._hooks.add_after_commit(hook)
        else:
            wait_for_owner(self.session.sync_session, after_commit=hook)

    def after_rollback(self, hook: Hook) -> None:
        """Call ``hook`` once, after the next rollback; dropped if a commit comes first."""
        owner = self._owner()
        if owner is not None:
            owner._hooks.add_after_rollback(hook)
        else:
            wait_for_owner(self.session.sync_session, after_rollback=hook)

    def _owner(self) -> SSEUnitOfWork[S] | None:
        """The unit whose COMMIT decides: this one, or the one that owns a borrowed session."""
        session = self.session
        if not self._borrowed:
            return self
        owner: SSEUnitOfWork[S] | None = session.info.get(_OWNER)
        return owner

    # -- what runs within the shield ---------------------------------------------------------------------------

    async def _commit(self, session: S, operation: str) -> None:
        self._label.operation = operation
        in_transaction = session.in_transaction()
        try:
            await session.commit()
        except BaseException as error:
            self.commit_in_doubt = in_transaction and may_have_committed(error)
            await self._roll_back(session, _reason(error))
            raise
        finally:
            self._label.operation = self.name
        self.commit_in_doubt = False
        self.commits += in_transaction
        await self._hooks.committed()

    async def _roll_back(self, session: S, reason: RollbackReason) -> None:
        self._label.reason = reason
        try:
            await session.rollback()
        except Exception:
            # The server rolls back by itself when a connection goes away; the session starts anew.
            logger.warning("ROLLBACK could not be sent; the connection is discarded", exc_info=True)
            await session.reset()
        finally:
            self._label.reason = None
        self.rollbacks += 1
        await self._hooks.rolled_back()

    async def _commit_and_close(self, session: S) -> None:
        try:
            await self._commit(session, self.name)
        finally:
            await session.close()

    async def _roll_back_and_close(self, session: S, reason: RollbackReason) -> None:
        try:
            await self._roll_back(session, reason)
        finally:
            await session.close()

    def _lost_writes(self, session: S) -> UncommittedWrites | None:
        return None if self._rollback_only else uncommitted(session.sync_session)


async def _leave(nested: AsyncSessionTransaction, error: BaseException | None) -> None:
    await nested.__aexit__(type(error) if error else None, error, error.__traceback__ if error else None)


def _reason(error: BaseException | None) -> RollbackReason:
    if error is None:
        return "implicit_close"
    return "cancel" if isinstance(error, (asyncio.CancelledError, GeneratorExit)) else "error"
