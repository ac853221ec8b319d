"""Lowering of libcst statements to ``ast`` statements, one small function per node class."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import libcst as cst
from libcst.metadata import CodePosition

from sessionlint.facts.from_cst_expressions import as_target, binary_operator, call_arguments, parameters
from sessionlint.facts.from_cst_table import Lowering, Place, identifier, lowers_statement

_TRY_STAR: type[ast.Try] = getattr(ast, "TryStar", ast.Try)  # Python 3.11; the same fields as Try
_TYPE_ALIAS: Callable[..., ast.stmt] | None = getattr(ast, "TypeAlias", None)  # Python 3.12
_HAS_TYPE_PARAMETERS = _TYPE_ALIAS is not None


def statements(at: Lowering, nodes: Iterable[cst.CSTNode]) -> list[ast.stmt]:
    """The statements of a module or block, lines with semicolons taken apart."""
    lowered: list[ast.stmt] = []
    for node in nodes:
        if isinstance(node, cst.SimpleStatementLine):
            lowered.extend(at.statement(small) for small in node.body)
        else:
            lowered.append(at.statement(node))
    return lowered


def _body(at: Lowering, suite: cst.BaseSuite) -> list[ast.stmt]:
    if isinstance(suite, cst.SimpleStatementSuite):
        return [at.statement(small) for small in suite.body]
    return statements(at, suite.body)


def _orelse(at: Lowering, clause: cst.Else | None) -> list[ast.stmt]:
    return [] if clause is None else _body(at, clause.body)


def _until(at: Lowering, node: cst.CSTNode, last: cst.BaseSuite) -> Place:
    """The place of a compound statement: CPython counts a semicolon behind its last statement to it."""
    return at.between(at.start(node), _suite_end(at, last))


def _suite_end(at: Lowering, suite: cst.CSTNode) -> CodePosition:
    while isinstance(suite, cst.IndentedBlock | cst.SimpleStatementLine | cst.SimpleStatementSuite):
        last = suite.body[-1]
        semicolon = getattr(last, "semicolon", None)
        if isinstance(semicolon, cst.Semicolon):
            return at.end(semicolon)
        suite = last
        if isinstance(suite, cst.BaseCompoundStatement):
            suite = _last_suite(suite)
    return at.end(suite)


def _last_suite(node: cst.BaseCompoundStatement) -> cst.BaseSuite:
    """The suite a compound statement ends with."""
    if isinstance(node, cst.Match):
        return node.cases[-1].body
    if isinstance(node, cst.Try | cst.TryStar):
        if node.finalbody is not None:
            return node.finalbody.body
        if node.orelse is not None:
            return node.orelse.body
        return node.handlers[-1].body
    while isinstance(node, cst.If) and isinstance(node.orelse, cst.If):
        node = node.orelse
    orelse = getattr(node, "orelse", None)
    return orelse.body if isinstance(orelse, cst.Else) else node.body


@lowers_statement(cst.Expr)
def _expression_statement(at: Lowering, node: cst.Expr) -> ast.stmt:
    return ast.Expr(value=at.expression(node.value), **at.place(node))


@lowers_statement(cst.Pass)
def _pass(at: Lowering, node: cst.Pass) -> ast.stmt:
    return ast.Pass(**at.place(node))


@lowers_statement(cst.Break)
def _break(at: Lowering, node: cst.Break) -> ast.stmt:
    return ast.Break(**at.place(node))


@lowers_statement(cst.Continue)
def _continue(at: Lowering, node: cst.Continue) -> ast.stmt:
    return ast.Continue(**at.place(node))


@lowers_statement(cst.Return)
def _return(at: Lowering, node: cst.Return) -> ast.stmt:
    return ast.Return(value=at.optional(node.value), **at.place(node))


@lowers_statement(cst.Raise)
def _raise(at: Lowering, node: cst.Raise) -> ast.stmt:
    cause = None if node.cause is None else node.cause.item
    return ast.Raise(exc=at.optional(node.exc), cause=at.optional(cause), **at.place(node))


@lowers_statement(cst.Assert)
def _assert(at: Lowering, node: cst.Assert) -> ast.stmt:
    return ast.Assert(test=at.expression(node.test), msg=at.optional(node.msg), **at.place(node))


@lowers_statement(cst.Del)
def _delete(at: Lowering, node: cst.Del) -> ast.stmt:
    target = at.expression(node.target)
    listed = isinstance(node.target, cst.Tuple) and not node.target.lpar
    targets = target.elts if listed and isinstance(target, ast.Tuple) else [target]
    return ast.Delete(targets=[as_target(each, ast.Del) for each in targets], **at.place(node))


@lowers_statement(cst.Assign)
def _assign(at: Lowering, node: cst.Assign) -> ast.stmt:
    targets = [as_target(at.expression(target.target)) for target in node.targets]
    return ast.Assign(targets=targets, value=at.expression(node.value), **at.place(node))


@lowers_statement(cst.AnnAssign)
def _annotated_assign(at: Lowering, node: cst.AnnAssign) -> ast.stmt:
    target = as_target(at.expression(node.target))
    assert isinstance(target, ast.Name | ast.Attribute | ast.Subscript), "the grammar lets nothing else be annotated"
    return ast.AnnAssign(
        target=target,
        annotation=at.expression(node.annotation.annotation),
        value=at.optional(node.value),
        simple=int(isinstance(node.target, cst.Name) and not node.target.lpar),
        **at.place(node),
    )


_AUGMENTED: dict[type[cst.BaseAugOp], type[cst.BaseBinaryOp]] = {
    cst.AddAssign: cst.Add,
    cst.BitAndAssign: cst.BitAnd,
    cst.BitOrAssign: cst.BitOr,
    cst.BitXorAssign: cst.BitXor,
    cst.DivideAssign: cst.Divide,
    cst.FloorDivideAssign: cst.FloorDivide,
    cst.LeftShiftAssign: cst.LeftShift,
    cst.MatrixMultiplyAssign: cst.MatrixMultiply,
    cst.ModuloAssign: cst.Modulo,
    cst.MultiplyAssign: cst.Multiply,
    cst.PowerAssign: cst.Power,
    cst.RightShiftAssign: cst.RightShift,
    cst.SubtractAssign: cst.Subtract,
}


@lowers_statement(cst.AugAssign)
def _augmented_assign(at: Lowering, node: cst.AugAssign) -> ast.stmt:
    target = as_target(at.expression(node.target))
    assert isinstance(target, ast.Name | ast.Attribute | ast.Subscript), "the grammar lets nothing else be augmented"
    operator = binary_operator(_AUGMENTED[type(node.operator)]())
    return ast.AugAssign(target=target, op=operator, value=at.expression(node.value), **at.place(node))


@lowers_statement(cst.Global)
def _global(at: Lowering, node: cst.Global) -> ast.stmt:
    return ast.Global(names=[identifier(item.name.value) for item in node.names], **at.place(node))


@lowers_statement(cst.Nonlocal)
def _nonlocal(at: Lowering, node: cst.Nonlocal) -> ast.stmt:
    return ast.Nonlocal(names=[identifier(item.name.value) for item in node.names], **at.place(node))


class _ImportFields(Protocol):
    """What ``import`` and ``lazy import`` share."""

    @property
    def names(self) -> Sequence[cst.ImportAlias]: ...


class _ImportFromFields(Protocol):
    """What ``from ... import`` and ``lazy from ... import`` share."""

    @property
    def names(self) -> Sequence[cst.ImportAlias] | cst.ImportStar: ...
    @property
    def module(self) -> cst.Attribute | cst.Name | None: ...
    @property
    def relative(self) -> Sequence[cst.Dot]: ...


def _import(at: Lowering, node: cst.CSTNode, fields: _ImportFields) -> ast.stmt:
    return ast.Import(names=[_alias(at, alias) for alias in fields.names], **at.place(node))


def _import_from(at: Lowering, node: cst.CSTNode, fields: _ImportFromFields) -> ast.stmt:
    if isinstance(fields.names, cst.ImportStar):
        names = [ast.alias(name="*", asname=None, **at.place(fields.names))]
    else:
        names = [_alias(at, alias) for alias in fields.names]
    module = None if fields.module is None else _dotted(fields.module)
    return ast.ImportFrom(module=module, names=names, level=len(fields.relative), **at.place(node))


# Lazy imports (PEP 810, libcst 1.9) import the same names; only the moment differs.
lowers_statement(cst.Import, getattr(cst, "LazyImport", None))(lambda at, node: _import(at, node, node))
lowers_statement(cst.ImportFrom, getattr(cst, "LazyImportFrom", None))(lambda at, node: _import_from(at, node, node))


def _alias(at: Lowering, node: cst.ImportAlias) -> ast.alias:
    end = at.end(node.name)
    asname: str | None = None
    if node.asname is not None and isinstance(node.asname.name, cst.Name):
        asname = identifier(node.asname.name.value)
        end = at.end(node.asname.name)
    return ast.alias(name=_dotted(node.name), asname=asname, **at.between(at.start(node.name), end))


def _dotted(node: cst.BaseExpression) -> str:
    names: list[str] = []
    while isinstance(node, cst.Attribute):
        names.append(identifier(node.attr.value))
        node = node.value
    assert isinstance(node, cst.Name), "a module's name is made of names"
    return ".".join([identifier(node.value), *reversed(names)])


@lowers_statement(cst.If)
def _if(at: Lowering, node: cst.If) -> ast.stmt:
    """An ``if`` with all its ``elif``: nested in ``ast``, but lowered here without recursion."""
    chain = [node]
    while isinstance(chain[-1].orelse, cst.If):
        chain.append(chain[-1].orelse)
    last = chain[-1].orelse
    orelse = _body(at, last.body) if isinstance(last, cst.Else) else []
    end = _suite_end(at, _last_suite(node))
    for clause in reversed(chain):
        test, body = at.expression(clause.test), _body(at, clause.body)
        orelse = [ast.If(test=test, body=body, orelse=orelse, **at.between(at.start(clause), end))]
    return orelse[0]


@lowers_statement(cst.While)
def _while(at: Lowering, node: cst.While) -> ast.stmt:
    test, body, orelse = at.expression(node.test), _body(at, node.body), _orelse(at, node.orelse)
    return ast.While(test=test, body=body, orelse=orelse, **_until(at, node, _last_suite(node)))


@lowers_statement(cst.For)
def _for(at: Lowering, node: cst.For) -> ast.stmt:
    kind: type[ast.For] | type[ast.AsyncFor] = ast.For if node.asynchronous is None else ast.AsyncFor
    return kind(
        target=as_target(at.expression(node.target)),
        iter=at.expression(node.iter),
        body=_body(at, node.body),
        orelse=_orelse(at, node.orelse),
        **_until(at, node, _last_suite(node)),
    )


@lowers_statement(cst.With)
def _with(at: Lowering, node: cst.With) -> ast.stmt:
    kind: type[ast.With] | type[ast.AsyncWith] = ast.With if node.asynchronous is None else ast.AsyncWith
    items = [_with_item(at, item) for item in node.items]
    return kind(items=items, body=_body(at, node.body), **_until(at, node, node.body))


def _with_item(at: Lowering, node: cst.WithItem) -> ast.withitem:
    target = None if node.asname is None else as_target(at.expression(node.asname.name))
    return ast.withitem(context_expr=at.expression(node.item), optional_vars=target)


@lowers_statement(cst.Try, cst.TryStar)
def _try(at: Lowering, node: cst.Try | cst.TryStar) -> ast.stmt:
    kind = ast.Try if isinstance(node, cst.Try) else _TRY_STAR
    return kind(
        body=_body(at, node.body),
        handlers=[_handler(at, handler) for handler in node.handlers],
        orelse=_orelse(at, node.orelse),
        finalbody=[] if node.finalbody is None else _body(at, node.finalbody.body),
        **_until(at, node, _last_suite(node)),
    )


def _handler(at: Lowering, node: cst.ExceptHandler | cst.ExceptStarHandler) -> ast.ExceptHandler:
    name: str | None = None
    if node.name is not None and isinstance(node.name.name, cst.Name):
        name = identifier(node.name.name.value)
    place = _until(at, node, node.body)
    return ast.ExceptHandler(type=at.optional(node.type), name=name, body=_body(at, node.body), **place)


@lowers_statement(cst.Match)
def _match(at: Lowering, node: cst.Match) -> ast.stmt:
    cases = [
        ast.match_case(pattern=at.pattern(case.pattern), guard=at.optional(case.guard), body=_body(at, case.body))
        for case in node.cases
    ]
    return ast.Match(subject=at.expression(node.subject), cases=cases, **_until(at, node, _last_suite(node)))


@lowers_statement(cst.FunctionDef)
def _function(at: Lowering, node: cst.FunctionDef) -> ast.stmt:
    kind: type[ast.FunctionDef] | type[ast.AsyncFunctionDef]
    kind = ast.FunctionDef if node.asynchronous is None else ast.AsyncFunctionDef
    return kind(
        name=identifier(node.name.value),
        args=parameters(at, node.params),
        body=_body(at, node.body),
        decorator_list=[at.expression(decorator.decorator) for decorator in node.decorators],
        returns=None if node.returns is None else at.expression(node.returns.annotation),
        **_type_parameters(at, node.type_parameters),
        **_until(at, node, node.body),
    )


@lowers_statement(cst.ClassDef)
def _class(at: Lowering, node: cst.ClassDef) -> ast.stmt:
    bases, keywords = call_arguments(at, [*node.bases, *node.keywords])
    return ast.ClassDef(
        name=identifier(node.name.value),
        bases=bases,
        keywords=keywords,
        body=_body(at, node.body),
        decorator_list=[at.expression(decorator.decorator) for decorator in node.decorators],
        **_type_parameters(at, node.type_parameters),
        **_until(at, node, node.body),
    )


@lowers_statement(cst.TypeAlias)
def _type_alias(at: Lowering, node: cst.TypeAlias) -> ast.stmt:
    """``type X = Y`` (PEP 695); without ``ast.TypeAlias`` the assignment ``X = Y``, type parameters dropped."""
    target = as_target(at.expression(node.name))
    value = at.expression(node.value)
    place = at.between(at.start(node), at.outer_end(node.value))  # libcst counts a semicolon to this statement alone
    if _TYPE_ALIAS is None:
        return ast.Assign(targets=[target], value=value, **place)
    return _TYPE_ALIAS(name=target, value=value, **_type_parameters(at, node.type_parameters), **place)


def _type_parameters(at: Lowering, node: cst.TypeParameters | None) -> dict[str, Any]:
    """The ``type_params`` argument of a definition; before Python 3.12 an attribute that ``ast`` does not know."""
    each = () if node is None else node.params
    if not _HAS_TYPE_PARAMETERS:
        return {"type_params": [_Bounded(at, e.param) for e in each if isinstance(e.param, cst.TypeVar)]}
    return {"type_params": [_type_parameter(at, e) for e in each]}


class _Bounded:
    """What is asked of a type variable, where ``ast`` has no node for it."""

    def __init__(self, at: Lowering, parameter: cst.TypeVar) -> None:
        self.name = identifier(parameter.name.value)
        self.bound = at.optional(parameter.bound)


def _type_parameter(at: Lowering, node: cst.TypeParam) -> ast.AST:
    parameter = node.param
    end = at.end(parameter)
    fields: dict[str, object] = {"name": identifier(parameter.name.value)}
    if isinstance(parameter, cst.TypeVar):
        fields["bound"] = at.optional(parameter.bound)
        end = at.end(parameter.name) if parameter.bound is None else at.outer_end(parameter.bound)
    kind: type[ast.AST] = getattr(ast, type(parameter).__name__)
    if node.default is not None:
        end = at.outer_end(node.default)
    if "default_value" in kind._fields:  # Python 3.13, PEP 696
        default = at.optional(node.default)
        if default is not None and node.star == "*" and isinstance(node.equal, cst.AssignEqual):
            place = at.between(at.end(node.equal.whitespace_after), end)
            default = ast.Starred(value=default, ctx=ast.Load(), **place)
        fields["default_value"] = default
    return kind(**{**fields, **at.between(at.start(parameter), end)})
