"""Alert rules with their tests, dashboard and runbook for the metrics of the reference runtime."""

from __future__ import annotations

import json
from importlib.resources import files

from sessionlint.scaffold.dashboard import dashboard

_READY = ("db_alerts.yml", "db_alerts_test.yml", "db_runbook.md")


def monitoring_files() -> dict[str, str]:
    """Path to text of every file."""
    folder = files("sessionlint") / "scaffold" / "monitoring"
    texts = {name: (folder / name).read_text(encoding="utf-8") for name in _READY}
    texts["db_dashboard.json"] = json.dumps(dashboard(), indent=2) + "\n"
    return texts
