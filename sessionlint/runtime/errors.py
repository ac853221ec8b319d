"""What the runtime raises and warns about; every message names the next step."""

from __future__ import annotations


class UnitOfWorkError(RuntimeError):
    """A unit of work is used in a way that can't be right: outside its block, entered twice, two owners."""


class TransactionOpenError(UnitOfWorkError):
    """A transaction is open where none may be: before a new one, or while a chunk is sent to the client."""


class RollbackOnlyError(UnitOfWorkError):
    """``commit()`` after ``set_rollback_only()``."""


class ShuttingDownError(UnitOfWorkError):
    """The process has stopped taking new units of work."""


class LostWriteError(UnitOfWorkError):
    """Strict form of `LostWriteWarning`; raised after the rollback, when the connection is back in the pool."""


class LostWriteWarning(UserWarning):
    """A unit of work ended without an exception and without a commit although something had been written."""


class StreamingTransactionWarning(UserWarning):
    """A chunk was sent to the client while a transaction was open."""


class LockTimeoutError(TimeoutError):
    """A lock was not free within the time allowed."""
