"""Puts a call in front of the places where control leaves: before a ``return``, or at the end of a block.

A ``return`` whose value does work of its own keeps the order: the value is computed, then comes the call.
"""

from __future__ import annotations

import ast

from sessionlint.fixes import rewrite
from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import Edit

_RESULT = ("result", "outcome", "answer")


def before_return(document: Document, leave: ast.Return, line: str) -> list[Edit]:
    """Run ``line`` right before a return."""
    if leave.value is None or not _works(leave.value):
        return [rewrite.insert_before(document, leave, [line])]
    function = document.function_around(leave)
    name = fresh_name(function or document.tree, _RESULT)
    value = document.code(leave.value)
    space = document.indentation(leave)
    if not rewrite.stands_alone(document, leave):
        return [rewrite.replace(document, leave, f"{name} = {value}; {line}; return {name}")]
    start, end = document.start(leave), document.end(leave)
    rest = document.text[end : document.line_start((leave.end_lineno or leave.lineno) + 1)].rstrip("\r\n")
    stop = end + len(rest)
    return [
        Edit(document.file, start, document.start(leave.value), f"{name} = "),
        Edit(document.file, stop, stop, f"\n{space}{line}\n{space}return {name}"),
    ]


def at_end(document: Document, block: list[ast.stmt], line: str) -> list[Edit]:
    """Run ``line`` after the last statement of a block; before it, where that is a return."""
    last = block[-1]
    if isinstance(last, ast.Return):
        return before_return(document, last, line)
    if isinstance(last, (ast.Raise, ast.Continue, ast.Break)):
        return []
    if isinstance(last, ast.Pass):
        return [rewrite.replace(document, last, line)]
    return [rewrite.insert_after(document, last, [line], document.indentation(last))]


def fresh_name(scope: ast.AST, wanted: tuple[str, ...]) -> str:
    """The first of some names that a scope does not use; numbered where it uses all."""
    used = {n.id for n in ast.walk(scope) if isinstance(n, ast.Name)}
    used |= {n.arg for n in ast.walk(scope) if isinstance(n, ast.arg)}
    for name in wanted:
        if name not in used:
            return name
    return next(f"{wanted[0]}_{n}" for n in range(2, 1000) if f"{wanted[0]}_{n}" not in used)


def _works(value: ast.expr) -> bool:
    """Whether computing a value does more than reading: it calls, awaits, or reads attributes of objects."""
    return any(
        isinstance(n, (ast.Call, ast.Await, ast.Attribute, ast.Yield, ast.comprehension)) for n in ast.walk(value)
    )
