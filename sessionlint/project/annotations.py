"""What an annotation says about a parameter, attribute or result.

Reads ``Optional``, unions, ``Annotated`` with ``Depends``, aliases, containers, callables and generics. A string
annotation arrives here already parsed (facts do that).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.frameworks import sqlalchemy

if TYPE_CHECKING:
    from sessionlint.project.infer import Inference

_TRANSPARENT = frozenset({"Optional", "Union", "Final", "ClassVar", "Required", "NotRequired", "Mapped"})
_CONTAINERS = frozenset(
    {
        "list", "List", "set", "Set", "frozenset", "FrozenSet", "Sequence", "Iterable", "Collection", "MutableSequence",
        "AsyncIterable", "AsyncIterator", "Iterator", "AsyncGenerator", "Generator", "deque", "Deque",
    }
)  # fmt: skip
_MAPPINGS = frozenset({"dict", "Dict", "Mapping", "MutableMapping", "defaultdict", "DefaultDict", "OrderedDict"})
_CONTEXTS = frozenset(
    {"AbstractAsyncContextManager", "AsyncContextManager", "AbstractContextManager", "ContextManager"}
)
#: callables whose second argument is the class that a new name stands for
NEW_TYPES = frozenset({"typing.NewType", "typing_extensions.NewType"})
TYPE_VARIABLES = frozenset({"typing.TypeVar", "typing_extensions.TypeVar"})
_DEPENDS = frozenset({"Depends", "Security"})


class Annotations:
    """Reads annotations with the help of name resolution."""

    def __init__(self, infer: Inference) -> None:
        self._infer = infer
        self._busy: set[tuple[str, str]] = set()
        #: alias expressions being followed: an alias of itself leads nowhere
        self._followed: set[int] = set()

    def value(self, expr: s.Expr, module: sym.Module, function: sym.Function | None) -> v.Value:
        """An object of the annotated type, of unknown origin."""
        if isinstance(expr, s.Choice):
            return v.union(self.value(o, module, function) for o in expr.options)
        if isinstance(expr, s.Subscript):
            return self._subscripted(expr, module, function)
        if isinstance(expr, s.Constant):
            return v.NONE if expr.value is None else v.UNKNOWN
        return self._instance(expr, module, function)

    def reference(self, expr: s.Expr, module: sym.Module, function: sym.Function | None) -> v.Value:
        """The class or function an annotation names, not an object of it."""
        if isinstance(expr, s.Subscript):
            name = sym.last_name(expr.value)
            if name == "Annotated" or name in _TRANSPARENT:
                return self.reference(_first(expr.index), module, function)
        bound = self._bound(expr, module, function)
        if bound is not None:
            found = self._infer.expr(bound[0], _scope(bound[1], None))
            of_rows = isinstance(found, v.ClassRef) and self._infer.classes.is_row(found.cls)
            return v.UNKNOWN if of_rows else found  # which table, nobody knows
        return self._infer.expr(expr, _scope(module, function))

    def dependency(self, expr: s.Expr, module: sym.Module, function: sym.Function | None) -> v.Dependency | None:
        """The ``Depends`` hidden in ``Annotated[T, Depends(f)]`` or in an alias for it."""
        if isinstance(expr, s.Choice):
            for option in expr.options:
                found = self.dependency(option, module, function)
                if found is not None:
                    return found
            return None
        if isinstance(expr, s.Subscript) and sym.last_name(expr.value) in {"Annotated", "Optional"}:
            items = expr.index.items if isinstance(expr.index, s.Collection) else (expr.index,)
            for item in items[1:]:
                if isinstance(item, s.Call) and sym.last_name(item.func) in _DEPENDS:
                    made = self._infer.expr(item, _scope(module, function))
                    if isinstance(made, v.Dependency):
                        if made.target is None:
                            return v.Dependency(self.reference(items[0], module, function), made.scope, made.use_cache)
                        return made
            return self.dependency(items[0], module, function) if items else None
        target = self._alias_target(expr, module, function)
        if target is None or id(target[0]) in self._followed:
            return None
        self._followed.add(id(target[0]))
        try:
            return self.dependency(target[0], target[1], None)
        finally:
            self._followed.discard(id(target[0]))

    def alias(self, expr: s.Expr, module: sym.Module) -> v.Value | None:
        """The value behind a module-level type alias ``X = Annotated[...]``; None for other assignments."""
        if isinstance(expr, s.Subscript) and sym.last_name(expr.value) in {"Annotated", "Optional"}:
            found = self.dependency(expr, module, None)
            return v.Annotated(self.value(expr, module, None), found or v.Dependency(None))
        return None

    # ---- parts -----------------------------------------------------------------------------------------------------

    def _alias_target(
        self, expr: s.Expr, module: sym.Module, function: sym.Function | None
    ) -> tuple[s.Expr, sym.Module] | None:
        """The expression a named alias stands for, with the module it stands in."""
        symbol = self._symbol(expr, module, function)
        if isinstance(symbol, sym.Global):
            for assigned, owner in symbol.module.assigned.get(symbol.name, ()):
                if owner is None and isinstance(assigned, (s.Subscript, s.Name, s.Attribute, s.Choice)):
                    if sym.declared_annotation(assigned) is None:
                        return assigned, symbol.module
                if owner is None and isinstance(assigned, s.Call) and self._is_new_type(assigned, symbol.module):
                    return assigned.args[1], symbol.module
        return None

    def _bound(
        self, expr: s.Expr, module: sym.Module, function: sym.Function | None
    ) -> tuple[s.Expr, sym.Module] | None:
        """What a type variable is at least, with the module that says so: ``TypeVar("R", bound=Repository)``."""
        if not isinstance(expr, s.Name):
            return None
        scope = function
        while scope is not None:
            for name, bound in (*scope.facts.bounds, *(scope.owner.facts.bounds if scope.owner is not None else ())):
                if name == expr.id:
                    return bound, module
            scope = scope.parent
        symbol = self._symbol(expr, module, function)
        for assigned, _ in symbol.module.assigned.get(symbol.name, ()) if isinstance(symbol, sym.Global) else ():
            if isinstance(assigned, s.Call) and isinstance(symbol, sym.Global):
                made_by = self._symbol(assigned.func, symbol.module, None)
                if isinstance(made_by, sym.External) and made_by.dotted in TYPE_VARIABLES:
                    return next(((k.value, symbol.module) for k in assigned.keywords if k.name == "bound"), None)
        return None

    def _is_new_type(self, call: s.Call, module: sym.Module) -> bool:
        """``NewType("X", Y)``: another name for ``Y``, told apart by type checkers only."""
        made_by = self._symbol(call.func, module, None)
        return isinstance(made_by, sym.External) and made_by.dotted in NEW_TYPES and len(call.args) == 2

    def _symbol(self, expr: s.Expr, module: sym.Module, function: sym.Function | None) -> sym.Symbol | None:
        if isinstance(expr, s.Name):
            scope = function
            while scope is not None:
                for kind, what in scope.bindings.get(expr.id, ()):
                    if kind == "import" and isinstance(what, s.Binding):
                        return self._infer.table.resolve(module, what)
                scope = scope.parent
            return self._infer.table.lookup(module, expr.id)
        if isinstance(expr, s.Attribute):
            base = self._symbol(expr.value, module, function)
            return self._infer.table.member(base, expr.attr, module) if base is not None else None
        return None

    def _subscripted(self, expr: s.Subscript, module: sym.Module, function: sym.Function | None) -> v.Value:
        name = sym.last_name(expr.value) or ""
        items = expr.index.items if isinstance(expr.index, s.Collection) else (expr.index,)
        if name == "ContextVar":
            return v.Sequence(self.value(items[0], module, function))
        if name == "Annotated":
            inner = self.value(items[0], module, function) if items else v.UNKNOWN
            if isinstance(inner, v.Unknown):
                found = self.dependency(expr, module, function)
                if found is not None and found.target is not None:
                    return self._infer.provided(found.target)
            return inner
        if name in _TRANSPARENT:
            return v.union(self.value(i, module, function) for i in items)
        if name in _CONTEXTS or name in {"Awaitable", "Coroutine"}:
            return self.value(items[-1] if name == "Coroutine" else items[0], module, function)
        if name in _CONTAINERS:
            return v.Sequence(self.value(items[0], module, function))
        if name in _MAPPINGS:
            return v.Sequence(self.value(items[-1], module, function))
        if name in {"tuple", "Tuple"}:
            if len(items) == 2 and isinstance(items[1], s.Other):
                return v.Sequence(self.value(items[0], module, function))
            return v.Tuple(tuple(self.value(i, module, function) for i in items))
        if name in {"type", "Type"}:
            return self.reference(items[0], module, function)
        if name == "Callable":
            return self._callable(items[-1], module, function)
        found_value = self._instance(expr.value, module, function)
        if isinstance(found_value, v.Factory) and found_value.is_async is None:
            inner = self.value(items[0], module, function)
            if isinstance(inner, v.Session):
                return v.Factory(inner.is_async, found_value.name, found_value.autocommit, found_value.scoped)
        return found_value

    def _callable(self, result: s.Expr, module: sym.Module, function: sym.Function | None) -> v.Value:
        """A callable that returns a session is a factory; any other is left to where it is passed in."""
        made = self.value(result, module, function)
        if isinstance(made, v.Session):
            return v.Factory(made.is_async)
        return v.UNKNOWN

    def _instance(self, expr: s.Expr, module: sym.Module, function: sym.Function | None) -> v.Value:
        bound = self._bound(expr, module, function)
        if bound is not None:
            at_least = self.value(bound[0], bound[1], None)
            of_rows = isinstance(at_least, v.Instance) and self._infer.classes.is_row(at_least.cls)
            return v.UNKNOWN if of_rows or isinstance(at_least, v.Entity) else at_least
        symbol = self._symbol(expr, module, function)
        if isinstance(symbol, sym.Class):
            return self._of_class(symbol)
        if isinstance(symbol, sym.External):
            return outside_object(symbol.dotted)
        if isinstance(symbol, sym.Global):
            key = (symbol.module.path, symbol.name)
            if key in self._busy:
                return v.UNKNOWN
            self._busy.add(key)
            try:
                target = self._alias_target(expr, module, function)
                if target is not None:
                    return self.value(target[0], target[1], None)
            finally:
                self._busy.discard(key)
            return v.UNKNOWN
        if isinstance(expr, s.Name) and function is not None:
            scope: sym.Function | None = function
            while scope is not None:
                inner = scope.nested.get(expr.id)
                if isinstance(inner, sym.Class):
                    return self._of_class(inner)
                scope = scope.parent
            if expr.id == "Self" and function.owner is not None:
                return v.Instance(function.owner)
        return v.UNKNOWN

    def _of_class(self, cls: sym.Class) -> v.Value:
        flavour = self._infer.classes.session_flavour(cls)
        if flavour is not None:
            return v.Session(flavour)
        maker = self._infer.classes.makes_sessions(cls)
        if maker:
            return outside_object(maker)
        if self._infer.classes.is_model(cls):
            return v.Entity(cls)
        return v.Instance(cls)


def outside_object(dotted: str) -> v.Value:
    """An object of an outside class."""
    flavour = sqlalchemy.is_session(dotted)
    if flavour is not None:
        return v.Session(flavour)
    factory, is_async = sqlalchemy.is_factory(dotted)
    if factory:
        return v.Factory(is_async)
    registry = sqlalchemy.is_registry(dotted)
    if registry is not None:
        return v.Session(registry)
    engine = sqlalchemy.is_engine(dotted)
    if engine is not None:
        return v.Engine(engine)
    connection = sqlalchemy.is_connection(dotted)
    if connection is not None:
        return v.Connection(connection)
    if dotted.rpartition(".")[2] in {"Any", "object", "Callable"}:
        return v.UNKNOWN
    return v.ExternalObject(dotted)


def _first(expr: s.Expr) -> s.Expr:
    return expr.items[0] if isinstance(expr, s.Collection) and expr.items else expr


def _scope(module: sym.Module, function: sym.Function | None):  # type: ignore[no-untyped-def]
    from sessionlint.project.infer import Scope

    return Scope(module, function)
