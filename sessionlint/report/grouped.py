"""Findings under the name of their file, in columns: for reading many at once."""

from __future__ import annotations

from itertools import groupby

from sessionlint.findings import Finding, Report
from sessionlint.report.context import Context, printable
from sessionlint.report.full import MARKS, STYLES


def render(report: Report, context: Context) -> str:
    """A block per file, one blank line between them."""
    by_file = groupby(report.findings, key=lambda one: one.place.file)
    return "\n".join(_block(file, list(findings), context) for file, findings in by_file)


def _block(file: str, findings: list[Finding], context: Context) -> str:
    places = [f"{one.place.line}:{one.place.column}" for one in findings]
    width = max(map(len, places))
    rows = (
        f"  {place.rjust(width)} {context.paint(one.code, STYLES[one.severity])}{MARKS[one.fix]} "
        f"{printable(one.message)}\n"
        for place, one in zip(places, findings, strict=True)
    )
    return f"{context.paint(context.shown(file), 'bold')}:\n{''.join(rows)}"
