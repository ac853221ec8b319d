"""From what the rules yield to what is reported: duplicates, suppressions, filters, fingerprints, order.

Pure over findings and sources. Must not run rules or print.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from sessionlint.findings import Finding, FixSafety, Place, Severity, fingerprint
from sessionlint.selection import names_rule
from sessionlint.source.read import ReadProblem, decode, lines_of
from sessionlint.source.suppressions import Suppression, may_suppress, suppressions, without_suppressions

CANNOT_BE_PARSED = ("SES001", "cannot-be-parsed")
UNUSED_SUPPRESSION = ("SES002", "unused-suppression")
BLANKET_SUPPRESSION = ("SES003", "blanket-suppression")
OWN_RULES = (CANNOT_BE_PARSED, UNUSED_SUPPRESSION, BLANKET_SUPPRESSION)


class Verdicts(NamedTuple):
    """Findings to report and findings a comment silences, both complete and sorted."""

    findings: tuple[Finding, ...]
    suppressed: tuple[Finding, ...]


def parse_finding(file: str, line: int, column: int, message: str) -> Finding:
    """SES001: a file that could not be read, decoded or parsed."""
    code, name = CANNOT_BE_PARSED
    return Finding(
        code,
        name,
        Severity.ERROR,
        f"`{file}` cannot be parsed: {message.removeprefix('cannot be parsed: ')}",
        Place(file, line, column, line, column + 1),
        label=message,
        help="repair the file, or leave it out with `exclude`",
    )


def judge(
    raw: Iterable[Finding],
    sources: Mapping[str, bytes],
    known: Mapping[str, str],
    ran: frozenset[str],
    is_reported: Callable[[Finding], bool],
    honour_noqa: bool = True,
) -> Verdicts:
    """Decide about every finding.

    ``known`` maps all codes to names, ``ran`` are the codes that ran: a suppression of a rule that did not run is not
    unused. ``is_reported`` filters by path and per-file-ignores. Without ``honour_noqa`` a ``noqa`` is used, but
    silences nothing: another tool applies it.
    """
    unique = _without_repeats(raw)
    kept: list[Finding] = []
    silenced: list[Finding] = []
    prefixes = frozenset(code[:3] for code in known)
    comments = {file: _comments(file, source, prefixes) for file, source in sources.items() if may_suppress(source)}
    used: set[tuple[str, Suppression, str]] = set()
    for finding in unique:
        hits = [
            (finding.place.file, comment, word)
            for comment in comments.get(finding.place.file, ())
            if comment.covers(finding.place.line, finding.place.end_line)
            for word in comment.codes
            if names_rule(word, finding.code, finding.name)
        ]
        used.update(hits)
        hides = any(honour_noqa or comment.kind != "noqa" for _file, comment, _word in hits)
        (silenced if hides else kept).append(finding)
    about_comments = [
        finding
        for file, found in comments.items()
        for comment in found
        for finding in _judge_comment(file, comment, used, known, ran)
    ]
    for finding in about_comments:
        over = [
            comment
            for comment in comments[finding.place.file]
            if comment.covers(finding.place.line, finding.place.line)
            and any(names_rule(word, finding.code, finding.name) for word in comment.codes)
        ]
        hides = any(honour_noqa or comment.kind != "noqa" for comment in over)
        (silenced if hides else kept).append(finding)
    identified = with_fingerprints([*kept, *silenced], sources)
    quiet = {id_of(finding) for finding in silenced}
    wanted = [finding for finding in identified if is_reported(finding)]
    return Verdicts(
        tuple(finding for finding in wanted if id_of(finding) not in quiet),
        tuple(finding for finding in wanted if id_of(finding) in quiet),
    )


def id_of(finding: Finding) -> tuple[str, Place, str]:
    """What makes two findings the same: rule and place; comments about several codes differ by message."""
    return finding.code, finding.place, finding.message if finding.code == UNUSED_SUPPRESSION[0] else ""


def _without_repeats(raw: Iterable[Finding]) -> list[Finding]:
    """One finding per rule and place; the one with the longest trace says most."""
    best: dict[tuple[str, Place, str], Finding] = {}
    for finding in raw:
        held = best.get(id_of(finding))
        if held is None or len(finding.trace) > len(held.trace):
            best[id_of(finding)] = finding
    return list(best.values())


def _comments(file: str, source: bytes, prefixes: frozenset[str]) -> tuple[Suppression, ...]:
    text = decode(file, source)
    if isinstance(text, ReadProblem):
        text = "\n".join(lines_of(source))
    return suppressions(text, prefixes)


def _judge_comment(
    file: str,
    comment: Suppression,
    used: set[tuple[str, Suppression, str]],
    known: Mapping[str, str],
    ran: frozenset[str],
) -> Iterable[Finding]:
    place = Place(file, comment.line, comment.column, comment.line, comment.end_column)
    if not comment.codes:
        code, name = BLANKET_SUPPRESSION
        if code in ran:
            example = {"noqa": "# noqa: SES201", "ignore": "# sessionlint: ignore[SES201] -- reason"}
            yield Finding(
                code,
                name,
                Severity.WARNING,
                "this suppression names no rule, so it suppresses nothing",
                place,
                label="which rules?",
                help=f"name the rules: `{example.get(comment.kind, '# sessionlint: ignore-file[SES201] -- reason')}`",
            )
        return
    code, name = UNUSED_SUPPRESSION
    if code not in ran:
        return
    for word in comment.codes:
        if (file, comment, word) in used:
            continue
        meant = next((one for one, slug in known.items() if names_rule(word, one, slug)), None)
        if meant in (UNUSED_SUPPRESSION[0], BLANKET_SUPPRESSION[0]) or (meant is not None and meant not in ran):
            continue
        why = "nothing is found here" if meant else "no rule has this code or name"
        yield Finding(
            code,
            name,
            Severity.WARNING,
            f"unused suppression of `{word}`: {why}",
            place,
            label=why,
            help="remove it from the comment",
            fix=FixSafety.SAFE,
        )


def with_fingerprints(
    findings: Iterable[Finding], sources: Mapping[str, bytes], renamed: Mapping[str, str] | None = None
) -> list[Finding]:
    """Sorted by place, then code, each with its fingerprint; ``renamed`` gives files the names to identify them by."""
    ordered = sorted(findings, key=lambda one: (one.place, one.code, one.message))
    lines: dict[str, list[str]] = {}
    seen: dict[tuple[str, str, str, str], int] = {}
    out: list[Finding] = []
    for finding in ordered:
        file = finding.place.file
        if file not in lines:
            lines[file] = lines_of(sources.get(file, b""))
        at = finding.place.line - 1
        statement = without_suppressions(lines[file][at]) if 0 <= at < len(lines[file]) else ""
        known_as = (renamed or {}).get(file, file)
        same = (finding.code, known_as, finding.function, " ".join(statement.split()))
        occurrence = seen.get(same, 0)
        seen[same] = occurrence + 1
        identity = fingerprint(finding.code, known_as, finding.function, statement, occurrence)
        out.append(replace(finding, fingerprint=identity))
    return out
