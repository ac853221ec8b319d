"""Steps of a check for projects that have findings already: the baseline, suppression comments, the comparison.

Each takes an outcome and gives the outcome to report, with what to say about it. Must not print.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sessionlint.cli.app import UsageProblem

if TYPE_CHECKING:
    from sessionlint.baseline import Comparison, Entry
    from sessionlint.findings import Finding
    from sessionlint.run import Outcome, Request

NOT_IGNORED = ("SES001", "SES002", "SES003")
"""Findings about files and comments: a comment is no answer to them."""


@dataclass(frozen=True)
class Step:
    """The outcome to go on with, and lines for stderr."""

    outcome: Outcome
    said: tuple[str, ...]


def baseline_path(request: Request) -> str:
    """The file that the project's options name, absolute."""
    from sessionlint.baseline import DEFAULT_NAME

    return os.path.join(request.root, request.settings.baseline or DEFAULT_NAME)


def against_baseline(outcome: Outcome, request: Request, *, accept_new: bool, prune: bool) -> Step:
    """Only findings that are not accepted yet stay. Raises ``UsageProblem`` for a file that cannot be used."""
    from sessionlint.baseline import BaselineProblem, load

    path = baseline_path(request)
    try:
        entries = load(path)
    except BaselineProblem as problem:
        raise UsageProblem(str(problem)) from problem
    compared = comparison(entries, outcome, request)
    said = []
    new = compared.new
    if accept_new and new:
        said.append(f"accepted {count(len(new), 'new finding')} into {shown(path)}")
    if compared.stale and prune:
        said.append(f"dropped {count(len(compared.stale), 'entry', 'entries')} from {shown(path)}: found no more")
    elif compared.stale:
        said.append(stale(compared, path, "check --baseline --prune"))
    if (accept_new and new) or (prune and compared.stale):
        save(path, entries, compared, accept_new=accept_new, prune=prune)
    accepted = (*compared.accepted, *(new if accept_new else ()))
    report = replace(outcome.report, findings=() if accept_new else new, accepted=tuple(sorted(accepted, key=_place)))
    return Step(replace(outcome, report=report), tuple(said))


def _place(finding: Finding) -> tuple[object, str]:
    return finding.place, finding.code


def comparison(entries: tuple[Entry, ...], outcome: Outcome, request: Request) -> Comparison:
    """The run against the entries; those that this run did not look for cannot be stale."""
    from sessionlint.baseline import compare
    from sessionlint.run import in_paths

    def looked_at(entry: Entry) -> bool:
        return entry.code in outcome.ran and in_paths(entry.file, request.paths) and not request.touching

    return compare(entries, outcome.report.findings, outcome.report.suppressed, looked_at)


def save(
    path: str, entries: tuple[Entry, ...], compared: Comparison, *, accept_new: bool, prune: bool
) -> tuple[Entry, ...]:
    """Write the file anew; gives what it holds. Raises ``UsageProblem``."""
    from sessionlint.baseline import entry_of, render
    from sessionlint.source.write import replace_file

    dropped = {entry.fingerprint for entry in compared.stale} if prune else set()
    kept = [entry for entry in entries if entry.fingerprint not in dropped]
    current = {entry.fingerprint: entry for entry in map(entry_of, (*compared.accepted, *compared.new))}
    kept = [current.get(entry.fingerprint, entry) for entry in kept]
    held = (*kept, *map(entry_of, compared.new if accept_new else ()))
    try:
        replace_file(path, render(held).encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise UsageProblem(f"cannot write the baseline {path}: {error.strerror or error}") from error
    return held


def stale(compared: Comparison, path: str, command: str) -> str:
    """The line about entries that match nothing any more."""
    first = compared.stale[0]
    more = ", ..." if len(compared.stale) > 1 else ""
    return (
        f"{count(len(compared.stale), 'entry', 'entries')} of {shown(path)} found no more "
        f"({first.code} in {first.file}{more}): `sessionlint {command}` drops them"
    )


def add_ignores(outcome: Outcome, request: Request, reason: str) -> Step:
    """Write a suppression comment beside each finding; those that cannot take one stay findings."""
    from sessionlint.source.ignores import CannotIgnore, with_ignores
    from sessionlint.source.read import ReadProblem, declared_encoding, decode
    from sessionlint.source.write import replace_file

    by_file: dict[str, list[Finding]] = defaultdict(list)
    for finding in outcome.report.findings:
        if finding.code not in NOT_IGNORED:
            by_file[finding.place.file].append(finding)
    done: list[Finding] = []
    said: list[str] = []
    for file, findings in by_file.items():
        raw = outcome.project.sources[file]
        text = decode(file, raw)
        wanted: dict[int, list[str]] = defaultdict(list)
        for finding in findings:
            wanted[finding.place.line].append(finding.code)
        path = os.path.join(request.root, file)
        try:
            if isinstance(text, ReadProblem):
                raise CannotIgnore(text.message)
            new = with_ignores(text, wanted, reason).encode(declared_encoding(raw))
            with open(path, "rb") as stream:
                if stream.read() != raw:
                    raise CannotIgnore("the file has changed since it was read")
            replace_file(path, new)
        except (CannotIgnore, OSError, UnicodeEncodeError) as fault:
            said.append(f"warning: {file}: no comment was added: {fault}")
        else:
            done += findings
    if done:
        files = len({finding.place.file for finding in done})
        said.insert(0, f"added suppressions of {count(len(done), 'finding')} to {count(files, 'file')}")
    left = tuple(finding for finding in outcome.report.findings if finding not in done)
    suppressed = tuple(sorted((*outcome.report.suppressed, *done), key=_place))
    return Step(replace(outcome, report=replace(outcome.report, findings=left, suppressed=suppressed)), tuple(said))


def since(outcome: Outcome, request: Request, name: str) -> Outcome:
    """Only what the change since a revision introduced stays. Raises ``UsageProblem``."""
    from sessionlint.difference import compared
    from sessionlint.source.revision import RevisionProblem

    try:
        return compared(outcome, request, name)
    except RevisionProblem as problem:
        raise UsageProblem(f"--diff-base: {problem}") from problem


def shown(path: str) -> str:
    """A path as the user would type it."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


def count(number: int, one: str, many: str = "") -> str:
    """``1 finding``, ``2 findings``."""
    return f"{number} {one if number == 1 else many or one + 's'}"
