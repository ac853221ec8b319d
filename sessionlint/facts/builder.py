"""Builds :class:`FileFacts` from a syntax tree: the one place that owns the form of the facts.

Both front ends hand over stdlib ``ast`` nodes, so their facts are equal by construction where their trees are. Pure:
the same path and bytes give the same facts. Knows no SQLAlchemy and no other file.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable
from typing import Any

from sessionlint.facts import shape as s

_LINE_END = re.compile(rb"\r\n|\r|\n")
_MARK = re.compile(rb"#\s*sessionlint:\s*((?:owns|independent)-transaction)\b")
_TEXT_LIMIT = 400  # characters of a literal worth keeping: enough to tell the verb of an SQL statement

_COMPARISONS = {
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}


def build(path: str, tree: ast.Module, source: bytes) -> s.FileFacts:
    """Facts of one file.

    ``source`` is the UTF-8 text the tree's byte columns refer to; ``path`` is relative to the project root.
    """
    return _Builder(source).file(path, tree)


class _Scope:
    """What is being collected for one function, class or module while its body is translated."""

    __slots__ = ("globals", "is_generator", "kind", "nonlocals", "prefix", "qualname")

    def __init__(self, kind: str, qualname: str) -> None:
        self.kind = kind
        self.qualname = qualname
        self.prefix = f"{qualname}." if qualname else ""
        self.globals: set[str] = set()
        self.nonlocals: set[str] = set()
        self.is_generator = False


class _Builder:
    def __init__(self, source: bytes) -> None:
        self._ascii = source.isascii()
        self._lines: list[bytes] = [] if self._ascii else _LINE_END.split(source)
        self._line_count = len(_LINE_END.findall(source)) + 1
        self._marks: dict[int, frozenset[str]] = _marks(source)
        self._scopes: list[_Scope] = [_Scope("module", "")]
        self._functions: list[s.FunctionFacts] = []
        self._classes: list[s.ClassFacts] = []
        self._imports: list[s.Binding] = []
        self._names: set[str] = set()
        self._seen: dict[str, int] = {}

    def file(self, path: str, tree: ast.Module) -> s.FileFacts:
        body = self._block(tree.body)
        return s.FileFacts(
            path,
            tuple(self._imports),
            body,
            tuple(self._classes),
            tuple(self._functions),
            _exports(tree),
            frozenset(self._names),
            self._line_count,
        )

    # ---- positions -------------------------------------------------------------------------------------------------

    def _column(self, line: int, offset: int) -> int:
        """1-based character column of a UTF-8 byte offset."""
        if self._ascii or line > len(self._lines):
            return offset + 1
        text = self._lines[line - 1]
        if text.isascii():
            return offset + 1
        return len(text[:offset].decode("utf-8", "replace")) + 1

    def _loc(self, node: Any) -> s.Loc:
        line, end_line = node.lineno, node.end_lineno or node.lineno
        if self._ascii:
            return s.Loc(line, node.col_offset + 1, end_line, node.end_col_offset + 1)
        return s.Loc(line, self._column(line, node.col_offset), end_line, self._column(end_line, node.end_col_offset))

    def _name_loc(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> s.Loc:
        """The span of ``def name``: where a reader looks when a whole function is meant."""
        start = self._column(node.lineno, node.col_offset)
        lead = {ast.FunctionDef: 4, ast.AsyncFunctionDef: 10, ast.ClassDef: 6}[type(node)]
        return s.Loc(node.lineno, start, node.lineno, start + lead + len(node.name))

    # ---- statements ------------------------------------------------------------------------------------------------

    def _block(self, nodes: Iterable[ast.stmt]) -> tuple[s.Stmt, ...]:
        out: list[s.Stmt] = []
        for node in nodes:
            handler = _STATEMENTS.get(type(node))
            if handler is not None:
                made = handler(self, node)
                if made is not None:
                    out.append(made)
        return tuple(out)

    def _assign(self, node: ast.Assign) -> s.Stmt:
        return s.Assign(tuple(self.expr(t) for t in node.targets), self.expr(node.value), self._loc(node))

    def _annotated(self, node: ast.AnnAssign) -> s.Stmt:
        value = self.expr(node.value) if node.value else None
        return s.AnnotatedAssign(self.expr(node.target), self._annotation(node.annotation), value, self._loc(node))

    def _augmented(self, node: ast.AugAssign) -> s.Stmt:
        return s.AugmentedAssign(self.expr(node.target), self.expr(node.value), self._loc(node))

    def _expression(self, node: ast.Expr) -> s.Stmt | None:
        if isinstance(node.value, ast.Constant):
            return None  # docstrings and bare literals do nothing
        return s.Expression(self.expr(node.value), self._loc(node))

    def _return(self, node: ast.Return) -> s.Stmt:
        return s.Return(self.expr(node.value) if node.value else None, self._loc(node))

    def _raise(self, node: ast.Raise) -> s.Stmt:
        return s.Raise(self.expr(node.exc) if node.exc else None, self._loc(node))

    def _if(self, node: ast.If) -> s.Stmt:
        return s.If(self.expr(node.test), self._block(node.body), self._block(node.orelse), self._loc(node.test))

    def _while(self, node: ast.While) -> s.Stmt:
        return s.While(self.expr(node.test), self._block(node.body), self._block(node.orelse), self._loc(node.test))

    def _for(self, node: ast.For | ast.AsyncFor) -> s.Stmt:
        return s.For(
            self.expr(node.target),
            self.expr(node.iter),
            self._block(node.body),
            self._block(node.orelse),
            isinstance(node, ast.AsyncFor),
            self._head(node, node.iter),
        )

    def _head(self, node: ast.stmt, last: ast.expr) -> s.Loc:
        """From the statement's first token to the end of ``last``: the header without its block."""
        end_line, end = last.end_lineno or last.lineno, last.end_col_offset or last.col_offset
        return s.Loc(node.lineno, self._column(node.lineno, node.col_offset), end_line, self._column(end_line, end))

    def _try(self, node: Any) -> s.Stmt:
        return s.Try(
            self._block(node.body),
            tuple(self._handler(h) for h in node.handlers),
            self._block(node.orelse),
            self._block(node.finalbody),
            self._keyword_loc(node, 3),
        )

    def _keyword_loc(self, node: Any, length: int) -> s.Loc:
        start = self._column(node.lineno, node.col_offset)
        return s.Loc(node.lineno, start, node.lineno, start + length)

    def _handler(self, node: ast.ExceptHandler) -> s.Handler:
        types = self.expr(node.type) if node.type else None
        if node.type is not None:
            end_line = node.type.end_lineno or node.lineno
            loc = s.Loc(
                node.lineno,
                self._column(node.lineno, node.col_offset),
                end_line,
                self._column(end_line, node.type.end_col_offset or 0),
            )
        else:
            loc = self._keyword_loc(node, 6)
        if node.name:
            self._names.add(node.name)
        return s.Handler(types, node.name, self._block(node.body), loc)

    def _with(self, node: ast.With | ast.AsyncWith) -> s.Stmt:
        items = tuple(
            s.WithItem(self.expr(i.context_expr), self.expr(i.optional_vars) if i.optional_vars else None)
            for i in node.items
        )
        last = node.items[-1].optional_vars or node.items[-1].context_expr
        return s.With(items, self._block(node.body), isinstance(node, ast.AsyncWith), self._head(node, last))

    def _match(self, node: ast.Match) -> s.Stmt:
        cases = []
        for case in node.cases:
            captures: list[str] = []
            for part in ast.walk(case.pattern):
                name = getattr(part, "name", None) or getattr(part, "rest", None)
                if isinstance(part, (ast.MatchAs, ast.MatchStar, ast.MatchMapping)) and name:
                    captures.append(name)
            always = isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None and case.guard is None
            guard = self.expr(case.guard) if case.guard else None
            cases.append(s.Case(tuple(captures), always, guard, self._block(case.body)))
        return s.Match(self.expr(node.subject), tuple(cases), self._loc(node.subject))

    def _leave(self, node: ast.Break | ast.Continue) -> s.Stmt:
        return s.Leave("break" if isinstance(node, ast.Break) else "continue", self._loc(node))

    def _delete(self, node: ast.Delete) -> s.Stmt:
        return s.Delete(tuple(self.expr(t) for t in node.targets), self._loc(node))

    def _assert(self, node: ast.Assert) -> s.Stmt:
        return s.Assert(self.expr(node.test), self._loc(node))

    def _global(self, node: ast.Global) -> None:
        self._scopes[-1].globals.update(node.names)

    def _nonlocal(self, node: ast.Nonlocal) -> None:
        self._scopes[-1].nonlocals.update(node.names)

    def _import(self, node: ast.Import) -> s.Stmt:
        bindings = []
        for alias in node.names:
            if alias.asname:
                bindings.append(s.Binding(alias.asname, alias.name, None, 0))
            else:
                bindings.append(s.Binding(alias.name.partition(".")[0], alias.name, None, 0))
        return self._bind(tuple(bindings), node)

    def _import_from(self, node: ast.ImportFrom) -> s.Stmt:
        made = tuple(
            s.Binding(alias.asname or alias.name, node.module or "", alias.name, node.level) for alias in node.names
        )
        return self._bind(made, node)

    def _bind(self, bindings: tuple[s.Binding, ...], node: ast.stmt) -> s.Stmt:
        if not any(scope.kind == "function" for scope in self._scopes):
            self._imports.extend(bindings)
        for binding in bindings:
            self._names.update(binding.module.split("."))
            self._names.add(binding.local)
            if binding.name:
                self._names.add(binding.name)
        return s.Import(bindings, self._loc(node))

    def _type_alias(self, node: Any) -> s.Stmt:
        """``type Db = Annotated[...]`` is read as the assignment it replaces."""
        return s.Assign((self.expr(node.name),), self._annotation(node.value), self._loc(node))

    # ---- definitions -----------------------------------------------------------------------------------------------

    def _unique(self, qualname: str) -> str:
        """Qualnames name one definition each: a redefinition (overload, if/else) gets a suffix."""
        count = self._seen.get(qualname, 0)
        self._seen[qualname] = count + 1
        return qualname if count == 0 else f"{qualname}#{count + 1}"

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> s.Stmt:
        outer = self._scopes[-1]
        qualname = self._unique(outer.prefix + node.name)
        decorators = tuple(self.expr(d) for d in node.decorator_list)
        parameters = self._parameters(node.args)
        returns = self._annotation(node.returns) if node.returns else None
        scope = _Scope("function", qualname)
        self._scopes.append(scope)
        index = len(self._functions)
        self._functions.append(_PLACEHOLDER)
        body = self._block(node.body)
        self._scopes.pop()
        self._names.add(node.name)
        parent = next((x.qualname for x in reversed(self._scopes) if x.kind == "function"), None)
        loc = self._name_loc(node)
        self._functions[index] = s.FunctionFacts(
            node.name,
            qualname,
            outer.qualname if outer.kind == "class" else None,
            parent,
            parameters,
            decorators,
            returns,
            isinstance(node, ast.AsyncFunctionDef),
            scope.is_generator,
            frozenset(scope.globals),
            frozenset(scope.nonlocals),
            body,
            loc,
            node.end_lineno or node.lineno,
            self._marks.get(node.body[0].lineno - 1, self._marks.get(node.lineno, frozenset())),
            self._bounds(node),
        )
        return s.Define("function", node.name, qualname, loc)

    def _class(self, node: ast.ClassDef) -> s.Stmt:
        outer = self._scopes[-1]
        qualname = self._unique(outer.prefix + node.name)
        bases = tuple(self._annotation(b) for b in node.bases)
        keywords = tuple(self._keyword(k) for k in node.keywords)
        decorators = tuple(self.expr(d) for d in node.decorator_list)
        index = len(self._classes)
        loc = self._name_loc(node)
        parent = next((x.qualname for x in reversed(self._scopes) if x.kind == "function"), None)
        owner = outer.qualname if outer.kind == "class" else None
        self._classes.append(s.ClassFacts(node.name, qualname, owner, parent, (), (), (), (), (), loc))
        self._scopes.append(_Scope("class", qualname))
        body = self._block(node.body)
        self._scopes.pop()
        self._names.add(node.name)
        self._classes[index] = s.ClassFacts(
            node.name,
            qualname,
            owner,
            parent,
            bases,
            keywords,
            decorators,
            tuple(_class_attributes(body)),
            tuple(x.qualname for x in _defined(body) if x.kind == "function"),
            loc,
            self._bounds(node),
        )
        return s.Define("class", node.name, qualname, loc)

    def _bounds(self, node: ast.AST) -> tuple[tuple[str, s.Expr], ...]:
        """What the type parameters of a definition are at least; a tuple of choices is no bound."""
        declared = [(p.name, getattr(p, "bound", None)) for p in getattr(node, "type_params", ())]
        return tuple((name, self._annotation(at)) for name, at in declared if at and not isinstance(at, ast.Tuple))

    def _parameters(self, args: ast.arguments) -> tuple[s.Parameter, ...]:
        out: list[s.Parameter] = []
        positional = [*args.posonlyargs, *args.args]
        missing = len(positional) - len(args.defaults)
        for index, arg in enumerate(positional):
            default = args.defaults[index - missing] if index >= missing else None
            kind = "positional" if index < len(args.posonlyargs) else "either"
            out.append(self._parameter(arg, kind, default))
        if args.vararg:
            out.append(self._parameter(args.vararg, "args", None))
        for arg, keyword_default in zip(args.kwonlyargs, args.kw_defaults, strict=False):
            out.append(self._parameter(arg, "keyword", keyword_default))
        if args.kwarg:
            out.append(self._parameter(args.kwarg, "kwargs", None))
        return tuple(out)

    def _parameter(self, arg: ast.arg, kind: str, default: ast.expr | None) -> s.Parameter:
        self._names.add(arg.arg)
        annotation = self._annotation(arg.annotation) if arg.annotation else None
        return s.Parameter(arg.arg, kind, annotation, self.expr(default) if default else None, self._loc(arg))

    # ---- expressions -----------------------------------------------------------------------------------------------

    def expr(self, node: ast.expr) -> s.Expr:
        """Translate one expression."""
        handler = _EXPRESSIONS.get(type(node))
        if handler is not None:
            return handler(self, node)
        parts = []
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                made = self.expr(child)
                if type(made) is not s.Constant and not (type(made) is s.Other and not made.parts):
                    parts.append(made)
        return s.Other(tuple(parts), self._loc(node))

    def _annotation(self, node: ast.expr) -> s.Expr:
        """An annotation; forward references in strings are read as the expressions they hold."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                inner = ast.parse(node.value.strip(), mode="eval").body
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                return self.expr(node)
            for part in ast.walk(inner):
                if hasattr(part, "lineno"):
                    ast.copy_location(part, node)
            return self._annotation(inner)
        if isinstance(node, ast.Subscript):
            index = node.slice
            if isinstance(index, ast.Tuple):
                items = tuple(self._annotation(x) for x in index.elts)
                inner_made: s.Expr = s.Collection("tuple", items, (), self._loc(index))
            else:
                inner_made = self._annotation(index)
            return s.Subscript(self.expr(node.value), inner_made, self._loc(node))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            options = (self._annotation(node.left), self._annotation(node.right))
            return s.Choice("or", None, options, self._loc(node))
        return self.expr(node)

    def _name(self, node: ast.Name) -> s.Expr:
        self._names.add(node.id)
        return s.Name(node.id, self._loc(node))

    def _attribute(self, node: ast.Attribute) -> s.Expr:
        self._names.add(node.attr)
        return s.Attribute(self.expr(node.value), node.attr, self._loc(node))

    def _call(self, node: ast.Call) -> s.Expr:
        return s.Call(
            self.expr(node.func),
            tuple(self.expr(a) for a in node.args),
            tuple(self._keyword(k) for k in node.keywords),
            self._loc(node),
        )

    def _keyword(self, node: ast.keyword) -> s.Keyword:
        return s.Keyword(node.arg, self.expr(node.value))

    def _await(self, node: ast.Await) -> s.Expr:
        return s.Await(self.expr(node.value), self._loc(node))

    def _constant(self, node: ast.Constant) -> s.Expr:
        value = node.value
        kept: str | int | bool | bytes | None
        if isinstance(value, str):
            kept = value[:_TEXT_LIMIT]
        elif value is None or isinstance(value, (bool, int)):
            kept = value
        else:
            kept = b""  # floats, bytes, ellipsis: no rule asks for their value
        return s.Constant(kept, self._loc(node))

    def _subscript(self, node: ast.Subscript) -> s.Expr:
        return s.Subscript(self.expr(node.value), self.expr(node.slice), self._loc(node))

    def _bool_op(self, node: ast.BoolOp) -> s.Expr:
        kind = "or" if isinstance(node.op, ast.Or) else "and"
        return s.Choice(kind, None, tuple(self.expr(v) for v in node.values), self._loc(node))

    def _if_expression(self, node: ast.IfExp) -> s.Expr:
        return s.Choice("if", self.expr(node.test), (self.expr(node.body), self.expr(node.orelse)), self._loc(node))

    def _compare(self, node: ast.Compare) -> s.Expr:
        ops = tuple(_COMPARISONS[type(op)] for op in node.ops)
        return s.Compare(self.expr(node.left), ops, tuple(self.expr(c) for c in node.comparators), self._loc(node))

    def _unary(self, node: ast.UnaryOp) -> s.Expr:
        if isinstance(node.op, ast.Not):
            return s.Not(self.expr(node.operand), self._loc(node))
        return s.Other((self.expr(node.operand),), self._loc(node))

    def _sequence(self, node: ast.Tuple | ast.List | ast.Set) -> s.Expr:
        return s.Collection(type(node).__name__.lower(), tuple(self.expr(e) for e in node.elts), (), self._loc(node))

    def _dict(self, node: ast.Dict) -> s.Expr:
        keys = tuple(self.expr(k) if k is not None else None for k in node.keys)
        return s.Collection("dict", tuple(self.expr(v) for v in node.values), keys, self._loc(node))

    def _comprehension(self, node: Any) -> s.Expr:
        kinds = {ast.ListComp: "list", ast.SetComp: "set", ast.DictComp: "dict", ast.GeneratorExp: "generator"}
        elements = (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,)
        clauses = tuple(
            s.Clause(self.expr(g.target), self.expr(g.iter), tuple(self.expr(c) for c in g.ifs), bool(g.is_async))
            for g in node.generators
        )
        return s.Comprehension(kinds[type(node)], tuple(self.expr(e) for e in elements), clauses, self._loc(node))

    def _lambda(self, node: ast.Lambda) -> s.Expr:
        args = node.args
        names = [a.arg for a in (*args.posonlyargs, *args.args, *args.kwonlyargs)]
        return s.Lambda(tuple(names), self.expr(node.body), self._loc(node))

    def _yield(self, node: ast.Yield) -> s.Expr:
        self._scopes[-1].is_generator = True
        return s.Yield(self.expr(node.value) if node.value else None, self._loc(node))

    def _yield_from(self, node: ast.YieldFrom) -> s.Expr:
        self._scopes[-1].is_generator = True
        return s.YieldFrom(self.expr(node.value), self._loc(node))

    def _starred(self, node: ast.Starred) -> s.Expr:
        return s.Starred(self.expr(node.value), self._loc(node))

    def _assigned(self, node: ast.NamedExpr) -> s.Expr:
        self._names.add(node.target.id)
        return s.Assigned(s.Name(node.target.id, self._loc(node.target)), self.expr(node.value), self._loc(node))


_PLACEHOLDER = s.FunctionFacts(
    "", "", None, None, (), (), None, False, False, frozenset(), frozenset(), (), s.Loc(0, 0, 0, 0), 0
)

_STATEMENTS: dict[type, Callable[[Any, Any], s.Stmt | None]] = {
    ast.Assign: _Builder._assign,
    ast.AnnAssign: _Builder._annotated,
    ast.AugAssign: _Builder._augmented,
    ast.Expr: _Builder._expression,
    ast.Return: _Builder._return,
    ast.Raise: _Builder._raise,
    ast.If: _Builder._if,
    ast.While: _Builder._while,
    ast.For: _Builder._for,
    ast.AsyncFor: _Builder._for,
    ast.Try: _Builder._try,
    ast.With: _Builder._with,
    ast.AsyncWith: _Builder._with,
    ast.Match: _Builder._match,
    ast.Break: _Builder._leave,
    ast.Continue: _Builder._leave,
    ast.Delete: _Builder._delete,
    ast.Assert: _Builder._assert,
    ast.Global: _Builder._global,
    ast.Nonlocal: _Builder._nonlocal,
    ast.Import: _Builder._import,
    ast.ImportFrom: _Builder._import_from,
    ast.FunctionDef: _Builder._function,
    ast.AsyncFunctionDef: _Builder._function,
    ast.ClassDef: _Builder._class,
}
if hasattr(ast, "TryStar"):
    _STATEMENTS[ast.TryStar] = _Builder._try
if hasattr(ast, "TypeAlias"):
    _STATEMENTS[ast.TypeAlias] = _Builder._type_alias

_EXPRESSIONS: dict[type, Callable[[Any, Any], s.Expr]] = {
    ast.Name: _Builder._name,
    ast.Attribute: _Builder._attribute,
    ast.Call: _Builder._call,
    ast.Await: _Builder._await,
    ast.Constant: _Builder._constant,
    ast.Subscript: _Builder._subscript,
    ast.BoolOp: _Builder._bool_op,
    ast.IfExp: _Builder._if_expression,
    ast.Compare: _Builder._compare,
    ast.UnaryOp: _Builder._unary,
    ast.Tuple: _Builder._sequence,
    ast.List: _Builder._sequence,
    ast.Set: _Builder._sequence,
    ast.Dict: _Builder._dict,
    ast.ListComp: _Builder._comprehension,
    ast.SetComp: _Builder._comprehension,
    ast.DictComp: _Builder._comprehension,
    ast.GeneratorExp: _Builder._comprehension,
    ast.Lambda: _Builder._lambda,
    ast.Yield: _Builder._yield,
    ast.YieldFrom: _Builder._yield_from,
    ast.Starred: _Builder._starred,
    ast.NamedExpr: _Builder._assigned,
}


def _marks(source: bytes) -> dict[int, frozenset[str]]:
    """Lines that carry a mark for the function whose header ends there."""
    if b"sessionlint:" not in source:
        return {}
    found = {}
    for number, line in enumerate(_LINE_END.split(source), 1):
        match = _MARK.search(line)
        if match:
            found[number] = frozenset({match[1].decode()})
    return found


def _class_attributes(body: Iterable[s.Stmt]) -> Iterable[s.ClassAttribute]:
    """Names bound in a class body, conditional ones too."""
    for stmt in body:
        if isinstance(stmt, s.AnnotatedAssign) and isinstance(stmt.target, s.Name):
            yield s.ClassAttribute(stmt.target.id, stmt.annotation, stmt.value, stmt.loc)
        elif isinstance(stmt, s.Assign):
            for target in stmt.targets:
                if isinstance(target, s.Name):
                    yield s.ClassAttribute(target.id, None, stmt.value, stmt.loc)
        elif isinstance(stmt, s.If):
            yield from _class_attributes((*stmt.body, *stmt.orelse))


def _defined(body: Iterable[s.Stmt]) -> Iterable[s.Define]:
    for stmt in body:
        if isinstance(stmt, s.Define):
            yield stmt
        elif isinstance(stmt, s.If):
            yield from _defined((*stmt.body, *stmt.orelse))


def _exports(tree: ast.Module) -> tuple[str, ...] | None:
    """``__all__`` where it is a literal list or tuple of strings."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            if isinstance(node.value, (ast.List, ast.Tuple)):
                values = [e.value for e in node.value.elts if isinstance(e, ast.Constant)]
                return tuple(v for v in values if isinstance(v, str))
    return None
