"""From the edits of many groups to the new bytes of files: applied from the end, imports settled, result parsed.

Pure: reads documents, gives bytes.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable

from sessionlint.fixes.document import Document, Uneditable
from sessionlint.fixes.edits import Edit, Group, NeededImport, Unwrap, Wrap, merged
from sessionlint.fixes.imports import added, unused
from sessionlint.fixes.rewrite import insert_after, shift, unwrap


def compose(
    groups: Iterable[Group], document: Callable[[str], Document], own: frozenset[str] = frozenset()
) -> dict[str, bytes]:
    """The new bytes of every file that the groups change. Raises ``Uneditable`` where a result does not parse.

    ``own`` are the top-level packages of the project, whose imports have a section of their own.
    """
    edits: dict[str, list[Edit]] = {}
    needed: dict[str, list[NeededImport]] = {}
    released: dict[str, set[str]] = {}
    blocks: dict[str, list[Unwrap | Wrap]] = {}
    for group in groups:
        for block in group.blocks:
            blocks.setdefault(block.file, []).append(block)
            edits.setdefault(block.file, [])
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
        if blocks.get(file):
            new = _moved(new, blocks[file], merged(edits[file]))
        if needed.get(file):
            new = applied(new, added(new, sorted(set(needed[file])), own))
        if released.get(file):
            new = applied(new, unused(new, released[file]))
        _ = new.tree  # must parse
        if new.source != original.source:
            changed[file] = new.source
    return changed


def _moved(document: Document, blocks: list[Unwrap | Wrap], edits: list[Edit]) -> Document:
    """Blocks taken out of their ``with`` or put into one, from the end, so that offsets in front stay right."""

    def first(block: Unwrap | Wrap) -> int:
        return block.start if isinstance(block, Unwrap) else block.first

    for block in sorted(dict.fromkeys(blocks), key=first, reverse=True):
        if isinstance(block, Unwrap):
            stmt = _statement_at(document, _after(document, block.start, edits))
            if not isinstance(stmt, (ast.With, ast.AsyncWith)):
                raise Uneditable("the block that was to be opened is not there")
            document = applied(document, unwrap(document, stmt))
        else:
            document = applied(document, _wrapped(document, block, edits))
    return document


def _wrapped(document: Document, block: Wrap, edits: list[Edit]) -> list[Edit]:
    one, other = (_statement_at(document, _after(document, at, edits)) for at in (block.first, block.last))
    space = document.indentation(one)
    first, last = document.line_of(document.start(one)), other.end_lineno or other.lineno
    header = f"{space}{block.header}\n" if block.header else ""
    head = Edit(document.file, document.line_start(first), document.line_start(first), header)
    indented = [e for e in shift(document, first, last, document.unit) if e.start != head.start]
    head = head._replace(text=head.text + document.unit)
    if not block.footer:
        return [head, *indented]
    foot = insert_after(document, other, [block.footer], space + document.unit)
    return [head, *indented, foot]


def _statement_at(document: Document, offset: int) -> ast.stmt:
    for node in document.nodes:
        if isinstance(node, ast.stmt) and document.start(node) == offset:
            return node
    raise Uneditable("a statement that was to be moved is not there")


def _after(document: Document, offset: int, edits: list[Edit]) -> int:
    """Where the character at ``offset`` stands once the edits are made."""
    extra = len(document.newline) - 1
    return offset + sum(
        len(e.text) + extra * e.text.count("\n") - (e.end - e.start)
        for e in edits
        if e.start < offset and e.end <= offset
    )


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
