"""Workflow commands that GitHub Actions turns into annotations, and a table for the step summary.

Source: docs.github.com, "Workflow commands for GitHub Actions". GitHub shows ten annotations of a kind per step, so
errors come first.
"""

from __future__ import annotations

from dataclasses import replace

from sessionlint.findings import Finding, Report, Severity
from sessionlint.report.context import Context, count, printable

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}
_SUMMARY_ROWS = 200


def render(report: Report, context: Context) -> str:
    """One workflow command per finding, errors first."""
    return "".join(_command(one, context) + "\n" for one in _errors_first(report))


def _errors_first(report: Report) -> list[Finding]:
    return sorted(report.findings, key=lambda one: -one.severity.rank)  # stable: keeps the order by place


def _command(finding: Finding, context: Context) -> str:
    place = finding.place
    properties = {"file": _path(place.file, context), "line": str(place.line), "endLine": str(place.end_line)}
    if place.line == place.end_line:  # GitHub drops an annotation with columns that spans lines
        properties |= {"col": str(place.column), "endColumn": str(place.end_column)}
    properties["title"] = f"{finding.code} {finding.name}"
    listed = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    text = finding.message + (f"\nhelp: {finding.help}" if finding.help else "")
    return f"::{_COMMANDS[finding.severity]} {listed}::{_data(text)}"


def _path(file: str, context: Context) -> str:
    """Relative to the checkout, as GitHub wants it."""
    return replace(context, cwd=context.workspace or context.cwd).typed(file)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def step_summary(report: Report, context: Context) -> str:
    """A Markdown table for ``$GITHUB_STEP_SUMMARY``."""
    if not report.findings:
        return f"### sessionlint\n\nNo findings in {count(report.summary.files, 'file')}.\n"
    rows = [
        f"| {one.code} | {one.severity.value} | `{_cell(_path(one.place.file, context))}:{one.place.line}` "
        f"| {_cell(one.message)} |"
        for one in _errors_first(report)[:_SUMMARY_ROWS]
    ]
    left = len(report.findings) - len(rows)
    more = f"\n{count(left, 'more finding')} not listed here.\n" if left else ""
    table = "\n".join(["| rule | severity | place | message |", "| --- | --- | --- | --- |", *rows])
    return f"### sessionlint: {count(len(report.findings), 'finding')}\n\n{table}\n{more}"


def _cell(text: str) -> str:
    return printable(text).replace("|", "\\|").replace("<", "&lt;")
