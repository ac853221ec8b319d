"""The Grafana dashboard as data: a row of panels per question, each panel one line."""

from __future__ import annotations

from dataclasses import dataclass

Json = dict[str, object]

_SOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH = 24


@dataclass(frozen=True)
class Panel:
    """``queries`` are pairs of expression and legend; ``unit`` is Grafana's name."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    description: str = ""
    kind: str = "timeseries"


ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Transactions",
        (
            Panel(
                "Duration by operation, p50 and p95",
                "s",
                tuple(
                    (
                        f"histogram_quantile({q}, sum by (le, operation) "
                        "(rate(db_transaction_duration_seconds_bucket[$__rate_interval])))",
                        f"p{q[2:]} {{{{operation}}}}",
                    )
                    for q in ("0.50", "0.95")
                ),
                "From BEGIN to the end of COMMIT or ROLLBACK.",
            ),
            Panel(
                "Oldest open transaction",
                "s",
                (("max by (operation) (db_transaction_oldest_open_seconds)", "{{operation}}"),),
                "What holds connections and locks right now. Above a few seconds: somebody waits inside a transaction.",
            ),
            Panel(
                "Commits and rollbacks per second",
                "ops",
                (
                    ("sum(rate(db_commits_total[$__rate_interval]))", "commits"),
                    ("sum by (reason) (rate(db_rollbacks_total[$__rate_interval]))", "rollbacks: {{reason}}"),
                ),
            ),
        ),
    ),
    (
        "Errors",
        (
            Panel(
                "Share of failed transactions by endpoint",
                "percentunit",
                (
                    (
                        'sum by (endpoint) (rate(db_rollbacks_total{reason="error"}[$__rate_interval])) / '
                        "(sum by (endpoint) (rate(db_rollbacks_total[$__rate_interval])) + "
                        "sum by (endpoint) (rate(db_commits_total[$__rate_interval])))",
                        "{{endpoint}}",
                    ),
                ),
            ),
            Panel(
                "Rollbacks by SQLSTATE, last 15 minutes",
                "short",
                (('sum by (sqlstate) (increase(db_rollbacks_total{sqlstate!=""}[15m]))', "{{sqlstate}}"),),
                "23503 foreign key, 23505 unique, 40001 serialization, 40P01 deadlock, 57014 cancelled.",
            ),
            Panel(
                "Retries per second",
                "ops",
                (("sum by (sqlstate) (rate(db_retries_total[$__rate_interval]))", "{{sqlstate}}"),),
            ),
        ),
    ),
    (
        "Requests",
        (
            Panel(
                "Commits per request, p50 and p95",
                "short",
                tuple(
                    (
                        f"histogram_quantile({q}, sum by (le, endpoint) "
                        "(rate(db_commits_per_request_bucket[$__rate_interval])))",
                        f"p{q[2:]} {{{{endpoint}}}}",
                    )
                    for q in ("0.50", "0.95")
                ),
                "Each commit is a point at which a crash leaves half of the work behind.",
            ),
            Panel(
                "Waiting for session locks, p95",
                "s",
                (
                    (
                        "histogram_quantile(0.95, sum by (le, acquired) "
                        "(rate(db_lock_wait_seconds_bucket[$__rate_interval])))",
                        "acquired: {{acquired}}",
                    ),
                ),
            ),
        ),
    ),
    (
        "Connections",
        (
            Panel(
                "Connections in use and pool size",
                "short",
                (
                    ("sum by (pool) (db_pool_checked_out)", "in use {{pool}}"),
                    ("sum by (pool) (db_pool_size)", "size {{pool}}"),
                ),
            ),
            Panel(
                "Overflow",
                "short",
                (("max by (instance, pool) (db_pool_overflow)", "{{instance}} {{pool}}"),),
                "Above 0 for long: the pool is too small, or transactions are too long.",
            ),
            Panel(
                "Circuit",
                "short",
                (("max by (circuit) (db_circuit_state)", "{{circuit}}"),),
                "0 closed, 1 half-open, 2 open.",
                "stat",
            ),
        ),
    ),
)


def dashboard() -> Json:
    """The document to import in Grafana (10 or newer)."""
    panels: list[Json] = []
    y = 0
    for title, row in ROWS:
        panels.append({**_placed(len(panels), 0, y, _WIDTH, 1), "type": "row", "title": title, "collapsed": False})
        width = _WIDTH // len(row)
        for at, panel in enumerate(row):
            panels.append({**_placed(len(panels), at * width, y + 1, width, 8), **_shown(panel)})
        y += 9
    return {
        "title": "Database transactions",
        "uid": "sessionlint-db",
        "tags": ["database", "sqlalchemy"],
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"}]
        },
        "panels": panels,
    }


def _placed(number: int, x: int, y: int, width: int, height: int) -> Json:
    return {"id": number + 1, "gridPos": {"x": x, "y": y, "w": width, "h": height}}


def _shown(panel: Panel) -> Json:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + at), "datasource": _SOURCE, "expr": expression, "legendFormat": legend}
            for at, (expression, legend) in enumerate(panel.queries)
        ],
    }
