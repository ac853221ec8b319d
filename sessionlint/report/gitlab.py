"""GitLab's Code Quality report: a JSON array whose fingerprints are unique, ``[]`` when clean.

Source: docs.gitlab.com, "Code Quality", section "Code Quality report format".
"""

from __future__ import annotations

import json
from collections import Counter

from sessionlint.findings import Finding, Report, Severity
from sessionlint.report.context import Context

_SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "major", Severity.INFO: "minor"}


def render(report: Report, context: Context) -> str:
    """All findings as issues, paths relative to the repository."""
    seen: Counter[str] = Counter()
    issues = []
    for one in report.findings:
        repeats = seen[one.fingerprint]
        seen[one.fingerprint] += 1
        issues.append(_issue(one, one.fingerprint + (f"-{repeats}" if repeats else ""), context))
    return json.dumps(issues, indent=2, ensure_ascii=True) + "\n"


def _issue(finding: Finding, fingerprint: str, context: Context) -> dict[str, object]:
    place = finding.place
    return {
        "description": f"{finding.code}: {finding.message}" + (f" (help: {finding.help})" if finding.help else ""),
        "check_name": finding.code,
        "fingerprint": fingerprint,
        "severity": _SEVERITIES[finding.severity],
        "location": {
            "path": context.in_repository(place.file),
            "lines": {"begin": place.line, "end": max(place.line, place.end_line)},
        },
    }
