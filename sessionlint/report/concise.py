"""One line per finding: ``path:line:column: CODE [*] message``. Editors and ``grep`` read it."""

from __future__ import annotations

from sessionlint.findings import Report
from sessionlint.report.context import Context, printable
from sessionlint.report.full import MARKS, STYLES


def render(report: Report, context: Context) -> str:
    """All findings, a line each."""
    return "".join(
        f"{context.paint(context.shown(one.place.file), 'bold')}:{one.place.line}:{one.place.column}: "
        f"{context.paint(one.code, STYLES[one.severity])}{MARKS[one.fix]} {printable(one.message)}\n"
        for one in report.findings
    )
