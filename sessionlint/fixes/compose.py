"""From the edits of many groups to the new bytes of files: applied from the end, imports settled, result parsed.

Pure: reads documents, gives bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sessionlint.fixes.document import Document, Uneditable
from sessionlint.fixes.edits import Edit, Group, NeededImport, merged
from sessionlint.fixes.imports import added, unused


def compose(groups: Iterable[Group], document: Callable[[str], Document]) -> dict[str, bytes]:
    """The new bytes of every file that the groups change. Raises ``Uneditable`` where a result does not parse."""
    edits: dict[str, list[Edit]] = {}
    needed: dict[str, list[NeededImport]] = {}
    released: dict[str, set[str]] = {}
    for group in groups:
        for edit in group.edits:
            edits.setdefault(edit.file, []).append(edit)
        for one in group.imports:
            needed.setdefault(one.file, []).append(one)
            edits.setdefault(one.file, [])
        for file, name in group.released:
            released.setdefault(file, set()).add(name)
    changed = {}
    for file in sorted(edits):
        original = document(file)
        new = applied(original, edits[file])
        if needed.get(file):
            new = applied(new, added(new, sorted(set(needed[file]))))
        if released.get(file):
            new = applied(new, unused(new, released[file]))
        _ = new.tree  # must parse
        if new.source != original.source:
            changed[file] = new.source
    return changed


def applied(document: Document, edits: Iterable[Edit]) -> Document:
    """The document with edits of its own text applied."""
    try:
        ordered = merged(edits)
    except ValueError as error:
        raise Uneditable(str(error)) from error
    parts = []
    at = 0
    for edit in ordered:
        parts.append(document.text[at : edit.start])
        parts.append(edit.text.replace("\n", document.newline) if document.newline != "\n" else edit.text)
        at = edit.end
    parts.append(document.text[at:])
    try:
        source = "".join(parts).encode(document.encoding)
    except UnicodeEncodeError as error:
        raise Uneditable(f"the new text cannot be written as {document.encoding}") from error
    return Document(document.file, source)
