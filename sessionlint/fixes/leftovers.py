"""Takes statements out that nobody needs any more, with what they leave empty: a ``global``, a constructor."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import Edit
from sessionlint.fixes.program import Program
from sessionlint.fixes.rewrite import delete_all, stands_alone
from sessionlint.project import symbols as sym


def taken_out(document: Document, stmts: Sequence[ast.stmt], *, comments: bool = True) -> Iterator[Edit]:
    """Statements of any blocks, neighbours together, so that an emptied block gets one ``pass``.

    ``comments`` False drops those on their lines, for statements that move with them.
    """
    wanted = set(stmts)
    done: set[ast.stmt] = set()
    for stmt in sorted(wanted, key=document.start):
        if stmt in done:
            continue
        block = document.block(stmt)
        run = [stmt]
        for later in block[block.index(stmt) + 1 :]:
            if later not in wanted or not stands_alone(document, later) or not stands_alone(document, stmt):
                break
            run.append(later)
        done.update(run)
        yield _with_blank_lines(document, run, delete_all(document, run, comments=comments))


def _with_blank_lines(document: Document, run: Sequence[ast.stmt], edit: Edit) -> Edit:
    """Without the blank lines that set the statements apart, so that no wider gap than before is left."""
    block = document.block(run[0])
    if edit.text or not all(stands_alone(document, stmt) for stmt in run) or block[-1] is run[-1]:
        return edit
    first, last = document.line_of(edit.start), run[-1].end_lineno or run[-1].lineno
    above = _blank(document, first - 1, -1)
    below = _blank(document, last + 1, 1)
    heads_a_block = block[0] is run[0] and not above and document.parent(run[0]) is not document.tree
    spare = below if heads_a_block else min(above, below)
    return Edit(document.file, edit.start, document.line_start(last + 1 + spare), "")


def _blank(document: Document, line: int, step: int) -> int:
    """How many blank lines follow each other from a line on."""
    count = 0
    while 0 < line < document.line_of(len(document.text)) and not document.line_text(line).strip():
        count += 1
        line += step
    return count


def empty_constructor(program: Program, document: Document, cls: sym.Class, gone: set[ast.stmt]) -> Edit | None:
    """The whole ``__init__`` where nothing is left of it: it takes nothing, and no base has another one to run."""
    init = cls.methods.get("__init__")
    if init is None or program.analysis.infer.classes.method(cls, "__init__", skip=1) is not None:
        return None
    if program.analysis.infer.classes.outside_bases(cls) or init.facts.decorators or len(init.facts.parameters) > 1:
        return None
    node = document.function(init.facts)
    first, last = node.lineno, node.end_lineno or node.lineno
    owner = document.cls(cls.facts)
    if (
        set(node.body) - gone
        or len(owner.body) == 1
        or any(line in document.comments for line in range(first, last + 1))
    ):
        return None
    end = last + 1
    while end < document.line_of(len(document.text)) and not document.line_text(end).strip():
        end += 1
    if owner.body[-1] is node:  # the blank lines that set it apart stand above
        end = last + 1
        while not document.line_text(first - 1).strip():
            first -= 1
    return Edit(document.file, document.line_start(first), document.line_start(end), "")
