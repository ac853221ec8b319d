"""The format for people: each finding with its source, the chain of calls, and what to do.

Carets stand under the guilty characters whatever their width. Must not shorten the message.
"""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

from sessionlint.findings import Finding, FixSafety, Report, Severity, Step
from sessionlint.report.context import Context, printable

STEPS = 6
CONTEXT_LINES = 2
WIDEST = 160
TAB = 4

STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.INFO: "bold blue"}
MARKS = {FixSafety.SAFE: " [*]", FixSafety.UNSAFE: " [~]", FixSafety.NONE: ""}


def render(report: Report, context: Context) -> str:
    """All findings, one blank line between them."""
    return "\n".join(_finding(finding, context) for finding in report.findings)


def _finding(finding: Finding, context: Context) -> str:
    place = finding.place
    mark = context.paint(MARKS[finding.fix], "cyan")
    gutter = len(str(place.line))
    arrow = context.paint("-->", "bold blue")
    out = [
        f"{context.paint(finding.code, STYLES[finding.severity])}{mark} {printable(finding.message)}",
        f"{' ' * gutter}{arrow} {context.shown(place.file)}:{place.line}:{place.column}",
        *_source(finding, context, gutter),
        *_path(finding.trace, context),
    ]
    if finding.help:
        out.append(f"{context.paint('help:', 'bold')} {printable(finding.help)}")
    out.append(f"{context.paint('docs:', 'bold')} sessionlint explain {finding.code}")
    return "\n".join(out) + "\n"


def _source(finding: Finding, context: Context, gutter: int) -> list[str]:
    place = finding.place
    lines = context.lines(place.file)
    if not 1 <= place.line <= len(lines):
        return []
    bar = context.paint("|", "bold blue")
    out = [f"{' ' * gutter} {bar}"]
    guilty = _crop(lines[place.line - 1], place.column, _end_column(finding, lines[place.line - 1]))
    for number in range(max(1, place.line - CONTEXT_LINES), place.line + 1):
        text = guilty.text if number == place.line else _crop(lines[number - 1], 1, 1).text
        out.append(f"{context.paint(str(number).rjust(gutter), 'bold blue')} {bar} {text}".rstrip())
    carets = context.paint("^" * guilty.width, STYLES[finding.severity])
    label = f" {printable(finding.label)}" if finding.label else ""
    out.append(f"{' ' * gutter} {bar} {' ' * guilty.before}{carets}{label}")
    out.append(f"{' ' * gutter} {bar}")
    return out


def _end_column(finding: Finding, line: str) -> int:
    """Exclusive end of the carets on the first line of the span."""
    place = finding.place
    end = place.end_column if place.end_line == place.line else len(line.rstrip()) + 1
    return max(min(end, len(line) + 1), place.column + 1)


class _Crop(NamedTuple):
    text: str
    before: int
    width: int


def _crop(line: str, column: int, end_column: int) -> _Crop:
    """A line as it is shown, with the cells before the span and the cells of the span."""
    start, end = 0, len(line)
    if end > WIDEST:
        start = max(0, min(column - 1 - WIDEST // 3, end - WIDEST))
        end = start + WIDEST
    head = _cells(line[start : column - 1], "…" if start else "")
    span = _cells(line[column - 1 : min(end_column - 1, end)], head)
    rest = _cells(line[max(column - 1, min(end_column - 1, end)) : end], span)
    text = rest + ("…" if end < len(line) else "")
    return _Crop(text, width_of(head), max(1, width_of(span) - width_of(head)))


def _cells(text: str, before: str) -> str:
    """``before`` with ``text`` appended, tabs expanded to the next stop and control characters written out."""
    out = before
    for char in text:
        out += " " * (TAB - width_of(out) % TAB) if char == "\t" else printable(char)
    return out


def width_of(text: str) -> int:
    """Terminal cells of a text: East Asian wide characters take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf")
        else 2
        if unicodedata.east_asian_width(char) in "WF"
        else 1
        for char in text
    )


def _path(trace: tuple[Step, ...], context: Context) -> list[str]:
    if not trace:
        return []
    numbered = list(enumerate(trace, 1))
    hidden = 0
    if len(numbered) > STEPS and not context.full_path:
        hidden = len(numbered) - STEPS
        numbered = numbered[: STEPS // 2] + numbered[-(STEPS - STEPS // 2) :]
    places = {number: f"{context.shown(step.place.file)}:{step.place.line}" for number, step in numbered}
    widest = max(width_of(place) for place in places.values())
    out = [context.paint("path:", "bold") + " how it gets here"]
    for position, (number, step) in enumerate(numbered):
        if hidden and position == STEPS // 2:
            out.append(f"    … {hidden} more: --full-path")
        place = places[number]
        out.append(f"    {number}. {place}{' ' * (widest - width_of(place))}   {printable(step.message)}".rstrip())
    return out
