"""The stable, versioned object for programs. Keys are added, never renamed, within one ``schema_version``."""

from __future__ import annotations

import json

from sessionlint.findings import Finding, Report
from sessionlint.report.context import Context

SCHEMA_VERSION = 1


def render(report: Report, context: Context) -> str:
    """The report as one JSON object; paths are relative to the project root with forward slashes."""
    summary = report.summary
    document: dict[str, object] = {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "sessionlint", "version": context.version},
        "summary": {
            "files": summary.files,
            "analysed": summary.analysed,
            "unparsed": summary.unparsed,
            "unresolved_calls": summary.unresolved_calls,
            "findings": len(report.findings),
            "suppressed": len(report.suppressed),
            "accepted": len(report.accepted),
        },
        "findings": [finding_object(one) for one in report.findings],
        "problems": [
            {"file": one.place.file, "line": one.place.line, "message": one.message, "next_step": one.next_step}
            for one in report.problems
        ],
    }
    if report.difference is not None:
        document["difference"] = {
            "base": report.difference.base,
            "fixed": [finding_object(one) for one in report.difference.fixed],
            "preexisting": [finding_object(one) for one in report.difference.preexisting],
        }
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def finding_object(finding: Finding) -> dict[str, object]:
    """One finding as the object that ``json`` and ``json-lines`` share."""
    place = finding.place
    return {
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity.value,
        "message": finding.message,
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "end_line": place.end_line,
        "end_column": place.end_column,
        "function": finding.function,
        "label": finding.label,
        "help": finding.help,
        "fingerprint": finding.fingerprint,
        "fix": finding.fix.value,
        "trace": [
            {"file": step.place.file, "line": step.place.line, "column": step.place.column, "message": step.message}
            for step in finding.trace
        ],
    }
