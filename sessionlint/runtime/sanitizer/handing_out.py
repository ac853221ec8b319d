"""Tells a session dependency from a stream: whether a generator yields the session that it has made.

What will be yielded is not there yet when the session is made, so this one question is put to the source.
"""

from __future__ import annotations

import ast
import functools
import linecache

from .stacks import Site

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def hands_out_session(maker: Site, path: str) -> bool:
    """Whether a name bound on the line that makes the session is yielded by the same function."""
    function = _function(path, maker.code.co_firstlineno, maker.code.co_name)
    if function is None:
        return False
    names = {name for node in ast.walk(function) for name in _bound(node, maker.spot.line)}
    return any(
        isinstance(node, ast.Yield) and isinstance(node.value, ast.Name) and node.value.id in names
        for node in ast.walk(function)
    )


def _bound(node: ast.AST, line: int) -> list[str]:
    targets: list[ast.expr | None] = []
    if isinstance(node, (ast.With, ast.AsyncWith)):
        targets = [item.optional_vars for item in node.items if _covers(item.context_expr, line)]
    elif isinstance(node, ast.Assign) and _covers(node, line):
        targets = list(node.targets)
    elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and _covers(node, line):
        targets = [node.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _covers(node: ast.expr | ast.stmt, line: int) -> bool:
    return node.lineno <= line <= (node.end_lineno or node.lineno)


@functools.lru_cache(maxsize=256)
def _function(path: str, first_line: int, name: str) -> _Function | None:
    try:
        tree = ast.parse("".join(linecache.getlines(path)))
    except (SyntaxError, ValueError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name:
            if first_line in {node.lineno, *(decorator.lineno for decorator in node.decorator_list)}:
                return node
    return None
