"""The lines around the findings: what was believed, what was found, what was and was not looked at."""

from __future__ import annotations

from collections import Counter

from sessionlint.findings import Beliefs, FixSafety, Report, Severity
from sessionlint.report.context import Context, count

MANY = 20
"""Findings of one rule that are no longer single faults but a habit, or a policy the tool was not told."""


def found(report: Report) -> str:
    """``Found 9 findings (3 errors, 6 warnings) in 4 files. [*] 3 may be repaired by sessionlint fix.``"""
    findings = report.findings
    if not findings:
        return ("Found nothing new." if report.accepted or report.difference else "Found no findings.") + _left_out(
            report
        )
    kinds = Counter(one.severity for one in findings)
    words = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
    parts = ", ".join(count(kinds[severity], word) for severity, word in words.items() if kinds[severity])
    files = len({one.place.file for one in findings})
    fixable = sum(1 for one in findings if one.fix is FixSafety.SAFE)
    fixes = f" [*] {fixable} may be repaired by sessionlint fix." if fixable else ""
    new = "new " if report.difference or report.accepted else ""
    head = f"Found {count(len(findings), new + 'finding')} ({parts}) in {count(files, 'file')}.{fixes}"
    return head + (_left_out(report) if new else "")


def _left_out(report: Report) -> str:
    """What is known and not listed: suppressed, accepted, older than the change."""
    parts = []
    if report.difference is not None:
        pre = len(report.difference.preexisting)
        parts.append(f"{len(report.difference.fixed)} fixed, {pre} there before, since {report.difference.base}")
    if report.accepted:
        parts.append(f"{len(report.accepted)} accepted by the baseline")
    if report.suppressed:
        parts.append(f"{count(len(report.suppressed), 'finding')} suppressed")
    return "".join(f" {part}." for part in parts)


def checked(report: Report, seconds: str) -> str:
    """``Checked 136 files (41 analysed, 1 could not be parsed) in 0.6 s.`` and what stayed unresolved."""
    summary = report.summary
    unparsed = f", {summary.unparsed} could not be parsed" if summary.unparsed else ""
    calls = summary.unresolved_calls
    unresolved = f" {count(calls, 'call')} unresolved: sessionlint show unresolved" if calls else ""
    head = f"Checked {count(summary.files, 'file')} ({summary.analysed} analysed{unparsed})"
    return f"{head} in {seconds} s.{unresolved}"


def believed(beliefs: Beliefs) -> str:
    """``1 session factory (async_session_maker), 1 provider (get_db), 12 repositories, 31 models; fastapi ...``"""
    parts = [
        _named(beliefs.factories, "session factory", "session factories"),
        _named(beliefs.shared_sessions, "shared session", "shared sessions") if beliefs.shared_sessions else "",
        _named(beliefs.providers, "provider", "providers"),
        _named(beliefs.units_of_work, "unit of work", "units of work") if beliefs.units_of_work else "",
        count(len(beliefs.repositories), "repository", "repositories"),
        count(len(beliefs.models), "model"),
    ]
    versions = "; " + ", ".join(beliefs.versions) if beliefs.versions else ""
    return ", ".join(part for part in parts if part) + versions


def unknown(beliefs: Beliefs) -> str:
    """What to do when no way to a session was found, although there are models; empty otherwise."""
    if beliefs.factories or beliefs.shared_sessions or beliefs.providers or not beliefs.models:
        return ""
    return (
        "no session factory or provider was recognised, so nothing is said about code that opens sessions: "
        'name yours in the configuration, e.g. session-factories = ["app.db.open_session"]'
    )


def statistics(report: Report) -> str:
    """Findings per rule, most frequent first."""
    counts = Counter((one.code, one.name) for one in report.findings)
    width = len(str(max(counts.values(), default=0)))
    ordered = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    return "".join(f"{count:>{width}}  {code}  {name}\n" for (code, name), count in ordered)


def many(report: Report, context: Context) -> list[str]:
    """One line for each rule with so many findings that reading them one by one is no plan."""
    counts = Counter(one.code for one in report.findings)
    texts = {rule.code: rule for rule in context.rules()} if max(counts.values(), default=0) >= MANY else {}
    out = []
    for code, number in counts.most_common():
        if number < MANY:
            break
        folders = Counter(_folder(one.place.file) for one in report.findings if one.code == code)
        folder, inside = folders.most_common(1)[0]
        most = f" ({inside} in {context.shown(folder)})" if folder and inside < number else ""
        advice = texts[code].when_many if code in texts else ""
        first = advice or f"read what it means with `sessionlint explain {code}` and repair one"
        out.append(
            f"{number} of them are {code}{most}. First: {first}; "
            f'then accept the rest with `sessionlint baseline`, or leave the rule for later with ignore = ["{code}"].'
        )
    return out


def _folder(file: str) -> str:
    return file.rpartition("/")[0]


def _named(names: tuple[str, ...], one: str, many: str) -> str:
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return count(len(names), one, many) + (f" ({shown})" if names else "")
