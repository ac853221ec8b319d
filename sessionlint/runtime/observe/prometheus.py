"""Prometheus metrics of transactions, pools, retries, locks and circuits.

Names and labels are few and fixed: an endpoint is a route template, an operation a name given in code, an error five
characters of SQLSTATE. In multiprocess mode (gunicorn, uvicorn --workers) everything works, but gauges are written only
by `PrometheusMetrics.refresh`, so run `refresh_forever` in each worker.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Literal, TypeVar, cast

import anyio
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, Metric
from sqlalchemy.pool import QueuePool

from ..sqlstate import (
    DEADLOCK_DETECTED,
    FOREIGN_KEY_VIOLATION,
    QUERY_CANCELED,
    SERIALIZATION_FAILURE,
    UNIQUE_VIOLATION,
)
from .request_scope import NO_REQUEST, RequestScope
from .transactions import EndedTransaction, TransactionObserver

M = TypeVar("M")

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_COMMITS = (0, 1, 2, 3, 4, 5, 7, 10, 20, 50)
_CIRCUIT = {"closed": 0, "half-opened": 1, "opened": 2}

# A counter born at 1 has no rate: what alerts look at has to exist, at 0, before it happens for the first time.
_EXPECTED_ROLLBACKS = (
    *(
        (state, "error")
        for state in (
            FOREIGN_KEY_VIOLATION,
            UNIQUE_VIOLATION,
            SERIALIZATION_FAILURE,
            DEADLOCK_DETECTED,
            QUERY_CANCELED,
            "",
        )
    ),
    ("", "cancel"),
    ("", "explicit"),
    ("", "implicit_close"),
)


class PrometheusMetrics:
    """Made twice for one registry (a reload, a second application in a test), it uses the same series."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._registry = registry
        self._observers: list[TransactionObserver] = []
        self._operations: set[str] = set()
        self._series: dict[tuple[str, ...], tuple[Histogram, Counter]] = {}
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            # Registered before the gauges, hence asked before them in each scrape.
            registry.register(_Refresher(self))
        self.duration = self._histogram(
            "db_transaction_duration_seconds",
            "From BEGIN to the end of COMMIT or ROLLBACK",
            ("operation", "outcome"),
            _SECONDS,
        )
        self.commits = self._counter("db_commits_total", "COMMITs confirmed by the database", ("endpoint", "operation"))
        self.rollbacks = self._counter(
            "db_rollbacks_total",
            "Transactions that saved nothing: error, cancel, explicit, implicit_close",
            ("endpoint", "sqlstate", "reason"),
        )
        self.commits_per_request = self._histogram(
            "db_commits_per_request", "COMMITs within one request", ("endpoint",), _COMMITS
        )
        self.retries = self._counter("db_retries_total", "Units of work repeated", ("sqlstate",))
        self.lock_wait = self._histogram("db_lock_wait_seconds", "Time until a lock was held", ("acquired",), _SECONDS)
        self.circuit = self._gauge("db_circuit_state", "0 closed, 1 half-open, 2 open", "circuit", "max")
        self.oldest_open = self._gauge(
            "db_transaction_oldest_open_seconds", "Age of the oldest transaction now open", "operation", "livemax"
        )
        self.pool_checked_out = self._gauge("db_pool_checked_out", "Connections in use", "pool", "livesum")
        self.pool_overflow = self._gauge("db_pool_overflow", "Connections above pool_size", "pool", "livesum")
        self.pool_size = self._gauge("db_pool_size", "Connections that the pool keeps", "pool", "livesum")

    def observe(self, observer: TransactionObserver) -> None:
        """Count the transactions of this engine and watch its pool."""
        self._observers.append(observer)
        observer.add(self)
        self.refresh()

    def preinitialise(self, endpoints: Iterable[str] = (), operations: Iterable[str] = ()) -> None:
        """Make the series at 0. ``endpoints`` are route templates: ``(route.path for route in app.routes)``."""
        for endpoint in {NO_REQUEST, *endpoints}:
            for state, reason in _EXPECTED_ROLLBACKS:
                self.rollbacks.labels(endpoint, state, reason)
            for operation in operations:
                self.commits.labels(endpoint, operation)
        for operation in operations:
            for outcome in ("commit", "rollback"):
                self.duration.labels(operation, outcome)
        for state in (SERIALIZATION_FAILURE, DEADLOCK_DETECTED, ""):
            self.retries.labels(state)

    # -- who reports -------------------------------------------------------------------------------------------

    def ended(self, transaction: EndedTransaction) -> None:
        """`TransactionListener`."""
        key = transaction[:-1]
        series = self._series.get(key)
        if series is None:
            # labels() costs more than counting, and the combinations are few.
            duration = self.duration.labels(transaction.operation, transaction.outcome)
            if transaction.outcome == "commit":
                counter = self.commits.labels(transaction.endpoint, transaction.operation)
            else:
                counter = self.rollbacks.labels(transaction.endpoint, transaction.sqlstate, transaction.reason)
            series = self._series[key] = (duration, counter)
        series[0].observe(transaction.seconds)
        series[1].inc()

    def request_ended(self, request: RequestScope) -> None:
        """``on_end`` of `RequestScopeMiddleware`."""
        self.commits_per_request.labels(request.endpoint).observe(request.commits)

    def retried(self, sqlstate: str) -> None:
        """``on_retry`` of `retry_unit_of_work`."""
        self.retries.labels(sqlstate).inc()

    def lock_waited(self, seconds: float, acquired: bool) -> None:
        """``on_wait`` of `SessionLockManager`."""
        self.lock_wait.labels("true" if acquired else "false").observe(seconds)

    def circuit_changed(self, name: str, state: str) -> None:
        """``on_state`` of a circuit breaker."""
        self.circuit.labels(name).set(_CIRCUIT[state])

    # -- gauges ------------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Set the gauges to what is true now."""
        oldest: dict[str, float] = dict.fromkeys(self._operations, 0.0)
        for observer in self._observers:
            for operation, seconds in observer.oldest_open().items():
                oldest[operation] = max(oldest.get(operation, 0.0), seconds)
            pool = observer.engine.sync_engine.pool
            if isinstance(pool, QueuePool):
                self.pool_checked_out.labels(observer.name).set(pool.checkedout())
                self.pool_overflow.labels(observer.name).set(max(0, pool.overflow()))
                self.pool_size.labels(observer.name).set(pool.size())
        self._operations.update(oldest)
        for operation, seconds in oldest.items():
            self.oldest_open.labels(operation).set(seconds)

    async def refresh_forever(self, interval: float = 5.0) -> None:
        """For multiprocess mode, as a task of each worker."""
        while True:
            self.refresh()
            await anyio.sleep(interval)

    # -- making series, or finding them ------------------------------------------------------------------------

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Counter:
        return self._once(name, lambda: Counter(name, text, labels, registry=self._registry))

    def _histogram(self, name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...]) -> Histogram:
        return self._once(name, lambda: Histogram(name, text, labels, registry=self._registry, buckets=buckets))

    def _gauge(self, name: str, text: str, label: str, mode: Literal["max", "livemax", "livesum"]) -> Gauge:
        return self._once(name, lambda: Gauge(name, text, (label,), registry=self._registry, multiprocess_mode=mode))

    def _once(self, name: str, make: Callable[[], M]) -> M:
        try:
            return make()
        except ValueError:
            # prometheus_client has no public way to ask for what is registered.
            known = self._registry._names_to_collectors.get(name)
            if known is None:
                raise
            return cast("M", known)


class _Refresher:
    """A collector without series of its own: asked first in a scrape, it brings the gauges up to date."""

    def __init__(self, metrics: PrometheusMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        self._metrics.refresh()
        return []

    describe = collect
