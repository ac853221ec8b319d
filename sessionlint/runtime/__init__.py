"""The reference runtime: a unit of work for streaming services, and what such a service needs around it.

Reading order: `unit_of_work` (with `shielding`, `writes`, `hooks`, `labels`, `open_units`), `database` and
`dependencies`, `streaming`, `locks` and `advisory_locks`, `sqlstate`, `retry`, `circuit_breaker`, `health`,
`shutdown`; `observe/` counts and times transactions. Imports nothing of the analyser, and can be copied into another
tree as it is. Names load on first use: each part needs only its own libraries.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .errors import (
        LockTimeoutError,
        LostWriteError,
        LostWriteWarning,
        RollbackOnlyError,
        ShuttingDownError,
        StreamingTransactionWarning,
        TransactionOpenError,
        UnitOfWorkError,
    )
    from .shielding import run_shielded
    from .unit_of_work import SSEUnitOfWork

_MODULES = {
    "errors": (
        "LockTimeoutError",
        "LostWriteError",
        "LostWriteWarning",
        "RollbackOnlyError",
        "ShuttingDownError",
        "StreamingTransactionWarning",
        "TransactionOpenError",
        "UnitOfWorkError",
    ),
    "shielding": ("run_shielded",),
    "unit_of_work": ("SSEUnitOfWork",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "LockTimeoutError",
    "LostWriteError",
    "LostWriteWarning",
    "RollbackOnlyError",
    "SSEUnitOfWork",
    "ShuttingDownError",
    "StreamingTransactionWarning",
    "TransactionOpenError",
    "UnitOfWorkError",
    "run_shielded",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
