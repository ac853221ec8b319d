"""Say where two syntax trees first differ, in structure or position, in words a person can act on."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

_POSITION = ("lineno", "col_offset", "end_lineno", "end_col_offset")

# Before 3.12 ast places what stands inside an f-string by guesswork (CPython issue 35212): structure only, there.
_TRUSTS_F_STRING_POSITIONS = sys.version_info >= (3, 12)


def first_difference(expected: ast.AST, got: ast.AST) -> str | None:
    """The path to the first difference with both sides, or None when the trees are equal node by node.

    Left out: ``Constant.kind``, ``type_params`` where the running ``ast`` has none, and the empty constants that
    Python 3.12 alone leaves inside format specifications.
    """
    return next(_differences("Module", expected, got, True), None)


def count_nodes(tree: ast.AST) -> int:
    return sum(1 for _ in ast.walk(tree))


def _differences(path: str, expected: object, got: object, with_positions: bool) -> Iterator[str]:
    if type(expected) is not type(got):
        yield _told(path, _shown(expected), _shown(got))
    elif isinstance(expected, ast.AST):
        assert isinstance(got, ast.AST)
        yield from _node_differences(path, expected, got, with_positions)
    elif isinstance(expected, list):
        assert isinstance(got, list)
        if len(expected) != len(got):
            yield _told(path, f"{len(expected)} elements", f"{len(got)} elements")
        for index, (one, other) in enumerate(zip(expected, got, strict=False)):
            yield from _differences(f"{path}[{index}]", one, other, with_positions)
    elif expected != got and repr(expected) != repr(got):
        yield _told(path, repr(expected), repr(got))


def _node_differences(path: str, expected: ast.AST, got: ast.AST, with_positions: bool) -> Iterator[str]:
    here = f"{path}:{type(expected).__name__}"
    if with_positions and _place(expected) != _place(got):
        yield _told(here, _place(expected), _place(got))
    if isinstance(expected, ast.JoinedStr):
        with_positions = with_positions and _TRUSTS_F_STRING_POSITIONS
    for name in expected._fields:
        if name == "kind":
            continue
        one, other = getattr(expected, name, None), getattr(got, name, None)
        if isinstance(expected, ast.JoinedStr):
            one, other = _without_empty(one), _without_empty(other)
        yield from _differences(f"{here}.{name}", one, other, with_positions)


def _without_empty(values: object) -> list[object]:
    assert isinstance(values, list)
    return [value for value in values if not (isinstance(value, ast.Constant) and value.value == "")]


def _place(node: ast.AST) -> str:
    line, column, end_line, end_column = (getattr(node, name, None) for name in _POSITION)
    return f"{line}:{column}-{end_line}:{end_column}"


def _shown(value: object) -> str:
    return ast.dump(value)[:200] if isinstance(value, ast.AST) else repr(value)[:200]


def _told(path: str, expected: str, got: str) -> str:
    return f"at {path}\n  ast    {expected}\n  libcst {got}"
