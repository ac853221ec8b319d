"""Takes the codes out of a suppression comment that suppress nothing, and the comment when none is left.

Safe: comments have no effect. Codes of other tools in the same comment and text around it stay.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from sessionlint.findings import Finding, FixSafety, Place
from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import Edit, Group, Refusal
from sessionlint.fixes.program import Program

CODES = ("SES002",)
ORDER = 90
_NAMED = re.compile(r"unused suppression of `([^`]+)`")


def propose(program: Program, findings: Sequence[Finding]) -> Iterator[Group | Refusal]:
    """One group per comment."""
    by_place: dict[Place, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_place[finding.place].append(finding)
    for place, some in by_place.items():
        document = program.document(place.file)
        words = {match[1] for finding in some if (match := _NAMED.match(finding.message))}
        edit = _without(document, place, words)
        if edit is not None:
            title = "remove the unused suppression of " + ", ".join(f"`{word}`" for word in sorted(words))
            yield Group(title, tuple(some), FixSafety.SAFE, (edit,))


def _without(document: Document, place: Place, words: set[str]) -> Edit | None:
    start, end = document.offset(place.line, place.column), document.offset(place.line, place.end_column)
    comment = document.text[start:end]
    codes = re.search(r"(?<=\[)[^\]]*(?=\])|(?<=:)[^\[]*$", comment)
    if codes is None:
        return None
    written = [code for code in re.split(r"[\s,]+", codes[0].strip()) if code]
    kept = [code for code in written if code not in words and code.upper() not in words]
    if kept:
        left = codes[0][: len(codes[0]) - len(codes[0].lstrip())]
        return Edit(document.file, start + codes.start(), start + codes.end(), left + ", ".join(kept))
    return _removed(document, place.line, start, end, has_reason="[" in comment)


def _removed(document: Document, line: int, start: int, end: int, *, has_reason: bool) -> Edit:
    """The whole comment, with its reason; the line too where nothing else stands on it."""
    last = document.line_start(line) + len(document.line_text(line))
    if has_reason:
        following = document.text.find("#", end, last)
        end = following if following >= 0 else last
    before = document.text[document.line_start(line) : start]
    after = document.text[end:last]
    if not before.strip() and not after.strip():
        return Edit(document.file, document.line_start(line), document.line_start(line + 1), "")
    if after.strip():
        return Edit(document.file, start, end + len(after) - len(after.lstrip()), "")
    return Edit(document.file, start - (len(before) - len(before.rstrip())), last, "")
