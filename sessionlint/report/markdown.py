"""Markdown for a pull-request comment or a report in a wiki; cut off before GitHub's limit for a comment.

Names from the user's project can hold every character of Markdown and HTML, so each is escaped.
"""

from __future__ import annotations

import re
from collections import Counter

from sessionlint.findings import Finding, Report, Severity
from sessionlint.report.context import Context, count, printable

LONGEST = 60_000
"""Characters; a comment on GitHub holds 65 536."""

_SPECIAL = re.compile(r"([\\*_{}\[\]<>|~#&@])")
_CODE = re.compile(r"(`[^`]+`)")
_WORDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def render(report: Report, context: Context) -> str:
    """A heading with the counts, a table per rule, then each finding with its path."""
    if not report.findings:
        return f"## sessionlint\n\nNo findings in {count(report.summary.files, 'file')}.\n"
    kinds = Counter(one.severity for one in report.findings)
    told = ", ".join(count(kinds[kind], word) for kind, word in _WORDS.items() if kinds[kind])
    rules = Counter((one.code, one.name) for one in report.findings)
    rows = sorted(rules.items(), key=lambda row: (-row[1], row[0]))
    out = [
        f"## sessionlint: {count(len(report.findings), 'finding')} ({told})\n\n",
        "| rule | name | findings |\n| --- | --- | ---: |\n",
        *(f"| {code} | {name} | {count} |\n" for (code, name), count in rows),
    ]
    room = LONGEST - sum(map(len, out))
    for shown, finding in enumerate(report.findings):
        text = _finding(finding, context)
        room -= len(text)
        if room < 0:
            out.append(f"\n{count(len(report.findings) - shown, 'more finding')} left out: this text has a limit.\n")
            break
        out.append(text)
    return "".join(out)


def _finding(finding: Finding, context: Context) -> str:
    place = f"{context.in_repository(finding.place.file)}:{finding.place.line}"
    out = [f"\n### {finding.code} at {code(place)}\n\n{escaped(finding.message)}\n"]
    if finding.trace:
        out.append("\n")
    for number, step in enumerate(finding.trace, 1):
        where = f"{context.in_repository(step.place.file)}:{step.place.line}"
        out.append(f"{number}. {code(where)} {escaped(step.message)}\n")
    if finding.help:
        out.append(f"\n**help:** {escaped(finding.help)}\n")
    return "".join(out)


def escaped(text: str) -> str:
    """Text whose words in backticks stay code and whose every other character stands for itself."""
    parts = _CODE.split(printable(text))
    return "".join(part if number % 2 else _SPECIAL.sub(r"\\\1", part) for number, part in enumerate(parts))


def code(text: str) -> str:
    """A code span; its fence is longer than every run of backticks inside."""
    inside = printable(text)
    fence = "`" * (max((len(run) for run in re.findall("`+", inside)), default=0) + 1)
    pad = " " if len(fence) > 1 else ""
    return f"{fence}{pad}{inside}{pad}{fence}"
