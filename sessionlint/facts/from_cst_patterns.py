"""Lowering of the patterns of ``match`` statements to ``ast`` patterns."""

from __future__ import annotations

import ast
from collections.abc import Sequence

import libcst as cst

from sessionlint.facts.from_cst_expressions import _CONSTANTS as SINGLETONS
from sessionlint.facts.from_cst_table import Lowering, identifier, lowers_pattern


@lowers_pattern(cst.MatchValue)
def _value(at: Lowering, node: cst.MatchValue) -> ast.pattern:
    return ast.MatchValue(value=at.expression(node.value), **at.place(node.value))


@lowers_pattern(cst.MatchSingleton)
def _singleton(at: Lowering, node: cst.MatchSingleton) -> ast.pattern:
    return ast.MatchSingleton(value=SINGLETONS[node.value.value], **at.place(node.value))


@lowers_pattern(cst.MatchSequenceElement)
def _element(at: Lowering, node: cst.MatchSequenceElement) -> ast.pattern:
    return at.pattern(node.value)


@lowers_pattern(cst.MatchStar)
def _star(at: Lowering, node: cst.MatchStar) -> ast.pattern:
    if node.name is None:
        # The range of the star includes a comma behind it; "_" follows the blanks behind the star at once.
        blanks_end = at.end(node.whitespace_before_name)
        end = type(blanks_end)(blanks_end.line, blanks_end.column + 1)
        return ast.MatchStar(name=None, **at.between(at.start(node), end))
    return ast.MatchStar(name=identifier(node.name.value), **at.between(at.start(node), at.end(node.name)))


@lowers_pattern(cst.MatchList, cst.MatchTuple)
def _sequence(at: Lowering, node: cst.MatchList | cst.MatchTuple) -> ast.pattern:
    if isinstance(node, cst.MatchTuple):
        place = at.inside_parens(node, node)
    elif node.lbracket is not None:
        place = at.place(node)
    else:
        comma = node.patterns[-1].comma
        end = at.end(comma) if isinstance(comma, cst.Comma) else at.end(node)
        place = at.between(at.start(node), end)
    return ast.MatchSequence(patterns=_patterns(at, node.patterns), **place)


def _patterns(at: Lowering, nodes: Sequence[cst.CSTNode]) -> list[ast.pattern]:
    return [at.pattern(node) for node in nodes]


@lowers_pattern(cst.MatchMapping)
def _mapping(at: Lowering, node: cst.MatchMapping) -> ast.pattern:
    return ast.MatchMapping(
        keys=[at.expression(element.key) for element in node.elements],
        patterns=[at.pattern(element.pattern) for element in node.elements],
        rest=None if node.rest is None else identifier(node.rest.value),
        **at.place(node),
    )


@lowers_pattern(cst.MatchClass)
def _class(at: Lowering, node: cst.MatchClass) -> ast.pattern:
    return ast.MatchClass(
        cls=at.expression(node.cls),
        patterns=_patterns(at, node.patterns),
        kwd_attrs=[identifier(keyword.key.value) for keyword in node.kwds],
        kwd_patterns=[at.pattern(keyword.pattern) for keyword in node.kwds],
        **at.place(node),
    )


@lowers_pattern(cst.MatchAs)
def _as(at: Lowering, node: cst.MatchAs) -> ast.pattern:
    pattern = None if node.pattern is None else at.pattern(node.pattern)
    name = None if node.name is None else identifier(node.name.value)
    return ast.MatchAs(pattern=pattern, name=name, **at.place(node))


@lowers_pattern(cst.MatchOr)
def _or(at: Lowering, node: cst.MatchOr) -> ast.pattern:
    return ast.MatchOr(patterns=[at.pattern(alternative.pattern) for alternative in node.patterns], **at.place(node))
