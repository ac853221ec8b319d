"""The reference runtime: a unit of work for streaming services, and what such a service needs around it.

Reading order: `unit_of_work` (with `shielding`, `writes`, `hooks`, `labels`, `open_units`), `database` and
`dependencies`, `streaming`, `endpoint_streams`, `locks` and `advisory_locks`, `sqlstate`, `retry`, `circuit_breaker`,
`health`, `shutdown`; `observe/` counts and times transactions. Imports nothing of the analyser, and can be copied into
another tree as it is. Names load on first use: each part needs only its own libraries.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .advisory_locks import advisory_key as advisory_key
    from .advisory_locks import advisory_xact_lock as advisory_xact_lock
    from .advisory_locks import locked_unit_of_work as locked_unit_of_work
    from .advisory_locks import try_advisory_xact_lock as try_advisory_xact_lock
    from .circuit_breaker import CircuitBreaker as CircuitBreaker
    from .circuit_breaker import CircuitOpenError as CircuitOpenError
    from .circuit_breaker import PurgatoryCircuitBreaker as PurgatoryCircuitBreaker
    from .database import DatabaseSettings as DatabaseSettings
    from .database import configure as configure
    from .database import create_engine as create_engine
    from .database import create_probe_engine as create_probe_engine
    from .database import get_db as get_db
    from .database import get_unit_of_work as get_unit_of_work
    from .database import get_unit_of_work_factory as get_unit_of_work_factory
    from .database import session_factory as session_factory
    from .dependencies import DbSession as DbSession
    from .dependencies import RequestUnitOfWork as RequestUnitOfWork
    from .dependencies import UnitOfWorkFactory as UnitOfWorkFactory
    from .endpoint_streams import safe_stream as safe_stream
    from .errors import LockTimeoutError as LockTimeoutError
    from .errors import LostWriteError as LostWriteError
    from .errors import LostWriteWarning as LostWriteWarning
    from .errors import RollbackOnlyError as RollbackOnlyError
    from .errors import ShuttingDownError as ShuttingDownError
    from .errors import StreamingTransactionWarning as StreamingTransactionWarning
    from .errors import TransactionOpenError as TransactionOpenError
    from .errors import UnitOfWorkError as UnitOfWorkError
    from .health import Readiness as Readiness
    from .health import health_routes as health_routes
    from .labels import set_operation as set_operation
    from .locks import SessionLockManager as SessionLockManager
    from .observe.prometheus import PrometheusMetrics as PrometheusMetrics
    from .observe.request_scope import RequestScopeMiddleware as RequestScopeMiddleware
    from .observe.tracing import TransactionSpans as TransactionSpans
    from .observe.transactions import EndedTransaction as EndedTransaction
    from .observe.transactions import TransactionObserver as TransactionObserver
    from .retry import retry_unit_of_work as retry_unit_of_work
    from .shielding import run_shielded as run_shielded
    from .shutdown import shut_down as shut_down
    from .sqlstate import is_transient as is_transient
    from .sqlstate import is_unavailable as is_unavailable
    from .sqlstate import sqlstate_of as sqlstate_of
    from .streaming import EventStreamResponse as EventStreamResponse
    from .streaming import SafeStreamingResponse as SafeStreamingResponse
    from .streaming import ServerSentEvent as ServerSentEvent
    from .streaming import sse_events as sse_events
    from .unit_of_work import SSEUnitOfWork as SSEUnitOfWork

_NAMES = {
    "advisory_locks": (
        "advisory_key",
        "advisory_xact_lock",
        "locked_unit_of_work",
        "try_advisory_xact_lock",
    ),
    "circuit_breaker": (
        "CircuitBreaker",
        "CircuitOpenError",
        "PurgatoryCircuitBreaker",
    ),
    "database": (
        "DatabaseSettings",
        "configure",
        "create_engine",
        "create_probe_engine",
        "get_db",
        "get_unit_of_work",
        "get_unit_of_work_factory",
        "session_factory",
    ),
    "dependencies": (
        "DbSession",
        "RequestUnitOfWork",
        "UnitOfWorkFactory",
    ),
    "endpoint_streams": ("safe_stream",),
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
    "health": (
        "Readiness",
        "health_routes",
    ),
    "labels": ("set_operation",),
    "locks": ("SessionLockManager",),
    "observe.prometheus": ("PrometheusMetrics",),
    "observe.request_scope": ("RequestScopeMiddleware",),
    "observe.tracing": ("TransactionSpans",),
    "observe.transactions": (
        "EndedTransaction",
        "TransactionObserver",
    ),
    "retry": ("retry_unit_of_work",),
    "shielding": ("run_shielded",),
    "shutdown": ("shut_down",),
    "sqlstate": (
        "is_transient",
        "is_unavailable",
        "sqlstate_of",
    ),
    "streaming": (
        "EventStreamResponse",
        "SafeStreamingResponse",
        "ServerSentEvent",
        "sse_events",
    ),
    "unit_of_work": ("SSEUnitOfWork",),
}
_HOME = {name: module for module, names in _NAMES.items() for name in names}

__all__ = sorted(_HOME)  # noqa: PLE0605 -- a second list to keep in step is worse


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
