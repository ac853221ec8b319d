"""Alerts fire when they should and only then, the guide's own three do not; all names are those of the metrics."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sessionlint.scaffold.dashboard import ROWS
from sessionlint.scaffold.monitoring_files import monitoring_files

HERE = Path(__file__).parent
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: package prometheus)")

SLOW = """
      - {series: 'db_transaction_duration_seconds_bucket{operation="x",le="1.0"}', values: '0x60'}
      - {series: 'db_transaction_duration_seconds_bucket{operation="x",le="5.0"}', values: '0+10x60'}
      - {series: 'db_transaction_duration_seconds_bucket{operation="x",le="+Inf"}', values: '0+10x60'}
      - {series: 'db_transaction_duration_seconds_count{operation="x"}', values: '0+10x60'}
      - {series: 'db_transaction_duration_seconds_sum{operation="x"}', values: '0+40x60'}
"""
BUSY = """
      - {series: 'db_commits_total{endpoint="e"}', values: '0+3000x60'}
      - {series: 'db_rollbacks_total{endpoint="e",error_type="X"}', values: '0+9x60'}
"""
QUIET = """
      - {series: 'db_commits_total{endpoint="e"}', values: '0+2.4x60'}
      - {series: 'db_rollbacks_total{endpoint="e",error_type="X"}', values: '0+2.4x60'}
"""
FIRST = """
      - {series: 'db_rollbacks_total{endpoint="e",error_type="ForeignKeyViolation"}', values: '_x9 1x50'}
"""
ASYNCPG = """
      - {series: 'db_rollbacks_total{endpoint="e",error_type="ForeignKeyViolationError"}', values: '0+9x60'}
"""
GUIDE = [
    pytest.param("LongDatabaseTransaction", SLOW, "{operation: x}", id="a histogram has no series of its own name"),
    pytest.param("HighRollbackRate", BUSY, None, id="0.3 percent of a busy endpoint is called 10 percent"),
    pytest.param("HighRollbackRate", QUIET, "{endpoint: e, error_type: X}", id="half of a quiet endpoint is missed"),
    pytest.param("ForeignKeyViolations", FIRST, "{endpoint: e}", id="the first violation is missed"),
    pytest.param("ForeignKeyViolations", ASYNCPG, "{endpoint: e}", id="asyncpg's class has another name"),
]


def promtool(*words: str, folder: Path) -> tuple[int, str]:
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in monitoring_files().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@needs_promtool
def test_every_alert_fires_when_it_should_and_only_then(folder: Path) -> None:
    code, said = promtool("test", "rules", "db_alerts_test.yml", folder=folder)
    assert code == 0, said


@needs_promtool
def test_a_changed_limit_fails_the_tests(folder: Path) -> None:
    """The tests that go with the alerts can fail."""
    alerts = folder / "db_alerts.yml"
    alerts.write_text(alerts.read_text(encoding="utf-8").replace("> 0.1", "> 0.9"), encoding="utf-8")
    assert promtool("test", "rules", "db_alerts_test.yml", folder=folder)[0] != 0


@needs_promtool
@pytest.mark.parametrize(("alert", "series", "labels"), GUIDE)
def test_the_alerts_of_the_guide_are_wrong(alert: str, series: str, labels: str | None, tmp_path: Path) -> None:
    """What the guide's rule was meant to do, written as a test, fails."""
    shutil.copy(HERE / "guide_alerts.yml", tmp_path)
    wanted = f"[{{exp_labels: {labels}}}]" if labels else "[]"
    (tmp_path / "test.yml").write_text(
        "rule_files: [guide_alerts.yml]\nevaluation_interval: 30s\ntests:\n  - interval: 30s\n    input_series:"
        f"{series}    alert_rule_test:\n      - {{eval_time: 8m, alertname: {alert}, exp_alerts: {wanted}}}\n",
        encoding="utf-8",
    )
    code, said = promtool("test", "rules", "test.yml", folder=tmp_path)
    assert code != 0
    assert f"alertname: {alert}" in said, said


@needs_promtool
def test_every_expression_of_the_dashboard_is_promql(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{at}", "expr": expression.replace("$__rate_interval", "5m")}
        for at, expression in enumerate(e for _, row in ROWS for panel in row for e, _ in panel.queries)
    ]
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "d", "rules": rules}]}), encoding="utf-8")
    code, said = promtool("check", "rules", "rules.yml", folder=tmp_path)
    assert code == 0, said


def test_every_alert_is_tested_and_has_its_runbook_section() -> None:
    texts = monitoring_files()
    alerts = re.findall(r"- alert: (\w+)", texts["db_alerts.yml"])
    assert len(alerts) == len(set(alerts)) >= 10
    sections = re.findall(r"^## (\w+)", texts["db_runbook.md"], re.MULTILINE)
    assert sections == alerts
    for alert in alerts:
        assert f"db_runbook.md#{alert.lower()}" in texts["db_alerts.yml"]
        fires = rf"alertname: {alert}\n\s+exp_alerts:\n\s+- exp_labels"
        assert re.search(fires, texts["db_alerts_test.yml"]), f"no test in which {alert} fires"


def test_names_are_those_of_the_metrics() -> None:
    prometheus_client = pytest.importorskip("prometheus_client")
    metrics = pytest.importorskip("sessionlint.runtime.observe.prometheus")

    registry = prometheus_client.CollectorRegistry()
    metrics.PrometheusMetrics(registry)
    made = set()
    for metric in registry.collect():
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}.get(metric.type, ("",))
        made |= {metric.name + suffix for suffix in suffixes}
    plain = {re.sub(r"_(bucket|count|sum)$", "", name) for name in made}
    used: set[str] = set()
    for name, text in monitoring_files().items():
        found = set(re.findall(r"\bdb_(?:commits|rollbacks|transaction|pool|retries|lock|circuit)\w*", text))
        unknown = {one for one in found if one not in made and not (name.endswith(".md") and one in plain)}
        assert not unknown, f"{name} speaks of metrics that do not exist: {unknown}"
        used |= {re.sub(r"_(bucket|count|sum)$", "", one) for one in found}
    assert used == plain, "a metric that nothing shows"
