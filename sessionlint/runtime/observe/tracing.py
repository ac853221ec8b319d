"""An OpenTelemetry span for each transaction, from BEGIN to its end.

Statements get their spans from opentelemetry-instrumentation-sqlalchemy on ``engine.sync_engine``; this one shows what
they have in common: how long the transaction stayed open, and how it ended.
"""

from __future__ import annotations

import time

from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode, TracerProvider

from .transactions import EndedTransaction


class TransactionSpans:
    """A `TransactionListener`. Without ``provider`` the global one is used, which may be a no-op."""

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._tracer = trace.get_tracer("sessionlint.runtime", tracer_provider=provider)

    def ended(self, transaction: EndedTransaction) -> None:
        ended = time.time_ns()
        span = self._tracer.start_span(
            f"transaction {transaction.operation}",
            kind=SpanKind.CLIENT,
            start_time=ended - round(transaction.seconds * 1e9),
            attributes={
                "db.transaction.operation": transaction.operation,
                "db.transaction.outcome": transaction.outcome,
                "http.route": transaction.endpoint,
            },
        )
        if transaction.reason:
            span.set_attribute("db.transaction.rollback_reason", transaction.reason)
        if transaction.sqlstate:
            span.set_attribute("db.response.status_code", transaction.sqlstate)
        if transaction.reason == "error":
            span.set_status(Status(StatusCode.ERROR, transaction.sqlstate))
        span.end(ended)
