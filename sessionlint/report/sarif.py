"""SARIF 2.1.0 for code scanning: findings with their paths as code flows, suppressed ones marked, faults as notices.

Source: OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0". Holds no absolute path and no time,
so that equal reports are equal texts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import quote

from sessionlint.findings import Finding, Place, Problem, Report, Severity
from sessionlint.report.context import Context, RuleText

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
FINGERPRINT = "sessionlint/v1"
CANNOT_BE_PARSED = "SES001"

_ROOT = "%SRCROOT%"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}

_Object = dict[str, object]


def render(report: Report, context: Context) -> str:
    """One run with every finding: new, suppressed, and what a baseline or an earlier commit already had."""
    rules = list(context.rules())
    at = {rule.code: number for number, rule in enumerate(rules)}
    results = [_result(one, at, context) | more for findings, more in _kinds(report) for one in findings]
    run: _Object = {
        "tool": {
            "driver": {
                "name": "sessionlint",
                "version": context.version,
                "semanticVersion": context.version,
                "rules": [_rule(rule) for rule in rules],
            }
        },
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The root of the repository."}}},
        "invocations": [_invocation(report, at, context)],
        "results": results,
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=True) + "\n"


def _kinds(report: Report) -> list[tuple[tuple[Finding, ...], _Object]]:
    """All findings with what tells their kind."""
    difference = report.difference
    compared = difference is not None or bool(report.accepted)
    kinds: list[tuple[tuple[Finding, ...], _Object]] = [
        (report.findings, {"baselineState": "new"} if compared else {}),
        (report.suppressed, {"suppressions": [{"kind": "inSource", "status": "accepted"}]}),
        (
            report.accepted,
            {"baselineState": "unchanged", "suppressions": [{"kind": "external", "status": "accepted"}]},
        ),
    ]
    if difference is not None:
        kinds.append((difference.preexisting, {"baselineState": "unchanged"}))
        kinds.append((difference.fixed, {"baselineState": "absent"}))
    return kinds


def _rule(rule: RuleText) -> _Object:
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": rule.summary},
        "help": {"text": rule.page, "markdown": rule.page},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"tags": ["sqlalchemy", "transactions"], "precision": "high"},
    }


def _result(finding: Finding, at: Mapping[str, int], context: Context) -> _Object:
    text = finding.message + (f"\nhelp: {finding.help}" if finding.help else "")
    result: _Object = {
        "ruleId": finding.code,
        "level": _LEVELS[finding.severity],
        "message": {"text": text},
        "locations": [_location(finding.place, context, finding.function)],
        "partialFingerprints": {FINGERPRINT: finding.fingerprint},
    }
    if finding.code in at:
        result["ruleIndex"] = at[finding.code]
    if finding.trace:
        steps = [(step.place, step.message) for step in finding.trace]
        result["codeFlows"] = [
            {
                "threadFlows": [
                    {
                        "locations": [
                            {"location": _location(place, context) | {"message": {"text": message}}}
                            for place, message in [*steps, (finding.place, finding.message)]
                        ]
                    }
                ]
            }
        ]
        result["relatedLocations"] = [
            {"id": number} | _location(place, context) | {"message": {"text": message}}
            for number, (place, message) in enumerate(steps, 1)
        ]
    return result


def _location(place: Place, context: Context, function: str = "") -> _Object:
    location: _Object = {
        "physicalLocation": {
            "artifactLocation": {"uri": _uri(place.file, context), "uriBaseId": _ROOT},
            "region": {
                "startLine": max(1, place.line),
                "startColumn": max(1, place.column),
                "endLine": max(1, place.end_line),
                "endColumn": max(1, place.end_column),
            },
        }
    }
    if function:
        location["logicalLocations"] = [{"fullyQualifiedName": function, "kind": "function"}]
    return location


def _uri(file: str, context: Context) -> str:
    return quote(context.in_repository(file).encode("utf-8", "surrogateescape"))


def _invocation(report: Report, at: Mapping[str, int], context: Context) -> _Object:
    notices = [_unparsed(one, at, context) for one in report.findings if one.code == CANNOT_BE_PARSED]
    notices += [_problem(one, context) for one in report.problems]
    crashed = any(not one.place.file for one in report.problems)
    return {"executionSuccessful": not crashed, "toolExecutionNotifications": notices}


def _unparsed(finding: Finding, at: Mapping[str, int], context: Context) -> _Object:
    notice: _Object = {
        "level": "error",
        "message": {"text": finding.message},
        "locations": [_location(finding.place, context)],
    }
    if finding.code in at:
        notice["associatedRule"] = {"id": finding.code, "index": at[finding.code]}
    return notice


def _problem(problem: Problem, context: Context) -> _Object:
    text = problem.message + (f"; {problem.next_step}" if problem.next_step else "")
    if not problem.place.file:
        return {"level": "error", "message": {"text": text}}
    return {"level": "warning", "message": {"text": text}, "locations": [_location(problem.place, context)]}
