"""Classes of the project as objects: inheritance, methods, what attributes hold, interface to implementation.

Answers what a constructor puts where (``fields``) and what entering an object opens (``enter``); the values are
computed by ``infer``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.frameworks import sqlalchemy
from sessionlint.project.outside import EXTENSION_SESSION

if TYPE_CHECKING:
    from sessionlint.project.infer import Inference

_DATA_DECORATORS = frozenset({"dataclass", "define", "frozen", "attrs", "s", "mutable"})
_DATA_BASES = frozenset({"BaseModel", "BaseSettings", "NamedTuple", "Struct", "SQLModel"})
_MODEL_BASES = frozenset({"DeclarativeBase", "DeclarativeBaseNoMeta", "MappedAsDataclass"})
#: subclasses that a method, which only they have, is looked for in
MAX_BELOW = 4


class Classes:
    """Everything asked of project classes."""

    def __init__(self, infer: Inference) -> None:
        self._infer = infer
        self._mro: dict[str, tuple[tuple[sym.Class, ...], tuple[str, ...]]] = {}
        self._holds: dict[tuple[str, bool], bool] = {}
        self._assigned: dict[str, dict[str, list[tuple[sym.Function, s.Expr, s.Expr | None]]]] = {}
        self._attributes: dict[tuple[str, str], v.Value] = {}
        self._busy: set[tuple[str, str]] = set()
        self._linked = False
        self._fields: dict[
            tuple[str, tuple[v.Value, ...], tuple[tuple[str, v.Value], ...], s.Loc], tuple[tuple[str, v.Value], ...]
        ] = {}

    # ---- inheritance -----------------------------------------------------------------------------------------------

    def mro(self, cls: sym.Class) -> tuple[sym.Class, ...]:
        """The class and its project bases, depth first."""
        return self._lineage(cls)[0]

    def outside_bases(self, cls: sym.Class) -> tuple[str, ...]:
        """Dotted names of the outside classes anywhere above."""
        return self._lineage(cls)[1]

    def _lineage(self, cls: sym.Class) -> tuple[tuple[sym.Class, ...], tuple[str, ...]]:
        known = self._mro.get(cls.key)
        if known is not None:
            return known
        self._mro[cls.key] = ((cls,), ())
        own: list[sym.Class] = [cls]
        outside: list[str] = []
        for base in cls.facts.bases:
            value = self._infer.annotations.reference(
                base.value if isinstance(base, s.Subscript) else base, cls.module, cls.parent
            )
            if isinstance(value, v.ClassRef):
                above, beyond = self._lineage(value.cls)
                own.extend(c for c in above if c not in own)
                outside.extend(beyond)
            elif isinstance(value, (v.External, v.ExternalObject)):
                outside.append(value.dotted)
            elif isinstance(base, s.Attribute) and base.attr == "Model":
                outside.append("flask_sqlalchemy.Model")
        self._mro[cls.key] = (tuple(own), tuple(outside))
        return self._mro[cls.key]

    def subclasses(self, cls: sym.Class) -> list[sym.Class]:
        """Direct and indirect subclasses in the project, tests left out."""
        if not self._linked:
            self._linked = True
            for candidate in self._infer.table.classes.values():
                if candidate.module.is_test:
                    continue
                for above in self.mro(candidate)[1:]:
                    above.subclasses.append(candidate)
        return cls.subclasses

    def method(self, cls: sym.Class, name: str, skip: int = 0) -> sym.Function | None:
        """The function ``name`` found along the inheritance, after ``skip`` classes."""
        for candidate in self.mro(cls)[skip:]:
            found = candidate.methods.get(name)
            if found is not None:
                return found
        return None

    def implementations(self, cls: sym.Class, name: str) -> list[sym.Function]:
        """Concrete functions behind an abstract method: of subclasses, or of classes that fit a Protocol."""
        found: list[sym.Function] = []
        candidates = list(self.subclasses(cls))
        if not candidates and self._is_protocol(cls):
            candidates = self._conforming(cls)
        for candidate in candidates:
            function = self.method(candidate, name)
            if function is not None and not function.is_abstract and function not in found:
                found.append(function)
        return found

    def is_interface(self, cls: sym.Class) -> bool:
        """Whether the class declares methods it leaves to others."""
        return any(m.is_abstract for m in cls.methods.values())

    def implements(self, cls: sym.Class, interface: sym.Class) -> bool:
        """Whether the class stands below the interface, or has all methods of the Protocol."""
        if interface in self.mro(cls):
            return True
        wanted = {n for n in interface.methods if not n.startswith("__")}
        return self._is_protocol(interface) and bool(wanted) and all(self.method(cls, n) for n in wanted)

    def _is_protocol(self, cls: sym.Class) -> bool:
        return any(d.rpartition(".")[2] == "Protocol" for d in self.outside_bases(cls))

    def _conforming(self, protocol: sym.Class) -> list[sym.Class]:
        wanted = {n for n in protocol.methods if not n.startswith("__")}
        if not wanted:
            return []
        return [
            c
            for c in self._infer.table.classes.values()
            if c is not protocol and wanted <= c.methods.keys() and not c.module.is_test
        ]

    def session_flavour(self, cls: sym.Class) -> bool | None:
        """True/False where the class is itself an async/sync session class, else None."""
        for dotted in self.outside_bases(cls):
            flavour = sqlalchemy.is_session(dotted)
            if flavour is not None:
                return flavour
        return None

    def makes_sessions(self, cls: sym.Class) -> str:
        """The outside class it derives from, where its objects are session factories or registries; empty for none."""
        for dotted in self.outside_bases(cls):
            if sqlalchemy.is_factory(dotted)[0] or sqlalchemy.is_registry(dotted) is not None:
                return dotted
        return ""

    def is_model(self, cls: sym.Class) -> bool:
        """A mapped class: declarative, SQLModel table, Flask-SQLAlchemy model."""
        for candidate in self.mro(cls):
            if "__tablename__" in candidate.attributes or "__table__" in candidate.attributes:
                return True
            if any(k.name == "table" for k in candidate.facts.keywords):
                return True
        if self._is_extension_model(cls):
            return True
        outside = self.outside_bases(cls)
        names = {d.rpartition(".")[2] for d in outside if d.partition(".")[0] in sqlalchemy.PACKAGES}
        if names & _MODEL_BASES and len(self.mro(cls)) > 1:
            return True
        return any(isinstance(base, s.Name) and self._is_declarative_base(cls, base) for base in cls.facts.bases)

    def key_attributes(self, cls: sym.Class) -> tuple[str, ...]:
        """Attributes that are declared with ``primary_key=True``, sorted."""
        return tuple(
            sorted(
                attribute.name
                for candidate in self.mro(cls)
                for attribute in candidate.facts.attributes
                if isinstance(attribute.value, s.Call)
                and any(
                    k.name == "primary_key" and isinstance(k.value, s.Constant) and k.value.value is True
                    for k in attribute.value.keywords
                )
            )
        )

    def is_row(self, cls: sym.Class) -> bool:
        """A mapped class, or an abstract base of such."""
        outside = {d.rpartition(".")[2] for d in self.outside_bases(cls)}
        return self.is_model(cls) or bool(outside & {*_MODEL_BASES, "SQLModel"})

    def _is_extension_model(self, cls: sym.Class) -> bool:
        """Derived from Flask-SQLAlchemy's ``db.Model``."""
        return any(d == "flask_sqlalchemy.Model" or d.endswith("SQLAlchemy.Model") for d in self.outside_bases(cls))

    def _is_declarative_base(self, cls: sym.Class, base: s.Name) -> bool:
        symbol = self._infer.table.lookup(cls.module, base.id)
        if not isinstance(symbol, sym.Global):
            return False
        return any(
            isinstance(expr, s.Call) and sym.last_name(expr.func) in {"declarative_base", "automap_base"}
            for expr, _ in symbol.module.assigned.get(symbol.name, ())
        )

    # ---- attributes ------------------------------------------------------------------------------------------------

    def assigned(self, cls: sym.Class) -> dict[str, list[tuple[sym.Function, s.Expr, s.Expr | None]]]:
        """Attributes the class's own methods set on ``self``: (method, expression, annotation)."""
        known = self._assigned.get(cls.key)
        if known is not None:
            return known
        found: dict[str, list[tuple[sym.Function, s.Expr, s.Expr | None]]] = {}
        for method in cls.methods.values():
            receiver = method.receiver
            if receiver is None:
                continue
            for stmt in method.statements:
                for target, value, annotation in _assignments(stmt):
                    if (
                        isinstance(target, s.Attribute)
                        and isinstance(target.value, s.Name)
                        and target.value.id == receiver
                    ):
                        found.setdefault(target.attr, []).append((method, value, annotation))
        self._assigned[cls.key] = found
        return found

    def attribute_type(self, cls: sym.Class, attr: str) -> v.Value:
        """What an attribute holds on any object of the class, without origin."""
        key = (cls.key, attr)
        if key in self._attributes:
            return self._attributes[key]
        if key in self._busy:
            return v.UNKNOWN
        self._busy.add(key)
        try:
            value = self._attribute_type(cls, attr)
        finally:
            self._busy.discard(key)
        self._attributes[key] = value
        return value

    def _attribute_type(self, cls: sym.Class, attr: str) -> v.Value:
        from sessionlint.project.infer import Scope, strip

        infer = self._infer
        for candidate in self.mro(cls):
            declared = candidate.attributes.get(attr)
            found: list[v.Value] = []
            if declared is not None and declared.annotation is not None:
                typed = infer.annotations.value(declared.annotation, candidate.module, candidate.parent)
                found.append(infer.wiring.of_field(cls, attr, strip(typed)))
            for method, expr, annotation in self.assigned(candidate).get(attr, ()):
                if annotation is not None:
                    typed = infer.annotations.value(annotation, candidate.module, method)
                    found.append(typed)
                found.append(infer.expr(expr, Scope(candidate.module, method)))
            if declared is not None and declared.value is not None:
                found.append(infer.expr(declared.value, Scope(candidate.module, candidate.parent)))
            value = v.union(strip(x) for x in found)
            if not isinstance(value, v.Unknown) and value != v.NONE:
                return most_concrete(self, value)
        return v.UNKNOWN

    def attribute(self, obj: v.Instance, attr: str) -> v.Value:
        """``obj.attr``: a field it was built with, a property, a bound method, or what its class says."""
        stored = obj.get(attr)
        if stored is not None:
            return stored
        method = self.method(obj.cls, attr)
        if method is not None:
            if method.is_property:
                return self._property(obj, method)
            return self._infer.function_ref(method, obj)
        value = self.attribute_type(obj.cls, attr)
        if isinstance(value, v.Unknown):
            for candidate in self.mro(obj.cls):
                inner = candidate.nested.get(attr)
                if inner is not None:
                    return v.ClassRef(inner)
            for outside in self.outside_bases(obj.cls):
                if outside.rpartition(".")[2] not in {"ABC", "Generic", "Protocol", "object"}:
                    return v.ExternalObject(f"{outside}.{attr}")
            return self._of_subclasses(obj, attr)
        if obj.root is not None:
            return v.reroot(value, obj.root.child(attr))
        return value

    def _of_subclasses(self, obj: v.Instance, attr: str) -> v.Value:
        """A method that only subclasses have: the object is one of those (a mixin, a generic's bound)."""
        found: dict[str, v.Value] = {}
        for below in self.subclasses(obj.cls):
            method = self.method(below, attr)
            if method is not None and not method.is_property and method.key not in found:
                found[method.key] = self._infer.function_ref(method, v.Instance(below, obj.root, obj.fields))
        return v.union(found.values()) if len(found) <= MAX_BELOW else v.UNKNOWN

    def _property(self, obj: v.Instance, method: sym.Function) -> v.Value:
        """What a property of this object gives; one that leads back to itself gives nothing."""
        key = ("property", method.key)
        if key in self._busy:
            return v.UNKNOWN
        self._busy.add(key)
        try:
            return self._infer.substitute(self._infer.returns(method), {method.receiver or "self": obj}, None)
        finally:
            self._busy.discard(key)

    def class_member(self, cls: sym.Class, attr: str) -> v.Value:
        """``Class.attr``."""
        method = self.method(cls, attr)
        if method is not None:
            bound = v.ClassRef(cls) if "classmethod" in method.decorator_names else None
            return self._infer.function_ref(method, bound)
        for candidate in self.mro(cls):
            if attr in candidate.nested:
                return v.ClassRef(candidate.nested[attr])
        session = self._queried(cls) if attr == "query" else None
        if session is not None:
            return v.Rows(cls, session, lazy=True)
        value = self.attribute_type(cls, attr)
        return v.reroot(value, v.Origin("global", f"{cls.module.dotted}:{cls.name}.{attr}"))

    def _queried(self, cls: sym.Class) -> v.Origin | None:
        """The shared session behind ``Model.query``: Flask-SQLAlchemy's, or a registry's ``query_property()``."""
        from sessionlint.project.infer import Scope

        for candidate in self.mro(cls):
            declared = candidate.attributes.get("query")
            if declared is not None:
                scope = Scope(candidate.module, candidate.parent)
                value = self._infer.expr(declared.value, scope) if declared.value is not None else v.UNKNOWN
                return value.origin if isinstance(value, v.Rows) else None
        return EXTENSION_SESSION.origin if self._is_extension_model(cls) else None

    def holds_session(self, cls: sym.Class) -> bool:
        """Whether objects of the class can reach a session through their attributes."""
        return self._holding(cls, surely=False)

    def surely_holds_session(self, cls: sym.Class) -> bool:
        """Whether every object of the class reaches a session, whatever implements the interfaces on the way."""
        return self._holding(cls, surely=True)

    def _holding(self, cls: sym.Class, surely: bool) -> bool:
        known = self._holds.get((cls.key, surely))
        if known is not None:
            return known
        self._holds[cls.key, surely] = False
        self._holds[cls.key, surely] = self._computes_holding(cls, surely)
        return self._holds[cls.key, surely]

    def _computes_holding(self, cls: sym.Class, surely: bool) -> bool:
        if self.is_model(cls):
            return False
        names: set[str] = set()
        for candidate in self.mro(cls):
            names.update(self.assigned(candidate))
            names.update(n for n, a in candidate.attributes.items() if a.annotation is not None)
        if any(self._value_holds(self.attribute_type(cls, n), surely) for n in sorted(names)):
            return True
        if not self.is_interface(cls):
            return False
        below = self.subclasses(cls) or (self._conforming(cls) if self._is_protocol(cls) else [])
        if not surely:
            return any(self._holding(sub, surely) for sub in below)
        concrete = [c for c in below if not self.is_interface(c)]
        return bool(concrete) and all(self._holding(c, surely) for c in concrete)

    def _value_holds(self, value: v.Value, surely: bool) -> bool:
        if isinstance(value, v.Session):
            return True
        if isinstance(value, v.Instance):
            return self._holding(value.cls, surely)
        if isinstance(value, v.Options):
            objects = [o for o in value.options if not isinstance(o, (v.Literal, v.Unknown))]
            return bool(objects) and (all if surely else any)(self._value_holds(o, surely) for o in objects)
        if isinstance(value, v.Sequence):
            return self._value_holds(value.item, surely)
        return False

    # ---- construction ----------------------------------------------------------------------------------------------

    def fields(
        self, cls: sym.Class, args: tuple[v.Value, ...], keywords: Iterable[tuple[str, v.Value]], loc: s.Loc
    ) -> tuple[tuple[str, v.Value], ...]:
        """What the constructor puts into attributes, for the attributes that matter to sessions."""
        from sessionlint.project.infer import place_origin

        given = tuple(keywords)
        key = (cls.key, args, given, loc)
        known = self._fields.get(key)
        if known is not None:
            return known
        if ("fields", cls.key) in self._busy:
            return ()  # an object whose constructor builds another of its kind
        self._busy.add(("fields", cls.key))
        try:
            found = self._built(cls, args, given, place_origin(loc))
        finally:
            self._busy.discard(("fields", cls.key))
        self._fields[key] = tuple((n, x) for n, x in sorted(found.items()) if self._matters(x))
        return self._fields[key]

    def _built(
        self, cls: sym.Class, args: tuple[v.Value, ...], keywords: Iterable[tuple[str, v.Value]], fresh: v.Origin
    ) -> dict[str, v.Value]:
        """Every attribute the constructor sets, by name."""
        init = self.method(cls, "__init__")
        found: dict[str, v.Value] = {}
        if init is not None and not init.is_abstract:
            reference = v.FunctionRef(init, v.Instance(cls))
            binding = self._infer.bind(reference, args, keywords)
            self._run_assignments(init, binding, found, fresh, depth=0)
        else:
            names = self.data_fields(cls)
            for name, value in zip(names, args, strict=False):
                found[name] = value
            found.update((n, x) for n, x in keywords if n in names)
        return found

    def data_fields(self, cls: sym.Class) -> list[str]:
        """Annotated attributes in the order a generated constructor takes them."""
        names: list[str] = []
        for candidate in reversed(self.mro(cls)):
            names.extend(a.name for a in candidate.facts.attributes if a.annotation is not None and a.name not in names)
        return names

    def _matters(self, value: v.Value) -> bool:
        if isinstance(value, (v.FunctionRef, v.Instance, v.Factory, v.Session, v.Partial, v.ClassRef)):
            return True
        if isinstance(value, v.Options):
            return any(self._matters(o) for o in value.options)
        if isinstance(value, v.Literal):
            return value.value is None
        return bool(self._infer.holds(value))

    def _run_assignments(
        self,
        function: sym.Function,
        binding: Mapping[str, v.Value],
        found: dict[str, v.Value],
        fresh: v.Origin,
        depth: int,
    ) -> None:
        """Evaluate what a method assigns to ``self`` when called with ``binding``; follows ``super()`` calls."""
        from sessionlint.project.infer import Scope

        infer = self._infer
        receiver = function.receiver or "self"
        cls = function.owner
        env: dict[str, v.Value] = dict(binding)
        for name in function.parameters:
            env.setdefault(name, v.UNKNOWN)
        scope = Scope(function.module, function, env)
        mine = frozenset({fresh}).union(*(infer.holds(x) for x in binding.values()))
        for stmt in function.statements:
            if isinstance(stmt, s.Expression):
                call = stmt.value.value if isinstance(stmt.value, s.Await) else stmt.value
                if isinstance(call, s.Call) and isinstance(call.func, s.Attribute) and cls is not None and depth < 6:
                    base = call.func.value
                    if isinstance(base, s.Call) and sym.last_name(base.func) == "super":
                        above = self.method(cls, call.func.attr, skip=1)
                        if above is not None and above is not function:
                            args = tuple(infer.expr(a, scope) for a in call.args)
                            given = [(k.name or "**", infer.expr(k.value, scope)) for k in call.keywords]
                            inner = infer.bind(v.FunctionRef(above, env.get(receiver, v.UNKNOWN)), args, given)
                            self._run_assignments(above, inner, found, fresh, depth + 1)
                continue
            for target, expr, _ in _assignments(stmt):
                value = infer.expr(expr, scope)
                value = infer.substitute(value, {}, fresh, mine) if _is_local(value) else value
                if isinstance(target, s.Name):
                    env[target.id] = value
                elif (
                    isinstance(target, s.Attribute) and isinstance(target.value, s.Name) and target.value.id == receiver
                ):
                    previous = found.get(target.attr)
                    found[target.attr] = value if previous is None else v.union((previous, value))
                    env[f"{receiver}.{target.attr}"] = found[target.attr]

    def enter(self, obj: v.Instance, origin: v.Origin) -> v.Value:
        """What ``with obj as x`` binds: the result of ``__aenter__``, with the sessions that opens from ``origin``."""
        method = self.method(obj.cls, "__aenter__") or self.method(obj.cls, "__enter__")
        if method is None:
            return obj
        found = dict(obj.fields)
        opened: dict[str, v.Value] = {}
        receiver = method.receiver or "self"
        binding: dict[str, v.Value] = {receiver: obj}
        binding.update((f"{receiver}.{n}", x) for n, x in obj.fields)
        self._run_assignments(method, binding, opened, origin, depth=0)
        found.update((n, x) for n, x in opened.items() if self._matters(x))
        entered = v.Instance(obj.cls, obj.root if not opened else None, tuple(sorted(found.items())))
        result = self._infer.returns(method)
        if isinstance(result, v.Instance) and result.cls in self.mro(obj.cls):
            return entered
        if isinstance(result, v.Unknown):
            return entered if _returns_receiver(method) else v.UNKNOWN
        return self._infer.substitute(result, {receiver: entered}, origin)


def most_concrete(classes: Classes, value: v.Value) -> v.Value:
    """Drop interfaces from alternatives where an implementation of them is among the rest."""
    if not isinstance(value, v.Options):
        return value
    kept = []
    for option in value.options:
        if isinstance(option, v.Instance):
            below = [
                o
                for o in value.options
                if isinstance(o, v.Instance) and o.cls is not option.cls and classes.implements(o.cls, option.cls)
            ]
            if below:
                continue
        kept.append(option)
    return v.union(kept)


def _is_local(value: v.Value) -> bool:
    if isinstance(value, v.Session):
        return value.origin is not None and value.origin.kind == "local"
    if isinstance(value, v.Instance):
        return any(_is_local(x) for _, x in value.fields)
    return False


def _returns_receiver(method: sym.Function) -> bool:
    return any(
        isinstance(stmt, s.Return) and isinstance(stmt.value, s.Name) and stmt.value.id == method.receiver
        for stmt in method.statements
    )


def _assignments(stmt: s.Stmt) -> Iterable[tuple[s.Expr, s.Expr, s.Expr | None]]:
    """(target, value, annotation) of every single assignment a statement makes."""
    if isinstance(stmt, s.Assign):
        for target in stmt.targets:
            if isinstance(target, s.Collection) and isinstance(stmt.value, s.Collection):
                for inner, part in zip(target.items, stmt.value.items, strict=False):
                    yield inner, part, None
            else:
                yield target, stmt.value, None
    elif isinstance(stmt, s.AnnotatedAssign):
        if stmt.value is not None:
            yield stmt.target, stmt.value, stmt.annotation
        else:
            yield stmt.target, s.Constant(None, stmt.loc), stmt.annotation
    elif isinstance(stmt, s.With):
        for item in stmt.items:
            if isinstance(item.target, s.Attribute):
                yield item.target, item.context, None
