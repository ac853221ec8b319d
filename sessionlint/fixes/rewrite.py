"""Pieces of edits: insert and delete statements, shift blocks, take a block out of its ``with``.

Every function gives edits against a document and keeps comments, line ends and the indentation the file uses.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import Edit

_SUPPRESSION = re.compile(r"#\s*(noqa\s*:\s*SES|sessionlint\s*:)", re.IGNORECASE)
#: layout that a comment loses nothing by: markers of other tools about the deleted line itself
_ABOUT_THE_LINE = re.compile(r"#\s*(noqa|type:|pragma:|pylint:|fmt:|nosec)", re.IGNORECASE)


def replace(document: Document, node: ast.AST, text: str) -> Edit:
    """Put ``text`` in place of a node."""
    return Edit(document.file, document.start(node), document.end(node), text)


def insert(document: Document, offset: int, text: str) -> Edit:
    return Edit(document.file, offset, offset, text)


def stands_alone(document: Document, stmt: ast.stmt) -> bool:
    """Whether a statement has its lines for itself (a trailing comment does not count)."""
    first = document.line_of(document.start(stmt))
    before = document.text[document.line_start(first) : document.start(stmt)]
    rest = document.text[document.end(stmt) : document.line_start((stmt.end_lineno or stmt.lineno) + 1)]
    return not before.strip() and (not rest.strip() or rest.strip().startswith("#"))


def insert_after(document: Document, stmt: ast.stmt, lines: Sequence[str], indentation: str | None = None) -> Edit:
    """New lines behind a statement, indented like it."""
    space = document.indentation(stmt) if indentation is None else indentation
    if not stands_alone(document, stmt) and not _shares_only_its_header(document, stmt):
        return insert(document, document.end(stmt), "; " + "; ".join(lines))
    end = document.line_start((stmt.end_lineno or stmt.lineno) + 1)
    text = "".join(f"{space}{line}\n" if line else "\n" for line in lines)
    if end == len(document.text) and not document.text.endswith(("\n", "\r")):
        return insert(document, end, "\n" + text.removesuffix("\n"))
    return insert(document, end, text)


def _shares_only_its_header(document: Document, stmt: ast.stmt) -> bool:
    """A compound statement whose last line is its own."""
    rest = document.text[document.end(stmt) : document.line_start((stmt.end_lineno or stmt.lineno) + 1)]
    return hasattr(stmt, "body") and (not rest.strip() or rest.strip().startswith("#"))


def insert_before(document: Document, stmt: ast.stmt, lines: Sequence[str]) -> Edit:
    """New lines in front of a statement, indented like it."""
    first = document.line_of(document.start(stmt))
    before = document.text[document.line_start(first) : document.start(stmt)]
    if before.strip():
        return insert(document, document.start(stmt), "; ".join(lines) + "; ")
    space = document.indentation(stmt)
    return insert(document, document.line_start(first), "".join(f"{space}{line}\n" if line else "\n" for line in lines))


def kept_comment(document: Document, line: int) -> str:
    """The comment of a line that is deleted, if it says more than something about that line for a tool."""
    _, comment = document.comments.get(line, (0, ""))
    return "" if _SUPPRESSION.search(comment) or _ABOUT_THE_LINE.match(comment) else comment


def with_comment(document: Document, stmt: ast.stmt) -> str:
    """A statement as written, with the comment behind it: for moving it."""
    comment = kept_comment(document, stmt.end_lineno or stmt.lineno)
    return document.code(stmt) + (f"  {comment}" if comment else "")


def delete(document: Document, stmt: ast.stmt, *, comments: bool = True) -> Edit:
    """Take a statement out; a block left empty gets ``pass``, a comment on its lines stays as a line of its own.

    ``comments`` False drops them, for a statement whose comment moves with it.
    """
    return delete_all(document, [stmt], comments=comments)


def delete_all(document: Document, stmts: Sequence[ast.stmt], *, comments: bool = True) -> Edit:
    """Take consecutive statements of one block out."""
    first, last = stmts[0], stmts[-1]
    emptied = len(document.block(first)) == len(stmts)
    if not all(stands_alone(document, stmt) for stmt in (first, last)):
        if len(stmts) > 1:
            raise ValueError("statements that share a line are deleted one by one")
        return _delete_among_others(document, first, emptied)
    start_line = document.line_of(document.start(first))
    end_line = last.end_lineno or last.lineno
    space = document.indentation(first)
    kept = [c for c in (kept_comment(document, line) for line in range(start_line, end_line + 1)) if c]
    lines = [*(kept if comments else []), *(["pass"] if emptied else [])]
    start, end = document.line_start(start_line), document.line_start(end_line + 1)
    text = "".join(f"{space}{line}\n" for line in lines)
    if end == len(document.text) and not document.text.endswith(("\n", "\r")):
        text = text.removesuffix("\n")
    return Edit(document.file, start, end, text)


def _delete_among_others(document: Document, stmt: ast.stmt, emptied: bool) -> Edit:
    start, end = document.start(stmt), document.end(stmt)
    if emptied:
        return Edit(document.file, start, end, "pass")
    after = re.match(r"[ \t]*;[ \t]*", document.text[end:])
    if after:
        return Edit(document.file, start, end + after.end(), "")
    before = re.search(r"[ \t]*;[ \t]*$", document.text[:start])
    return Edit(document.file, before.start() if before else start, end, "")


def line_range(document: Document, stmts: Sequence[ast.stmt]) -> tuple[int, int]:
    """First and last line of consecutive statements, with the comment lines right above the first."""
    first = document.line_of(document.start(stmts[0]))
    return first, stmts[-1].end_lineno or stmts[-1].lineno


def shift(document: Document, first: int, last: int, by: str, out: bool = False) -> list[Edit]:
    """Indent the lines by ``by``, or take it away again (``out``); lines inside strings stay as they are."""
    edits = []
    for line in range(first, last + 1):
        text = document.line_text(line)
        if not text.strip() or line in document.string_lines:
            continue
        start = document.line_start(line)
        if not out:
            edits.append(insert(document, start, by))
        elif text.startswith(by):
            edits.append(Edit(document.file, start, start + len(by), ""))
        else:
            width = len(text) - len(text.lstrip())
            edits.append(Edit(document.file, start, start + min(width, len(by)), ""))
    return edits


def body_start(document: Document, stmt: ast.stmt) -> int:
    """The first line of the block below a compound statement's header, comments before its first statement included."""
    body: list[ast.stmt] = stmt.body  # type: ignore[attr-defined]
    first = document.line_of(document.start(body[0]))
    header = document.line_of(document.text.rindex(":", 0, document.start(body[0])))
    while first - 1 > header and document.line_text(first - 1).lstrip().startswith("#"):
        first -= 1
    return first


def is_one_liner(document: Document, stmt: ast.stmt) -> bool:
    """Whether the block stands on the line of its header."""
    body: list[ast.stmt] = stmt.body  # type: ignore[attr-defined]
    before = document.text[document.line_start(body[0].lineno) : document.start(body[0])]
    return bool(before.strip())


def unwrap(document: Document, stmt: ast.With | ast.AsyncWith | ast.If, without: Sequence[ast.stmt] = ()) -> list[Edit]:
    """Replace a compound statement by its block: the header goes, the block moves one step out.

    ``without`` are statements of the block that go too.
    """
    if is_one_liner(document, stmt):
        return [Edit(document.file, document.start(stmt), document.start(stmt.body[0]), "")]
    first = body_start(document, stmt)
    last = stmt.body[-1].end_lineno or stmt.body[-1].lineno
    space = document.indentation(stmt)
    header = document.line_of(document.start(stmt))
    kept = [c for c in (kept_comment(document, line) for line in range(header, first)) if c]
    comments = "".join(f"{space}{comment}\n" for comment in kept)
    step = document.indentation(stmt.body[0])[len(space) :]
    head = Edit(document.file, document.line_start(header), document.line_start(first), comments)
    gone = [delete(document, one) for one in without]
    moved = shift(document, first, last, step, out=True)
    return [head, *gone, *(e for e in moved if not any(g.start <= e.start < g.end for g in gone))]
