"""One JSON object per line and finding, for ``jq`` and log collectors; the keys are those of ``json``."""

from __future__ import annotations

import json

from sessionlint.findings import Report
from sessionlint.report.context import Context
from sessionlint.report.json_ import finding_object


def render(report: Report, context: Context) -> str:
    """All findings, a line each; nothing when there are none."""
    return "".join(json.dumps(finding_object(one), ensure_ascii=True) + "\n" for one in report.findings)
