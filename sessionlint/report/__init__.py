"""Findings as text: one file per format, each with ``render(report, context) -> str``.

Reporters see only the report and what ``context`` hands them; they read no files and decide nothing about findings.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sessionlint.findings import Report
    from sessionlint.report.context import Context


def render(output_format: str, report: Report, context: Context) -> str:
    """The report in a format, by the name of the option; only that format's file is loaded."""
    name = "json_" if output_format == "json" else output_format.replace("-", "_")
    text: str = importlib.import_module(f"sessionlint.report.{name}").render(report, context)
    return text
