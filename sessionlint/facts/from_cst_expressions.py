"""Lowering of libcst expressions (strings apart) to ``ast`` expressions, one small function per node class."""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence

import libcst as cst
from libcst.metadata import CodePosition

from sessionlint.facts.from_cst_table import Lowering, identifier, lowers_expression

_CONSTANTS: dict[str, bool | None] = {"True": True, "False": False, "None": None}

_UNARY: dict[type[cst.BaseUnaryOp], type[ast.unaryop]] = {
    cst.BitInvert: ast.Invert,
    cst.Minus: ast.USub,
    cst.Not: ast.Not,
    cst.Plus: ast.UAdd,
}
_BINARY: dict[type[cst.CSTNode], type[ast.operator]] = {
    cst.Add: ast.Add,
    cst.BitAnd: ast.BitAnd,
    cst.BitOr: ast.BitOr,
    cst.BitXor: ast.BitXor,
    cst.Divide: ast.Div,
    cst.FloorDivide: ast.FloorDiv,
    cst.LeftShift: ast.LShift,
    cst.MatrixMultiply: ast.MatMult,
    cst.Modulo: ast.Mod,
    cst.Multiply: ast.Mult,
    cst.Power: ast.Pow,
    cst.RightShift: ast.RShift,
    cst.Subtract: ast.Sub,
}
_COMPARISON: dict[type[cst.BaseCompOp], type[ast.cmpop]] = {
    cst.Equal: ast.Eq,
    cst.GreaterThan: ast.Gt,
    cst.GreaterThanEqual: ast.GtE,
    cst.In: ast.In,
    cst.Is: ast.Is,
    cst.IsNot: ast.IsNot,
    cst.LessThan: ast.Lt,
    cst.LessThanEqual: ast.LtE,
    cst.NotEqual: ast.NotEq,
    cst.NotIn: ast.NotIn,
}


def binary_operator(operator: cst.CSTNode) -> ast.operator:
    return _BINARY[type(operator)]()


def as_target(node: ast.expr, context: type[ast.Store] | type[ast.Del] = ast.Store) -> ast.expr:
    """Give an expression lowered for reading the context of a target, and its elements too."""
    waiting = [node]
    while waiting:
        target = waiting.pop()
        if isinstance(target, ast.Name | ast.Attribute | ast.Subscript):
            target.ctx = context()
        elif isinstance(target, ast.Starred):
            target.ctx = context()
            waiting.append(target.value)
        elif isinstance(target, ast.Tuple | ast.List):
            target.ctx = context()
            waiting.extend(target.elts)
    return node


@lowers_expression(cst.Name)
def _name(at: Lowering, node: cst.Name) -> ast.expr:
    if node.value in _CONSTANTS:
        return ast.Constant(value=_CONSTANTS[node.value], **at.place(node))
    return ast.Name(id=identifier(node.value), ctx=ast.Load(), **at.place(node))


@lowers_expression(cst.Ellipsis)
def _ellipsis(at: Lowering, node: cst.Ellipsis) -> ast.expr:
    return ast.Constant(value=..., **at.place(node))


@lowers_expression(cst.Integer, cst.Float, cst.Imaginary)
def _number(at: Lowering, node: cst.Integer | cst.Float | cst.Imaginary) -> ast.expr:
    try:
        value = ast.literal_eval(node.value)
    except (SyntaxError, ValueError) as error:
        raise at.problem(node, getattr(error, "msg", str(error))) from error
    return ast.Constant(value=value, **at.place(node))


@lowers_expression(cst.UnaryOperation)
def _unary(at: Lowering, node: cst.UnaryOperation) -> ast.expr:
    return ast.UnaryOp(op=_UNARY[type(node.operator)](), operand=at.expression(node.expression), **at.place(node))


@lowers_expression(cst.BinaryOperation)
def _binary(at: Lowering, node: cst.BinaryOperation) -> ast.expr:
    left = at.expression(node.left)
    return ast.BinOp(left=left, op=binary_operator(node.operator), right=at.expression(node.right), **at.place(node))


@lowers_expression(cst.BooleanOperation)
def _boolean(at: Lowering, node: cst.BooleanOperation) -> ast.expr:
    """``a and b and c``: libcst nests to the left, ``ast`` has one flat list unless parentheses say otherwise."""
    operator = type(node.operator)
    operands = [node.right]
    left = node.left
    while isinstance(left, cst.BooleanOperation) and type(left.operator) is operator and not left.lpar:
        operands.append(left.right)
        left = left.left
    operands.append(left)
    values = [at.expression(operand) for operand in reversed(operands)]
    return ast.BoolOp(op=ast.And() if operator is cst.And else ast.Or(), values=values, **at.place(node))


@lowers_expression(cst.Comparison)
def _comparison(at: Lowering, node: cst.Comparison) -> ast.expr:
    return ast.Compare(
        left=at.expression(node.left),
        ops=[_COMPARISON[type(target.operator)]() for target in node.comparisons],
        comparators=[at.expression(target.comparator) for target in node.comparisons],
        **at.place(node),
    )


@lowers_expression(cst.Attribute)
def _attribute(at: Lowering, node: cst.Attribute) -> ast.expr:
    value = at.expression(node.value)
    return ast.Attribute(value=value, attr=identifier(node.attr.value), ctx=ast.Load(), **at.place(node))


@lowers_expression(cst.Subscript)
def _subscript(at: Lowering, node: cst.Subscript) -> ast.expr:
    value = at.expression(node.value)
    return ast.Subscript(value=value, slice=_subscript_index(at, node.slice), ctx=ast.Load(), **at.place(node))


def _subscript_index(at: Lowering, elements: Sequence[cst.SubscriptElement]) -> ast.expr:
    lowered = [at.expression(element.slice) for element in elements]
    comma = elements[-1].comma
    starred = isinstance(lowered[0], ast.Starred)
    if len(lowered) == 1 and not starred and not isinstance(comma, cst.Comma):
        return lowered[0]
    end = at.end(comma) if isinstance(comma, cst.Comma) else at.end(elements[-1])
    return ast.Tuple(elts=lowered, ctx=ast.Load(), **at.between(at.start(elements[0]), end))


@lowers_expression(cst.Index)
def _index(at: Lowering, node: cst.Index) -> ast.expr:
    value = at.expression(node.value)
    if node.star is None:
        return value
    return ast.Starred(value=value, ctx=ast.Load(), **at.between(at.start(node), at.outer_end(node.value)))


@lowers_expression(cst.Slice)
def _slice(at: Lowering, node: cst.Slice) -> ast.expr:
    start = at.start(node) if node.lower is not None else at.start(node.first_colon)
    end: CodePosition
    if node.step is not None:
        end = at.outer_end(node.step)
    elif isinstance(node.second_colon, cst.Colon):
        end = at.end(node.second_colon)
    elif node.upper is not None:
        end = at.outer_end(node.upper)
    else:
        end = at.end(node.first_colon)
    lower, upper, step = at.optional(node.lower), at.optional(node.upper), at.optional(node.step)
    return ast.Slice(lower=lower, upper=upper, step=step, **at.between(start, end))


def call_arguments(at: Lowering, arguments: Sequence[cst.Arg]) -> tuple[list[ast.expr], list[ast.keyword]]:
    """What stands between a call's (or class statement's) parentheses, positional and keyword."""
    positional: list[ast.expr] = []
    keywords: list[ast.keyword] = []
    for argument in arguments:
        value = at.expression(argument.value)
        place = at.between(at.start(argument), at.outer_end(argument.value))
        if argument.keyword is not None:
            keywords.append(ast.keyword(arg=identifier(argument.keyword.value), value=value, **place))
        elif argument.star == "**":
            keywords.append(ast.keyword(arg=None, value=value, **place))
        elif argument.star == "*":
            positional.append(ast.Starred(value=value, ctx=ast.Load(), **place))
        else:
            positional.append(value)
    return positional, keywords


@lowers_expression(cst.Call)
def _call(at: Lowering, node: cst.Call) -> ast.expr:
    function = at.expression(node.func)
    positional, keywords = call_arguments(at, node.args)
    sole = node.args[0].value if len(node.args) == 1 else None
    if isinstance(sole, cst.GeneratorExp) and not sole.lpar:
        # sum(x for x in y): the generator borrows the parentheses of the call, and ast counts them to it.
        borrowed = at.between(at.end(node.whitespace_after_func), at.end(node))
        positional[0] = ast.copy_location(positional[0], ast.Pass(**borrowed))
    return ast.Call(func=function, args=positional, keywords=keywords, **at.place(node))


@lowers_expression(cst.Await)
def _await(at: Lowering, node: cst.Await) -> ast.expr:
    return ast.Await(value=at.expression(node.expression), **at.place(node))


@lowers_expression(cst.IfExp)
def _if_expression(at: Lowering, node: cst.IfExp) -> ast.expr:
    test, body, orelse = at.expression(node.test), at.expression(node.body), at.expression(node.orelse)
    return ast.IfExp(test=test, body=body, orelse=orelse, **at.place(node))


@lowers_expression(cst.Yield)
def _yield(at: Lowering, node: cst.Yield) -> ast.expr:
    if isinstance(node.value, cst.From):
        return ast.YieldFrom(value=at.expression(node.value.item), **at.place(node))
    return ast.Yield(value=at.optional(node.value), **at.place(node))


@lowers_expression(cst.NamedExpr)
def _named(at: Lowering, node: cst.NamedExpr) -> ast.expr:
    target = as_target(at.expression(node.target))
    assert isinstance(target, ast.Name), "the grammar lets only a name stand before :="
    return ast.NamedExpr(target=target, value=at.expression(node.value), **at.place(node))


@lowers_expression(cst.Element)
def _element(at: Lowering, node: cst.Element) -> ast.expr:
    return at.expression(node.value)


@lowers_expression(cst.StarredElement)
def _starred(at: Lowering, node: cst.StarredElement) -> ast.expr:
    place = at.between(at.start(node), at.outer_end(node.value))
    return ast.Starred(value=at.expression(node.value), ctx=ast.Load(), **place)


@lowers_expression(cst.Tuple)
def _tuple(at: Lowering, node: cst.Tuple) -> ast.expr:
    place = at.inside_parens(node, node)
    if not node.lpar:
        comma = node.elements[-1].comma
        if isinstance(comma, cst.Comma):
            place = at.between(at.start(node), at.end(comma))
    return ast.Tuple(elts=[at.expression(element) for element in node.elements], ctx=ast.Load(), **place)


@lowers_expression(cst.List)
def _list(at: Lowering, node: cst.List) -> ast.expr:
    return ast.List(elts=[at.expression(element) for element in node.elements], ctx=ast.Load(), **at.place(node))


@lowers_expression(cst.Set)
def _set(at: Lowering, node: cst.Set) -> ast.expr:
    return ast.Set(elts=[at.expression(element) for element in node.elements], **at.place(node))


@lowers_expression(cst.Dict)
def _dict(at: Lowering, node: cst.Dict) -> ast.expr:
    keys = [at.expression(entry.key) if isinstance(entry, cst.DictElement) else None for entry in node.elements]
    return ast.Dict(keys=keys, values=[at.expression(entry.value) for entry in node.elements], **at.place(node))


def _generators(at: Lowering, clause: cst.CompFor | None) -> list[ast.comprehension]:
    generators: list[ast.comprehension] = []
    while clause is not None:
        generators.append(
            ast.comprehension(
                target=as_target(at.expression(clause.target)),
                iter=at.expression(clause.iter),
                ifs=[at.expression(condition.test) for condition in clause.ifs],
                is_async=int(clause.asynchronous is not None),
            )
        )
        clause = clause.inner_for_in
    return generators


@lowers_expression(cst.GeneratorExp)
def _generator(at: Lowering, node: cst.GeneratorExp) -> ast.expr:
    element, generators = at.expression(node.elt), _generators(at, node.for_in)
    return ast.GeneratorExp(elt=element, generators=generators, **at.inside_parens(node, node))


@lowers_expression(cst.ListComp)
def _list_comprehension(at: Lowering, node: cst.ListComp) -> ast.expr:
    return ast.ListComp(elt=at.expression(node.elt), generators=_generators(at, node.for_in), **at.place(node))


@lowers_expression(cst.SetComp)
def _set_comprehension(at: Lowering, node: cst.SetComp) -> ast.expr:
    return ast.SetComp(elt=at.expression(node.elt), generators=_generators(at, node.for_in), **at.place(node))


@lowers_expression(cst.DictComp)
def _dict_comprehension(at: Lowering, node: cst.DictComp) -> ast.expr:
    key, value, generators = at.expression(node.key), at.expression(node.value), _generators(at, node.for_in)
    return ast.DictComp(key=key, value=value, generators=generators, **at.place(node))


class _UnpackingComprehension(cst.BaseExpression):
    """The shape of libcst's ``StarredDictComp`` (since libcst 1.9), for libcst versions that lack it."""

    value: cst.BaseExpression
    for_in: cst.CompFor


@lowers_expression(getattr(cst, "StarredDictComp", None))
def _unpacking_comprehension(at: Lowering, node: _UnpackingComprehension) -> ast.expr:
    """``{**each for each in rows}`` (PEP 798); an older ``ast`` has no node for it: there a set of starred values."""
    value, generators = at.expression(node.value), _generators(at, node.for_in)
    if sys.version_info >= (3, 15):
        return ast.DictComp(key=value, value=None, generators=generators, **at.place(node))
    starred = ast.Starred(value=value, ctx=ast.Load(), **at.place(node.value))
    return ast.SetComp(elt=starred, generators=generators, **at.place(node))


def parameters(at: Lowering, node: cst.Parameters) -> ast.arguments:
    """A function's or lambda's parameters; defaults of positional ones are the last of them, as in ``ast``."""
    positional = [*node.posonly_params, *node.params]
    return ast.arguments(
        posonlyargs=[_parameter(at, each) for each in node.posonly_params],
        args=[_parameter(at, each) for each in node.params],
        vararg=_parameter(at, node.star_arg) if isinstance(node.star_arg, cst.Param) else None,
        kwonlyargs=[_parameter(at, each) for each in node.kwonly_params],
        kw_defaults=[at.optional(each.default) for each in node.kwonly_params],
        kwarg=_parameter(at, node.star_kwarg) if node.star_kwarg is not None else None,
        defaults=[at.expression(each.default) for each in positional if each.default is not None],
    )


def _parameter(at: Lowering, node: cst.Param) -> ast.arg:
    annotation = None if node.annotation is None else node.annotation.annotation
    end = at.end(node.name) if annotation is None else at.outer_end(annotation)
    place = at.between(at.start(node.name), end)
    return ast.arg(arg=identifier(node.name.value), annotation=at.optional(annotation), **place)


@lowers_expression(cst.Lambda)
def _lambda(at: Lowering, node: cst.Lambda) -> ast.expr:
    return ast.Lambda(args=parameters(at, node.params), body=at.expression(node.body), **at.place(node))
