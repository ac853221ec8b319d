"""Lowering of string literals: plain, bytes, f-strings, t-strings and their implicit concatenation.

Places inside f-strings are those of Python 3.12 and later; older interpreters do not know them (CPython issue 35212).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, cast

import libcst as cst
from libcst.metadata import CodePosition

from sessionlint.facts.from_cst_table import Lowering, Place, lowers_expression

_REPR = ord("r")


class _Replacement(Protocol):
    """A ``{...}`` of an f-string or a t-string; libcst has one class for each, with the same fields."""

    @property
    def expression(self) -> cst.BaseExpression: ...
    @property
    def conversion(self) -> str | None: ...
    @property
    def format_spec(self) -> Sequence[cst.CSTNode] | None: ...
    @property
    def equal(self) -> cst.AssignEqual | None: ...


@dataclass(frozen=True)
class _Text:
    """A piece of constant text, to be joined with its neighbours."""

    value: str
    start: CodePosition
    end: CodePosition


_Part = _Text | ast.expr

# Template strings (PEP 750): without ``ast.TemplateStr`` they are lowered as if they were f-strings.
_TEMPLATED_STRING: type[cst.CSTNode] | None = getattr(cst, "TemplatedString", None)  # libcst 1.8
_TEMPLATE_STR: Callable[..., ast.expr] | None = getattr(ast, "TemplateStr", None)  # Python 3.14
_INTERPOLATION: Callable[..., ast.expr] | None = getattr(ast, "Interpolation", None)


@lowers_expression(cst.SimpleString)
def _simple(at: Lowering, node: cst.SimpleString) -> ast.expr:
    return ast.Constant(value=_evaluated(at, node, node.value), kind=_kind(node), **at.place(node))


@lowers_expression(cst.FormattedString, _TEMPLATED_STRING)
def _formatted(at: Lowering, node: cst.CSTNode) -> ast.expr:
    return _joined(at, [node], at.place(node))


@lowers_expression(cst.ConcatenatedString)
def _concatenated(at: Lowering, node: cst.ConcatenatedString) -> ast.expr:
    literals: list[cst.CSTNode] = []
    rest: cst.CSTNode = node
    while isinstance(rest, cst.ConcatenatedString):
        literals.append(rest.left)
        rest = rest.right
    literals.append(rest)
    plain = [literal for literal in literals if isinstance(literal, cst.SimpleString)]
    if len(plain) != len(literals):
        return _joined(at, literals, at.place(node))
    values = [_evaluated(at, literal, literal.value) for literal in plain]
    value: str | bytes
    if isinstance(values[0], bytes):
        value = b"".join(part for part in values if isinstance(part, bytes))
    else:
        value = "".join(part for part in values if isinstance(part, str))
    return ast.Constant(value=value, kind=_kind(plain[0]), **at.place(node))


def _kind(node: cst.SimpleString) -> Literal["u"] | None:
    return "u" if node.value.startswith("u") else None


def _evaluated(at: Lowering, node: cst.CSTNode, literal: str) -> str | bytes:
    try:
        value = ast.literal_eval(literal)
    except (SyntaxError, ValueError) as error:
        raise at.problem(node, getattr(error, "msg", str(error))) from error
    assert isinstance(value, str | bytes), "libcst hands only string literals to this"
    return value


def _joined(at: Lowering, literals: Sequence[cst.CSTNode], place: Place) -> ast.expr:
    """One ``JoinedStr`` for adjacent literals of which at least one is an f-string."""
    parts: list[_Part] = []
    template = False
    for literal in literals:
        if isinstance(literal, cst.SimpleString):
            value = _evaluated(at, literal, literal.value)
            parts.append(_Text(str(value), at.start(literal), at.end(literal)))
        else:
            template = template or not isinstance(literal, cst.FormattedString)
            parts.extend(_parts_of(at, literal))
    values = list(_merged(at, parts))
    if template and _TEMPLATE_STR is not None:
        return _TEMPLATE_STR(values=values, **place)
    return ast.JoinedStr(values=values, **place)


def _parts_of(at: Lowering, literal: cst.CSTNode) -> Iterable[_Part]:
    opening, quote = getattr(literal, "start", ""), getattr(literal, "end", "")
    raw = "r" in opening.lower()
    template = not isinstance(literal, cst.FormattedString)
    return _parts(at, getattr(literal, "parts", ()), raw, quote, template)


def _parts(at: Lowering, nodes: Iterable[cst.CSTNode], raw: bool, quote: str, template: bool) -> Iterable[_Part]:
    for node in nodes:
        if hasattr(node, "expression"):
            yield from _replacement_parts(at, node, cast(_Replacement, node), raw, quote, template)
        else:
            written = str(getattr(node, "value", "")).replace("{{", "{").replace("}}", "}")
            text = written if raw else _unescaped(at, node, written, quote)
            yield _Text(text, at.start(node), at.end(node))


def _unescaped(at: Lowering, node: cst.CSTNode, written: str, quote: str) -> str:
    backslashes = len(written) - len(written.rstrip("\\"))
    if backslashes % 2:
        # In f"\{name}" the backslash before the brace escapes nothing and stays.
        written += "\\"
    return str(_evaluated(at, node, f"{quote}{written}{quote}"))


def _replacement_parts(
    at: Lowering, node: cst.CSTNode, replacement: _Replacement, raw: bool, quote: str, template: bool
) -> Iterable[_Part]:
    """``{value!r:>{width}}``, preceded by the text of ``value =`` when it documents itself with ``=``."""
    brace = at.start(node)
    inner = CodePosition(brace.line, brace.column + 1)
    conversion = -1 if replacement.conversion is None else ord(replacement.conversion)
    if replacement.equal is not None:
        documented_end = at.end(replacement.equal.whitespace_after)
        yield _Text(at.text_between(inner, documented_end), inner, documented_end)
        if replacement.conversion is None and replacement.format_spec is None:
            conversion = _REPR
    value = at.expression(replacement.expression)
    spec = _format_spec(at, node, replacement.format_spec, raw, quote, template)
    if template and _INTERPOLATION is not None:
        text = at.text_between(inner, at.outer_end(replacement.expression)).strip()
        yield _INTERPOLATION(value=value, str=text, conversion=conversion, format_spec=spec, **at.place(node))
    else:
        yield ast.FormattedValue(value=value, conversion=conversion, format_spec=spec, **at.place(node))


def _format_spec(
    at: Lowering, node: cst.CSTNode, spec: Sequence[cst.CSTNode] | None, raw: bool, quote: str, template: bool
) -> ast.JoinedStr | None:
    """The format specification, which ``ast`` begins at its colon."""
    if spec is None:
        return None
    end = at.end(node)
    end = CodePosition(end.line, end.column - 1)
    behind_colon = at.start(spec[0]) if spec else end
    place = at.between(CodePosition(behind_colon.line, behind_colon.column - 1), end)
    values = list(_merged(at, _parts(at, spec, raw, quote, template)))
    return ast.JoinedStr(values=values, **place)


def _merged(at: Lowering, parts: Iterable[_Part]) -> Iterable[ast.expr]:
    """Adjacent texts become one ``Constant`` from the first one's start to the last one's end; empty ones vanish."""
    texts: list[_Text] = []
    for part in parts:
        if isinstance(part, _Text):
            texts.append(part)
        else:
            yield from _constant(at, texts)
            texts = []
            yield part
    yield from _constant(at, texts)


def _constant(at: Lowering, texts: Iterable[_Text]) -> Iterable[ast.expr]:
    spoken = [text for text in texts if text.value]
    if spoken:
        value = "".join(text.value for text in spoken)
        yield ast.Constant(value=value, **at.between(spoken[0].start, spoken[-1].end))
