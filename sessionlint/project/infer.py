"""What an expression is, without regard to the order of statements: types, objects and the origin of sessions.

One evaluator serves two callers. On its own it answers for whole functions (every binding of a name counts), which
gives types of attributes, parameters and return values across files. Given an environment (``Scope.env``) it answers
for one program point; that is how the interpreter in ``effects`` uses it. Pure: no state of sessions lives here.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Sequence as Seq
from dataclasses import dataclass

from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.annotations import Annotations
from sessionlint.project.arguments import argument_for
from sessionlint.project.classes import Classes, most_concrete
from sessionlint.project.named_dependencies import NamedDependencies
from sessionlint.project.outside import call_method, call_outside, object_attribute
from sessionlint.project.overrides import Overrides
from sessionlint.project.states import States
from sessionlint.project.wiring import Wiring

_MAX_SITES = 8
_MAX_DEPTH = 60


@dataclass(frozen=True, slots=True)
class Scope:
    """Where an expression stands: its module and function, and (for one program point) the values of local names."""

    module: sym.Module
    function: sym.Function | None = None
    env: Mapping[str, v.Value] | None = None


class Inference:
    """Answers for one project; everything is computed on demand and remembered."""

    def __init__(self, table: sym.SymbolTable) -> None:
        self.table = table
        self.classes = Classes(self)
        self.annotations = Annotations(self)
        self.wiring = Wiring(self)
        self.named_dependencies = NamedDependencies(self)
        self.overrides = Overrides(self)
        self.states = States(self)
        self._memo: dict[tuple[int, str], v.Value] = {}
        self._parameters: dict[tuple[str, str], v.Value] = {}
        self._returns: dict[str, v.Value] = {}
        self._yields: dict[str, v.Value] = {}
        self._globals: dict[tuple[str, str], v.Value] = {}
        self._busy: set[object] = set()
        self._free: dict[str, tuple[str, ...]] = {}
        self._sites: dict[str, list[tuple[sym.Module, sym.Function | None, s.Call]]] | None = None
        self._depth = 0

    # ---- names -----------------------------------------------------------------------------------------------------

    def name(self, name: str, scope: Scope) -> v.Value:
        """The value of a bare name at a place."""
        if scope.env is not None and name in scope.env:
            return scope.env[name]
        function = scope.function
        while function is not None:
            if name in function.parameters:
                value = self.parameter(function, name)
                return value if function is scope.function else v.reroot(value, v.Origin("param", name))
            bindings = function.bindings.get(name)
            if bindings:
                value = self._bound(function, name, bindings)
                return value if function is scope.function else v.reroot(value, v.Origin("param", name))
            function = function.parent
        return self.module_name(name, scope.module)

    def module_name(self, name: str, module: sym.Module) -> v.Value:
        symbol = self.table.lookup(module, name)
        if symbol is None:
            return v.External(f"builtins.{name}") if name in _BUILTINS else v.UNKNOWN
        return self.symbol(symbol)

    def symbol(self, symbol: sym.Symbol) -> v.Value:
        """The value a module-level symbol stands for."""
        if isinstance(symbol, sym.Module):
            return v.ModuleRef(symbol)
        if isinstance(symbol, sym.Class):
            return v.ClassRef(symbol)
        if isinstance(symbol, sym.Function):
            return self.function_ref(symbol)
        if isinstance(symbol, sym.External):
            return v.External(symbol.dotted)
        return self.global_value(symbol.module, symbol.name)

    def function_ref(
        self, function: sym.Function, receiver: v.Value | None = None, env: Mapping[str, v.Value] | None = None
    ) -> v.Value:
        """A reference to a function, with what its decorators make of it."""
        wrapper = ""
        if {"asynccontextmanager", "contextmanager"} & function.decorator_names:
            wrapper = "contextmanager"
        cells: tuple[tuple[str, v.Value], ...] = ()
        if function.parent is not None:
            scope = Scope(function.module, function.parent, env)
            cells = tuple((n, self.name(n, scope)) for n in self.free_names(function))
            cells = tuple((n, value) for n, value in cells if not isinstance(value, v.Unknown))
        return v.FunctionRef(function, receiver, cells, wrapper)

    def free_names(self, function: sym.Function) -> tuple[str, ...]:
        """Names a nested function uses and an enclosing function binds."""
        known = self._free.get(function.key)
        if known is not None:
            return known
        self._free[function.key] = ()
        used: set[str] = set()
        for stmt in function.statements:
            for expr in sym.statement_expressions(stmt):
                used.update(e.id for e in sym.walk(expr) if isinstance(e, s.Name))
            if isinstance(stmt, s.Define) and stmt.kind == "function":
                inner = function.module.functions.get(stmt.qualname)
                if inner is not None:
                    used.update(self.free_names(inner))
            elif isinstance(stmt, s.Define):
                used.update(self._class_free_names(function, stmt.qualname))
        free = []
        for name in sorted(used):
            if name in function.parameters or name in function.bindings:
                continue
            outer = function.parent
            while outer is not None:
                if name in outer.parameters or name in outer.bindings:
                    free.append(name)
                    break
                outer = outer.parent
        self._free[function.key] = tuple(free)
        return self._free[function.key]

    def _class_free_names(self, function: sym.Function, qualname: str) -> Iterable[str]:
        cls = function.module.classes.get(qualname)
        for method in cls.methods.values() if cls else ():
            yield from self.free_names(method)

    def global_value(self, module: sym.Module, name: str) -> v.Value:
        """The value of a module-level variable: the union of all that is ever assigned to it."""
        key = (module.path, name)
        if key in self._globals:
            return self._globals[key]
        if key in self._busy:
            return v.UNKNOWN
        self._busy.add(key)
        try:
            found = []
            for expr, function in module.assigned.get(name, ()):
                declared = sym.declared_annotation(expr)
                if declared is not None:
                    found.append(self.annotations.value(declared, module, None))
                else:
                    alias = self.annotations.alias(expr, module)
                    found.append(alias if alias is not None else self.expr(expr, Scope(module, function)))
            kind = "dependency" if any(_is_context_variable(e) for e, _ in module.assigned.get(name, ())) else "global"
            value = v.reroot(v.union(found), v.Origin(kind, f"{module.dotted}:{name}"))
            if isinstance(value, v.Factory) and not value.name:
                value = v.Factory(value.is_async, name, value.autocommit, value.scoped)
        finally:
            self._busy.discard(key)
        self._globals[key] = value
        return value

    def _bound(self, function: sym.Function, name: str, bindings: list[tuple[str, object]]) -> v.Value:
        """The union of all bindings of a local name."""
        key = (function.key, "local", name)
        if key in self._busy:
            return v.UNKNOWN
        memo = (id(bindings), function.key)
        if memo in self._memo:
            return self._memo[memo]
        self._busy.add(key)
        try:
            scope = Scope(function.module, function)
            value = most_concrete(self.classes, v.union(self._binding(kind, what, scope) for kind, what in bindings))
        finally:
            self._busy.discard(key)
        self._memo[memo] = value
        return value

    def _binding(self, kind: str, what: object, scope: Scope) -> v.Value:
        if kind == "value":
            return self.expr(what, scope)  # type: ignore[arg-type]
        if kind == "annotation":
            return self.annotations.value(what, scope.module, scope.function)  # type: ignore[arg-type]
        if kind == "each":
            return self.iterate(self.expr(what, scope))  # type: ignore[arg-type]
        if kind == "enter":
            expr = what
            return self.enter(self.expr(expr, scope), local_origin(expr))  # type: ignore[arg-type]
        if kind == "import":
            symbol = self.table.resolve(scope.module, what)  # type: ignore[arg-type]
            return self.symbol(symbol) if symbol is not None else v.UNKNOWN
        if kind == "define":
            return self.defined(what, scope)  # type: ignore[arg-type]
        if kind == "item":
            assert isinstance(what, tuple)
            return self.item(self._binding(what[0], what[1], scope), what[2])
        return v.UNKNOWN

    def defined(self, stmt: s.Define, scope: Scope) -> v.Value:
        """What a nested ``def`` or ``class`` binds."""
        if stmt.kind == "class":
            cls = scope.module.classes.get(stmt.qualname)
            return v.ClassRef(cls) if cls else v.UNKNOWN
        function = scope.module.functions.get(stmt.qualname)
        return self.function_ref(function, None, scope.env) if function else v.UNKNOWN

    # ---- parameters and results ------------------------------------------------------------------------------------

    def parameter(self, function: sym.Function, name: str) -> v.Value:
        """What a parameter holds, as seen inside the function: rooted at the parameter itself."""
        key = (function.key, name)
        if key in self._parameters:
            return self._parameters[key]
        if ("parameter", *key) in self._busy:
            return v.UNKNOWN
        self._busy.add(("parameter", *key))
        try:
            value = v.reroot(self._parameter(function, function.parameters[name]), v.Origin("param", name))
            if isinstance(value, v.Instance):
                value = self._as_provided(function, name, value)
        finally:
            self._busy.discard(("parameter", *key))
        self._parameters[key] = value
        return value

    def _parameter(self, function: sym.Function, parameter: s.Parameter) -> v.Value:
        if function.receiver == parameter.name and function.owner is not None:
            if "classmethod" in function.decorator_names or function.name in {"__new__", "__init_subclass__"}:
                return v.ClassRef(function.owner)
            return v.Instance(function.owner)
        value: v.Value = v.UNKNOWN
        if parameter.annotation is not None:
            value = self.annotations.value(parameter.annotation, function.module, function)
        if parameter.kind in {"args", "kwargs"}:
            return v.Sequence(value)
        if isinstance(value, v.Unknown) or value == v.NONE:
            dependency = self.dependency(function, parameter)
            if dependency is not None and dependency.target is not None:
                value = self.provided(dependency.target)
            elif parameter.default is not None:
                value = self.expr(parameter.default, Scope(function.module, function.parent))
                if isinstance(value, v.Literal):
                    value = v.UNKNOWN
        if isinstance(value, v.Unknown):
            value = self._from_sites(function, parameter.name)
        return strip(self.wiring.of_parameter(function, parameter, value))

    def _as_provided(self, function: sym.Function, name: str, declared: v.Instance) -> v.Instance:
        """An object that a dependency builds holds what it was built with."""
        dependency = self.dependency(function, function.parameters[name])
        if dependency is None or dependency.target is None:
            return declared
        made = self.provided(dependency.target)
        if isinstance(made, v.Instance) and made.fields and declared.cls in self.classes.mro(made.cls):
            return v.rooted(made, v.Origin("param", name))
        return declared

    def dependency(self, function: sym.Function, parameter: s.Parameter) -> v.Dependency | None:
        """What a framework fills a parameter with: ``Depends(...)`` in its default or annotation, or by its name."""
        declared = self._dependency(function, parameter)
        if declared is None or declared.target is None:
            return declared
        target = self.overrides.instead_of(declared.target, function)
        return declared if target is declared.target else v.Dependency(target, declared.scope, declared.use_cache)

    def _dependency(self, function: sym.Function, parameter: s.Parameter) -> v.Dependency | None:
        if parameter.default is not None and isinstance(parameter.default, s.Call):
            value = self.expr(parameter.default, Scope(function.module, function.parent))
            if isinstance(value, v.Dependency):
                if value.target is None and parameter.annotation is not None:
                    inner = self.annotations.reference(parameter.annotation, function.module, function)
                    return v.Dependency(inner, value.scope, value.use_cache)
                return value
        declared = None
        if parameter.annotation is not None:
            declared = self.annotations.dependency(parameter.annotation, function.module, function)
        return declared or self.named_dependencies.of(function, parameter.name)

    def runs(self, target: v.Value | None) -> sym.Function | None:
        """The project function that a framework runs for a dependency: itself, a constructor, a ``__call__``."""
        if isinstance(target, v.FunctionRef):
            return target.function
        if isinstance(target, v.ClassRef):
            return self.classes.method(target.cls, "__init__")
        return self.classes.method(target.cls, "__call__") if isinstance(target, v.Instance) else None

    def provided(self, target: v.Value) -> v.Value:
        """What a dependency callable provides: what it returns, yields or constructs."""
        if isinstance(target, v.ClassRef):
            return v.Instance(target.cls)
        if isinstance(target, v.FunctionRef):
            function = target.function
            return self.yields(function) if function.facts.is_generator else self.returns(function)
        if isinstance(target, v.Instance):
            called = self.attribute(target, "__call__")
            return self.provided(called) if isinstance(called, v.FunctionRef) else v.UNKNOWN
        return v.UNKNOWN

    def given(self, function: sym.Function, name: str) -> v.Value:
        """What the places that call the function hand it as parameter ``name``, whatever it declares."""
        return self._from_sites(function, name)

    def _from_sites(self, function: sym.Function, name: str) -> v.Value:
        """The union of the arguments at the places that call the function."""
        called = function.owner.name if function.name == "__init__" and function.owner else function.name
        if called.startswith("__"):
            return v.UNKNOWN
        found = []
        for module, caller, call in self.call_sites(called)[:40]:
            target = self.expr(call.func, Scope(module, caller))
            for option in v.options_of(target):
                if not self._is_call_of(option, function):
                    continue
                argument = argument_for(function, call, name)
                if argument is not None:
                    found.append(self.expr(argument, Scope(module, caller)))
            if len(found) >= _MAX_SITES:
                break
        if any(isinstance(x, v.FunctionRef) for x in found) and any(isinstance(x, v.Unknown) for x in found):
            return v.UNKNOWN  # a callback: which of several is called is not for the sites that can be told to say
        return v.union(strip(x) for x in found) if found else v.UNKNOWN

    def _is_call_of(self, target: v.Value, function: sym.Function) -> bool:
        if isinstance(target, v.FunctionRef):
            return target.function is function
        if isinstance(target, v.ClassRef):
            return self.classes.method(target.cls, "__init__") is function
        return False

    def call_sites(self, name: str) -> list[tuple[sym.Module, sym.Function | None, s.Call]]:
        """Every call whose callee's last name is ``name``, in the whole project."""
        if self._sites is None:
            self._sites = {}
            for module in self.table.modules.values():
                _note_calls(module, None, sym.calls(module.facts.body), self._sites)
                for function in module.functions.values():
                    _note_calls(module, function, function.calls, self._sites)
        return self._sites.get(name, [])

    def returns(self, function: sym.Function) -> v.Value:
        """What a call of the function gives (awaited, for a coroutine), in terms of its parameters."""
        return self._result(function, self._returns, self._return_values)

    def yields(self, function: sym.Function) -> v.Value:
        """What a generator yields, in terms of its parameters."""
        return self._result(function, self._yields, self._yield_values)

    def _result(
        self,
        function: sym.Function,
        memo: dict[str, v.Value],
        compute: Callable[[sym.Function], v.Value],
    ) -> v.Value:
        key = function.key
        if key in memo:
            return memo[key]
        if ("result", key) in self._busy:
            return v.UNKNOWN
        self._busy.add(("result", key))
        try:
            value = compute(function)
        finally:
            self._busy.discard(("result", key))
        memo[key] = value
        return value

    def _return_values(self, function: sym.Function) -> v.Value:
        scope = Scope(function.module, function)
        found = [
            self.expr(stmt.value, scope)
            for stmt in function.statements
            if isinstance(stmt, s.Return) and stmt.value is not None
        ]
        value = v.union(found) if found else v.UNKNOWN
        if isinstance(value, (v.Unknown, v.ExternalObject)) and function.facts.returns is not None:
            declared = strip(self.annotations.value(function.facts.returns, function.module, function))
            if isinstance(value, v.Unknown):
                return declared
            if isinstance(declared, v.Session):
                return v.reroot(declared, v.Origin("dependency", function.key))  # ``return request.state.db``
        return value

    def _yield_values(self, function: sym.Function) -> v.Value:
        scope = Scope(function.module, function)
        found = []
        for expr in function.expressions:
            if isinstance(expr, s.Yield) and expr.value is not None:
                found.append(self.expr(expr.value, scope))
            elif isinstance(expr, s.YieldFrom):
                found.append(self.iterate(self.expr(expr.value, scope)))
        value = v.union(found) if found else v.UNKNOWN
        if isinstance(value, v.Unknown) and function.facts.returns is not None:
            declared = self.annotations.value(function.facts.returns, function.module, function)
            value = strip(declared.item) if isinstance(declared, v.Sequence) else v.UNKNOWN
            if isinstance(value, v.Session):
                # where it comes from cannot be followed, but it is not one the function was handed
                value = v.Session(value.is_async, place_origin(function.facts.loc))
        return value

    # ---- expressions -----------------------------------------------------------------------------------------------

    def value_at(self, expr: s.Expr, module: sym.Module, function: sym.Function | None) -> v.Value:
        """The value of an expression of a function (or of a module's top level), all bindings counted."""
        return self.expr(expr, Scope(module, function))

    def expr(self, expr: s.Expr, scope: Scope) -> v.Value:
        """The value of an expression at a place."""
        if scope.env is not None:
            return self._expr(expr, scope)
        key = (id(expr), scope.function.key if scope.function else scope.module.path)
        known = self._memo.get(key)
        if known is not None:
            return known
        if key in self._busy or self._depth > _MAX_DEPTH:
            return v.UNKNOWN
        self._busy.add(key)
        self._depth += 1
        try:
            value = self._expr(expr, scope)
        finally:
            self._busy.discard(key)
            self._depth -= 1
        self._memo[key] = value
        return value

    def _expr(self, expr: s.Expr, scope: Scope) -> v.Value:
        if isinstance(expr, s.Name):
            return self.name(expr.id, scope)
        if isinstance(expr, s.Attribute):
            if isinstance(expr.value, s.Call) and sym.last_name(expr.value.func) == "super":
                return self._super(expr.attr, scope)
            if scope.env is not None:
                stored = scope.env.get(sym.dotted_text(expr))
                if stored is not None:
                    return stored
            value = self.attribute(self.expr(expr.value, scope), expr.attr, scope.module)
            return self._assigned_here(expr, scope, value)
        if isinstance(expr, s.Call):
            return self.call(expr, scope)
        if isinstance(expr, s.Await):
            return self.awaited(self.expr(expr.value, scope), local_origin(expr.value))
        if isinstance(expr, s.Constant):
            return v.Literal(expr.value) if not isinstance(expr.value, bytes) else v.UNKNOWN
        if isinstance(expr, s.Subscript):
            return self._subscript(expr, scope)
        if isinstance(expr, s.Choice):
            return v.union(self.expr(o, scope) for o in expr.options)
        if isinstance(expr, s.Collection):
            if expr.kind == "tuple":
                return v.Tuple(tuple(self.expr(i, scope) for i in expr.items))
            if expr.kind == "dict":
                return self._display(expr, scope)
            return v.Sequence(v.union(self.expr(i, scope) for i in expr.items))
        if isinstance(expr, s.Comprehension):
            return v.Sequence(self.expr(expr.elements[-1], self.comprehension_scope(expr, scope)))
        if isinstance(expr, s.Assigned):
            return self.expr(expr.value, scope)
        if isinstance(expr, s.Starred):
            return self.expr(expr.value, scope)
        if isinstance(expr, s.Lambda):
            return self._lambda(expr, scope)
        return v.UNKNOWN

    def _assigned_here(self, expr: s.Attribute, scope: Scope, value: v.Value) -> v.Value:
        """``self.x`` in a function that sets it: also what is set there, with its origin."""
        if scope.env is not None or scope.function is None:
            return value
        bindings = scope.function.bindings.get(sym.dotted_text(expr))
        if not bindings:
            return value
        return v.union((self._bound(scope.function, sym.dotted_text(expr), bindings), value))

    def _display(self, expr: s.Collection, scope: Scope) -> v.Value:
        items = []
        for key, item in zip(expr.keys, expr.items, strict=False):
            if isinstance(key, s.Constant) and isinstance(key.value, str):
                items.append((key.value, self.expr(item, scope)))
            else:
                return v.Sequence(v.union(self.expr(i, scope) for i in expr.items))
        return v.Mapping(tuple(items))

    def _lambda(self, expr: s.Lambda, scope: Scope) -> v.Value:
        names = {e.id for e in sym.walk(expr.body) if isinstance(e, s.Name)} - set(expr.parameters)
        cells = tuple((name, self.name(name, scope)) for name in sorted(names))
        return self._called_in(v.Closure(expr, scope.module, cells), dict.fromkeys(expr.parameters, v.UNKNOWN))

    def _called_in(self, closure: v.Closure, arguments: Mapping[str, v.Value]) -> v.Value:
        """The call that is the body of a lambda, with values for its parameters."""
        body = closure.expr.body.value if isinstance(closure.expr.body, s.Await) else closure.expr.body
        if not isinstance(body, s.Call):
            return v.UNKNOWN
        inner = Scope(closure.module, None, {**dict(closure.cells), **arguments})
        args = tuple(self.expr(a, inner) for a in body.args)
        keywords = tuple((k.name, self.expr(k.value, inner)) for k in body.keywords if k.name)
        return v.Partial(self.expr(body.func, inner), args, keywords, closure)

    def applied(
        self, target: v.Partial, args: tuple[v.Value, ...], keywords: tuple[tuple[str, v.Value], ...]
    ) -> v.Partial:
        """What a partial or a lambda really calls when it is called with these arguments."""
        if target.closure is not None:
            parameters = target.closure.expr.parameters
            given = {**dict(zip(parameters, args, strict=False)), **{n: x for n, x in keywords if n in parameters}}
            called = self._called_in(target.closure, {**dict.fromkeys(parameters, v.UNKNOWN), **given})
            return called if isinstance(called, v.Partial) else target
        merged = tuple(k for k in target.keywords if k[0] not in dict(keywords)) + keywords
        return v.Partial(target.target, target.args + args, merged)

    def comprehension_scope(self, expr: s.Comprehension, scope: Scope) -> Scope:
        """The scope inside a comprehension: its targets bound to what the clauses run over."""
        env = dict(scope.env) if scope.env is not None else {}
        inner = Scope(scope.module, scope.function, env)
        for clause in expr.clauses:
            self.bind_target(clause.target, self.iterate(self.expr(clause.iterable, inner)), env)
        return inner

    def bind_target(self, target: s.Expr, value: v.Value, env: dict[str, v.Value]) -> None:
        """Bind the names of an assignment target."""
        if isinstance(target, s.Name):
            env[target.id] = value
        elif isinstance(target, s.Starred):
            self.bind_target(target.value, v.Sequence(v.UNKNOWN), env)
        elif isinstance(target, s.Collection):
            for index, item in enumerate(target.items):
                self.bind_target(item, self.item(value, index), env)

    def _super(self, attr: str, scope: Scope) -> v.Value:
        function = scope.function
        while function is not None and function.owner is None:
            function = function.parent
        if function is None or function.owner is None:
            return v.UNKNOWN
        method = self.classes.method(function.owner, attr, skip=1)
        if method is None:
            return v.UNKNOWN
        receiver = self.name(function.receiver or "self", scope)
        return self.function_ref(method, receiver)

    def _subscript(self, expr: s.Subscript, scope: Scope) -> v.Value:
        value = self.expr(expr.value, scope)
        if isinstance(value, (v.ClassRef, v.External)):
            return value  # a generic alias is its class
        if isinstance(expr.index, s.Constant):
            return self.item(value, expr.index.value)
        return self.item(value, None)

    # ---- calls -----------------------------------------------------------------------------------------------------

    def call(self, expr: s.Call, scope: Scope) -> v.Value:
        """The value of a call (a coroutine or generator object is returned unrun)."""
        target = self.expr(expr.func, scope)
        args = tuple(self.expr(a, scope) for a in expr.args)
        keywords = tuple((k.name or "**", self.expr(k.value, scope)) for k in expr.keywords)
        if not isinstance(target, v.Options):
            return self.called(target, args, keywords, expr.loc)
        return v.union(self.called(option, args, keywords, expr.loc) for option in target.options)

    def called(
        self,
        target: v.Value,
        args: tuple[v.Value, ...],
        keywords: tuple[tuple[str, v.Value], ...],
        loc: s.Loc,
    ) -> v.Value:
        """What calling ``target`` with these values gives."""
        if isinstance(target, v.FunctionRef):
            return self._call_function(target, args, keywords, loc)
        if isinstance(target, v.ClassRef):
            return self.construct(target.cls, args, keywords, loc)
        if isinstance(target, v.Partial):
            applied = self.applied(target, args, keywords)
            return self.called(applied.target, applied.args, applied.keywords, loc)
        if isinstance(target, v.Factory):
            return self.new_session(target, loc)
        if isinstance(target, v.Method):
            return call_method(self, target, args, dict(keywords), loc)
        if isinstance(target, v.Instance):
            function = self.attribute(target, "__call__")
            return self.called(function, args, keywords, loc) if isinstance(function, v.FunctionRef) else v.UNKNOWN
        if isinstance(target, v.External):
            return call_outside(self, target.dotted, args, dict(keywords), loc)
        if isinstance(target, v.ExternalObject):
            if target.dotted.rpartition(".")[2] in {"enter_async_context", "enter_context"} and args:
                return self.enter(args[0], place_origin(loc))
            return v.ExternalObject(f"{target.dotted}()")
        return v.UNKNOWN

    def new_session(self, factory: v.Factory, loc: s.Loc) -> v.Session:
        """The session a factory call at ``loc`` makes; a registry always hands out the same one."""
        origin = v.Origin("global", factory.name or "registry") if factory.scoped else place_origin(loc)
        return v.Session(factory.is_async, origin, factory.autocommit)

    def _call_function(
        self,
        target: v.FunctionRef,
        args: tuple[v.Value, ...],
        keywords: tuple[tuple[str, v.Value], ...],
        loc: s.Loc,
    ) -> v.Value:
        binding = self.bind(target, args, keywords)
        function = target.function
        if target.wrapper or function.facts.is_generator or function.facts.is_async:
            return v.Running(function, tuple(binding.items()), target.wrapper, loc)
        return self._given_back(self.implementation(target), binding, place_origin(loc))

    def _given_back(self, function: sym.Function, binding: Mapping[str, v.Value], fresh: v.Origin) -> v.Value:
        """What a call gives in the caller's terms; what a class method builds is of the class it is called on."""
        called_on = binding.get(function.receiver or "")
        if isinstance(called_on, v.ClassRef) and called_on.cls is not function.owner:
            scope = Scope(function.module, function, binding)
            mine = frozenset().union(*(self.holds(x) for x in binding.values()))
            made = [
                self.substitute(self.expr(stmt.value, scope), {}, fresh, mine)
                for stmt in function.statements
                if isinstance(stmt, s.Return) and stmt.value is not None and _calls_name(stmt.value, function.receiver)
            ]
            if made:
                return v.union(made)
        return self.substitute(self.returns(function), binding, fresh)

    def implementation(self, target: v.FunctionRef) -> sym.Function:
        """The one concrete function behind a reference to an abstract method, or the function itself."""
        if target.function.is_abstract and target.function.owner is not None:
            found = self.classes.implementations(target.function.owner, target.function.name)
            if found:
                return found[0]
        return target.function

    def bind(
        self, target: v.FunctionRef, args: Seq[v.Value], keywords: Iterable[tuple[str, v.Value]]
    ) -> dict[str, v.Value]:
        """Parameter name to argument value, receiver and captured variables included."""
        function = target.function
        binding: dict[str, v.Value] = dict(target.cells)
        parameters = list(function.facts.parameters)
        if function.receiver is not None and parameters:
            first = parameters[0]
            if target.receiver is not None:
                binding[first.name] = target.receiver
                parameters = parameters[1:]
        positional = [p for p in parameters if p.kind in {"positional", "either"}]
        rest = next((p for p in parameters if p.kind == "args"), None)
        for index, value in enumerate(args):
            if index < len(positional):
                binding[positional[index].name] = value
            elif rest is not None:
                binding[rest.name] = v.Sequence(value)
        names = {p.name for p in parameters}
        for name, value in keywords:
            if name in names:
                binding[name] = value
        for parameter in parameters:
            if parameter.name not in binding and parameter.default is not None:
                if isinstance(parameter.default, s.Constant):
                    binding[parameter.name] = self.expr(parameter.default, Scope(function.module))
        return binding

    def construct(
        self,
        cls: sym.Class,
        args: tuple[v.Value, ...],
        keywords: tuple[tuple[str, v.Value], ...],
        loc: s.Loc,
    ) -> v.Value:
        """The object a class call makes, with what its attributes hold."""
        session = self.classes.session_flavour(cls)
        if session is not None:
            return v.Session(session, place_origin(loc))
        maker = self.classes.makes_sessions(cls)
        if maker:
            return call_outside(self, maker, args, dict(keywords), loc)
        if self.classes.is_model(cls):
            return v.Entity(cls, None)
        return v.Instance(cls, None, self.classes.fields(cls, args, keywords, loc))

    # ---- what values give ------------------------------------------------------------------------------------------

    def attribute(self, value: v.Value, attr: str, importer: sym.Module | None = None) -> v.Value:
        """``value.attr``."""
        if isinstance(value, v.Options):
            return v.union(self.attribute(o, attr, importer) for o in value.options)
        if isinstance(value, v.Instance):
            return self.classes.attribute(value, attr)
        if isinstance(value, v.ClassRef):
            return self.classes.class_member(value.cls, attr)
        if isinstance(value, v.ModuleRef):
            symbol = self.table.member(value.module, attr, value.module)
            return self.symbol(symbol) if symbol is not None else v.UNKNOWN
        if isinstance(value, v.External) and importer is not None:
            symbol = self.table.member(sym.External(value.dotted), attr, importer)
            return self.symbol(symbol) if symbol is not None else v.UNKNOWN
        if isinstance(value, v.ExternalObject) and value.dotted.endswith(".state"):
            kept = self.states.held(value.dotted, attr)
            if not isinstance(kept, v.Unknown):
                return kept
        return object_attribute(value, attr)

    def awaited(self, value: v.Value, origin: v.Origin) -> v.Value:
        """What awaiting gives."""
        if isinstance(value, v.Options):
            return v.union(self.awaited(o, origin) for o in value.options)
        if isinstance(value, v.Running) and not value.wrapper and not value.function.facts.is_generator:
            function = self.implementation(v.FunctionRef(value.function))
            return self._given_back(function, value.arguments(), origin)
        if isinstance(value, v.Running):
            return v.UNKNOWN
        if isinstance(value, v.Task):
            return v.union(self.awaited(w, origin) for w in value.work) if len(value.work) == 1 else v.UNKNOWN
        return value

    def iterate(self, value: v.Value) -> v.Value:
        """One item of what a loop runs over."""
        if isinstance(value, v.Options):
            return v.union(self.iterate(o) for o in value.options)
        if isinstance(value, v.Sequence):
            return value.item
        if isinstance(value, v.Tuple):
            return v.union(value.items)
        if isinstance(value, v.Rows):
            return v.Entity(value.model, value.origin)
        if isinstance(value, v.Running) and value.function.facts.is_generator:
            function = value.function
            return self.substitute(self.yields(function), value.arguments(), place_origin(value.loc))
        return v.UNKNOWN

    def item(self, value: v.Value, index: object) -> v.Value:
        """``value[index]``; index None for any."""
        if isinstance(value, v.Options):
            return v.union(self.item(o, index) for o in value.options)
        if isinstance(value, v.Tuple):
            if isinstance(index, int) and -len(value.items) <= index < len(value.items):
                return value.items[index]
            return v.union(value.items)
        if isinstance(value, v.Mapping):
            if isinstance(index, str):
                return dict(value.items).get(index, v.UNKNOWN)
            return v.union(x for _, x in value.items)
        if isinstance(value, v.Task):
            return (
                self.awaited(value.work[index], place_origin(s.Loc(0, 0, 0, 0)))
                if isinstance(index, int) and index < len(value.work)
                else v.UNKNOWN
            )
        if isinstance(value, v.Rows):
            return v.Entity(value.model, value.origin)
        if isinstance(value, v.Instance):
            return self._field(value, index)
        return self.iterate(value)

    def _field(self, value: v.Instance, index: object) -> v.Value:
        """``db, user = context``, where that is a ``NamedTuple``."""
        bases = {d.rpartition(".")[2] for d in self.classes.outside_bases(value.cls)}
        names = self.classes.data_fields(value.cls) if "NamedTuple" in bases else []
        if isinstance(index, int) and -len(names) <= index < len(names):
            return self.classes.attribute(value, names[index])
        return v.UNKNOWN

    def enter(self, value: v.Value, origin: v.Origin) -> v.Value:
        """What ``with value as x`` binds; sessions opened by entering come from ``origin``."""
        if isinstance(value, v.Options):
            return v.union(self.enter(o, origin) for o in value.options)
        if isinstance(value, v.Begin):
            return value.session if value.kind == "own" else value  # else the transaction object, not the session
        if isinstance(value, v.Closing):
            return value.generator
        if isinstance(value, v.Running) and value.function.facts.is_generator:
            return self.substitute(self.yields(value.function), value.arguments(), origin)
        if isinstance(value, v.Running) and value.wrapper:
            return self.substitute(self.returns(value.function), value.arguments(), origin)
        if isinstance(value, v.Instance):
            return self.classes.enter(value, origin)
        if isinstance(value, v.Engine):
            return v.Connection(value.is_async)
        return value

    def holds(self, value: v.Value) -> frozenset[v.Origin]:
        """The origins of all sessions an object can reach."""
        if isinstance(value, v.Session):
            return frozenset({value.origin}) if value.origin else frozenset()
        if isinstance(value, v.Instance):
            if value.root is not None:
                return frozenset({value.root}) if self.classes.holds_session(value.cls) else frozenset()
            return frozenset().union(*(self.holds(x) for _, x in value.fields))
        if isinstance(value, (v.Tuple, v.Options)):
            parts = value.items if isinstance(value, v.Tuple) else value.options
            return frozenset().union(*(self.holds(x) for x in parts))
        if isinstance(value, v.Mapping):
            return frozenset().union(*(self.holds(x) for _, x in value.items))
        if isinstance(value, v.Sequence):
            return self.holds(value.item)
        if isinstance(value, v.FunctionRef):
            cells = frozenset().union(*(self.holds(x) for _, x in value.cells))
            return cells | self.holds(value.receiver) if value.receiver is not None else cells
        if isinstance(value, v.Partial):
            rest = (*value.args, *(x for _, x in value.keywords), value.target)
            return frozenset().union(*(self.holds(x) for x in rest))
        if isinstance(value, v.Running):
            return frozenset().union(*(self.holds(x) for _, x in value.binding))
        if isinstance(value, v.Task):
            return frozenset().union(*(self.holds(x) for x in value.work))
        if isinstance(value, v.Begin):
            return self.holds(value.session)
        return frozenset()

    def resolve_origin(self, origin: v.Origin, binding: Mapping[str, v.Value]) -> v.Value:
        """What stands at a callee's origin, in the caller's terms; unknown where the caller does not say."""
        value = binding.get(origin.name, v.UNKNOWN)
        for attr in origin.path:
            if isinstance(value, (v.Unknown, v.Literal)):
                return v.UNKNOWN
            value = self.attribute(value, attr)
        return value

    def substitute(
        self,
        value: v.Value,
        binding: Mapping[str, v.Value],
        fresh: v.Origin | None,
        keep: frozenset[v.Origin] = frozenset(),
    ) -> v.Value:
        """A callee's value in the caller's terms: parameters become arguments, new sessions come from ``fresh``.

        Origins in ``keep`` are the caller's already and stay.
        """
        if isinstance(value, v.Session):
            return self._substitute_session(value, binding, fresh, keep)
        if isinstance(value, v.Instance):
            if value.root is not None and value.root in keep:
                return value
            if value.root is not None and value.root.kind == "param":
                found = self.resolve_origin(value.root, binding)
                return found if isinstance(found, (v.Instance, v.Options)) else v.Instance(value.cls)
            if value.root is not None and value.root.kind == "local" and fresh is not None:
                return v.Instance(value.cls, fresh)
            return v.Instance(
                value.cls, value.root, tuple((n, self.substitute(x, binding, fresh, keep)) for n, x in value.fields)
            )
        if isinstance(value, (v.Entity, v.Rows)):
            origin = value.origin
            if origin is not None and origin.kind in {"param", "local"}:
                session = self._substitute_session(v.Session(None, origin), binding, fresh, keep)
                origin = session.origin if isinstance(session, v.Session) else None
            return type(value)(value.model, origin)
        if isinstance(value, v.Sequence):
            return v.Sequence(self.substitute(value.item, binding, fresh, keep))
        if isinstance(value, v.Tuple):
            return v.Tuple(tuple(self.substitute(x, binding, fresh, keep) for x in value.items))
        if isinstance(value, v.Mapping):
            return v.Mapping(tuple((n, self.substitute(x, binding, fresh, keep)) for n, x in value.items))
        if isinstance(value, v.Options):
            return v.union(self.substitute(x, binding, fresh, keep) for x in value.options)
        if isinstance(value, v.FunctionRef):
            receiver = self.substitute(value.receiver, binding, fresh, keep) if value.receiver is not None else None
            cells = tuple((n, self.substitute(x, binding, fresh, keep)) for n, x in value.cells)
            return v.FunctionRef(value.function, receiver, cells, value.wrapper)
        if isinstance(value, v.Running):
            bound = tuple((n, self.substitute(x, binding, fresh, keep)) for n, x in value.binding)
            return v.Running(value.function, bound, value.wrapper, value.loc)
        if isinstance(value, v.Begin):
            session = self.substitute(value.session, binding, fresh, keep)
            return v.Begin(session, value.kind) if isinstance(session, v.Session) else v.UNKNOWN
        if isinstance(value, v.Partial):
            args = tuple(self.substitute(x, binding, fresh, keep) for x in value.args)
            keywords = tuple((n, self.substitute(x, binding, fresh, keep)) for n, x in value.keywords)
            closure = value.closure
            if closure is not None:
                cells = tuple((n, self.substitute(x, binding, fresh, keep)) for n, x in closure.cells)
                closure = v.Closure(closure.expr, closure.module, cells)
            return v.Partial(self.substitute(value.target, binding, fresh, keep), args, keywords, closure)
        return value

    def _substitute_session(
        self,
        value: v.Session,
        binding: Mapping[str, v.Value],
        fresh: v.Origin | None,
        keep: frozenset[v.Origin],
    ) -> v.Value:
        origin = value.origin
        if origin is None or origin in keep or origin.kind in {"global", "dependency"}:
            return value
        if origin.kind == "local":
            return v.Session(value.is_async, fresh, value.autocommit)
        found = self.resolve_origin(origin, binding)
        if isinstance(found, (v.Session, v.Options)):
            return found
        held = self.holds(found) or self.holds(binding.get(origin.name, v.UNKNOWN))
        return v.Session(value.is_async, next(iter(held)) if len(held) == 1 else None, value.autocommit)


def _calls_name(expr: s.Expr, name: str | None) -> bool:
    return isinstance(expr, s.Call) and isinstance(expr.func, s.Name) and expr.func.id == name


def place_origin(loc: s.Loc) -> v.Origin:
    """The origin of a session created at a place of this function."""
    return v.Origin("local", f"{loc.line}:{loc.column}")


def local_origin(expr: s.Expr) -> v.Origin:
    return place_origin(expr.loc)


def strip(value: v.Value) -> v.Value:
    """The type of a value without where it came from."""
    if isinstance(value, v.Session):
        return v.Session(value.is_async, None, value.autocommit)
    if isinstance(value, v.Instance):
        return v.Instance(value.cls)
    if isinstance(value, v.Entity):
        return v.Entity(value.model)
    if isinstance(value, v.Rows):
        return v.Rows(value.model, None, value.lazy)
    if isinstance(value, v.Sequence):
        return v.Sequence(strip(value.item))
    if isinstance(value, v.Tuple):
        return v.Tuple(tuple(strip(x) for x in value.items))
    if isinstance(value, v.Options):
        return v.union(strip(x) for x in value.options)
    if isinstance(value, v.FunctionRef):
        receiver = strip(value.receiver) if value.receiver is not None else None
        return v.FunctionRef(value.function, receiver, tuple((n, strip(x)) for n, x in value.cells), value.wrapper)
    if isinstance(value, v.Literal) and value.value is not None:
        return v.UNKNOWN
    return value


def _is_context_variable(expr: s.Expr) -> bool:
    """``name: ContextVar[AsyncSession]``: what it holds was put there by whoever stands around."""
    declared = sym.declared_annotation(expr)
    return isinstance(declared, s.Subscript) and sym.last_name(declared.value) == "ContextVar"


def _note_calls(
    module: sym.Module,
    function: sym.Function | None,
    calls: Iterable[s.Call],
    sites: dict[str, list[tuple[sym.Module, sym.Function | None, s.Call]]],
) -> None:
    for call in calls:
        name = sym.last_name(call.func)
        if name is not None:
            sites.setdefault(name, []).append((module, function, call))


_BUILTINS = frozenset(dir(builtins))
