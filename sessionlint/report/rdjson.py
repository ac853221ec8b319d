"""Reviewdog Diagnostic Format, so that ``reviewdog`` can comment on a pull request on any forge.

Source: github.com/reviewdog/reviewdog, proto/rdf/reviewdog.proto: columns count UTF-8 bytes from 1, ends are exclusive.
"""

from __future__ import annotations

import json

from sessionlint.findings import Place, Report, Severity
from sessionlint.report.context import Context

_SEVERITIES = {Severity.ERROR: "ERROR", Severity.WARNING: "WARNING", Severity.INFO: "INFO"}


def render(report: Report, context: Context) -> str:
    """One ``DiagnosticResult`` object; paths are relative to the working directory."""
    document = {
        "source": {"name": "sessionlint"},
        "severity": "WARNING",
        "diagnostics": [
            {
                "message": one.message + (f"\nhelp: {one.help}" if one.help else ""),
                "location": _location(one.place, context),
                "severity": _SEVERITIES[one.severity],
                "code": {"value": one.code},
                "relatedLocations": [
                    {"message": step.message, "location": _location(step.place, context)} for step in one.trace
                ],
            }
            for one in report.findings
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def _location(place: Place, context: Context) -> dict[str, object]:
    return {
        "path": context.typed(place.file),
        "range": {
            "start": _position(place.file, place.line, place.column, context),
            "end": _position(place.file, place.end_line, place.end_column, context),
        },
    }


def _position(file: str, line: int, column: int, context: Context) -> dict[str, int]:
    lines = context.lines(file)
    text = lines[line - 1] if 1 <= line <= len(lines) else ""
    before = text[: column - 1].encode("utf-8", "surrogatepass")
    return {"line": line, "column": len(before) + max(0, column - 1 - len(text)) + 1}
