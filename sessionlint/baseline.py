"""Accepted findings as a file: read, compared with a run, and written; sorted and a line each, so that merges are easy.

Pure but for reading. Entries are known by fingerprint, so they survive moved lines. Must not decide what is reported.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from sessionlint.findings import Finding

VERSION = 1
DEFAULT_NAME = "sessionlint-baseline.json"

_CONFLICT = re.compile(r"^(<{7}|={7}|>{7}|\|{7})( |$)", re.MULTILINE)
_KEYS = ("file", "code", "function", "fingerprint", "message")


class BaselineProblem(Exception):
    """The file cannot be used; the message says why and what to do."""


class Entry(NamedTuple):
    """One accepted finding; all but the fingerprint is for the reader."""

    file: str
    code: str
    function: str
    fingerprint: str
    message: str


@dataclass(frozen=True)
class Comparison:
    """A run against a baseline: findings that are new, that were accepted, and entries that match nothing any more."""

    new: tuple[Finding, ...]
    accepted: tuple[Finding, ...]
    stale: tuple[Entry, ...]


def entry_of(finding: Finding) -> Entry:
    """The entry that accepts a finding."""
    return Entry(finding.place.file, finding.code, finding.function, finding.fingerprint, finding.message)


def load(path: str) -> tuple[Entry, ...]:
    """The entries of a file. Raises ``BaselineProblem``."""
    try:
        with open(path, "rb") as stream:
            text = stream.read().decode("utf-8-sig")
    except FileNotFoundError:
        raise BaselineProblem(f"no baseline at {path}: `sessionlint baseline` writes one") from None
    except OSError as error:
        raise BaselineProblem(f"cannot read the baseline {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise BaselineProblem(f"the baseline {path} is not UTF-8: {error.reason}; {_ANEW}") from error
    return parse(text, path)


_ANEW = "restore it from version control, or delete it and run `sessionlint baseline`"


def parse(text: str, path: str) -> tuple[Entry, ...]:
    """The entries in a text. Raises ``BaselineProblem``, naming ``path``."""
    conflict = _CONFLICT.search(text)
    if conflict:
        line = text.count("\n", 0, conflict.start()) + 1
        raise BaselineProblem(
            f"{path}:{line}: the baseline holds a merge conflict; keep the entries of both sides, "
            f"then `sessionlint baseline --prune` drops what is gone"
        )
    try:
        document = json.loads(text)
    except ValueError as error:
        raise BaselineProblem(f"the baseline {path} is no valid JSON: {error}; {_ANEW}") from error
    if not isinstance(document, dict) or document.get("tool") != "sessionlint":
        raise BaselineProblem(f"{path} is no baseline of sessionlint; {_ANEW}")
    version = document.get("baseline_version")
    if version != VERSION:
        raise BaselineProblem(
            f"the baseline {path} has version {version!r}, this sessionlint reads version {VERSION}: "
            f"use the sessionlint that wrote it, or delete it and run `sessionlint baseline`"
        )
    rows = document.get("findings")
    if not isinstance(rows, list):
        raise BaselineProblem(f"the baseline {path} has no list of findings; {_ANEW}")
    return tuple(_entry(row, number, path) for number, row in enumerate(rows, 1))


def _entry(row: object, number: int, path: str) -> Entry:
    if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in _KEYS):
        raise BaselineProblem(f"finding {number} of the baseline {path} lacks one of {', '.join(_KEYS)}; {_ANEW}")
    return Entry(*(row[key] for key in _KEYS))


def render(entries: Iterable[Entry]) -> str:
    """The text of a file with these entries: the same for the same entries, whatever their order."""
    unique = {entry.fingerprint: entry for entry in entries}
    rows = [json.dumps(entry._asdict(), ensure_ascii=False) for entry in sorted(unique.values())]
    inside = "".join(f"\n    {row}," for row in rows).rstrip(",")
    end = "\n  " if rows else ""
    return f'{{\n  "tool": "sessionlint",\n  "baseline_version": {VERSION},\n  "findings": [{inside}{end}]\n}}\n'


def compare(
    entries: Iterable[Entry],
    findings: Iterable[Finding],
    suppressed: Iterable[Finding],
    looked_at: Callable[[Entry], bool],
) -> Comparison:
    """What is new, accepted and stale.

    A finding that a comment silences keeps its entry alive: the baseline is older than the comment. ``looked_at`` says
    whether this run would have found the entry's fault; only then can the entry be stale.
    """
    held = list(entries)
    known = {entry.fingerprint for entry in held}
    reported = list(findings)
    alive = {one.fingerprint for one in (*reported, *suppressed)}
    return Comparison(
        tuple(one for one in reported if one.fingerprint not in known),
        tuple(one for one in reported if one.fingerprint in known),
        tuple(entry for entry in held if entry.fingerprint not in alive and looked_at(entry)),
    )
