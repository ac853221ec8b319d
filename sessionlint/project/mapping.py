"""What one mapped class declares: its columns, foreign keys, relationships and mapper options.

Reads declarative models (``mapped_column``, ``Column``, annotations alone, mixins, abstract bases, ``declared_attr``,
column types behind ``Annotated`` aliases and helper functions), SQLModel (``Field``, ``Relationship``) and
``__table__ = Table(...)``. Plain data per class; who refers to whom across classes is ``tables``' business.

Source: SQLAlchemy 2.0 "Mapped Class Essential Components", SQLModel "Define Relationship Attributes".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Inference, Scope

_COLUMN_MAKERS = frozenset({"Column", "mapped_column", "Field", "deferred"})
_RELATIONSHIP_MAKERS = frozenset({"relationship", "Relationship", "dynamic_loader"})
_MAPPED = frozenset({"Mapped", "DynamicMapped", "WriteOnlyMapped"})
_JSON_TYPES = frozenset({"JSON", "JSONB", "JSONType", "ARRAY", "PickleType", "HSTORE"})
_SETTINGS = frozenset({"__tablename__", "__table__", "__table_args__", "__mapper_args__", "__abstract__"})


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """One constraint: own attributes, the table it refers to and the columns there. ``target`` is set for
    ``ForeignKey(Model.id)``; ``lenient`` where the database does not check it row by row (deferrable, use_alter)."""

    columns: tuple[str, ...]
    table: str
    referred: tuple[str, ...]
    target: sym.Class | None
    lenient: bool
    loc: s.Loc


@dataclass(frozen=True, slots=True)
class Column:
    """One column. ``default`` and ``onupdate`` are "", client (computed by SQLAlchemy while it flushes), server, or
    (default only) init (set when the object is constructed). ``type`` is the last name of its SQL type."""

    attribute: str
    name: str
    path: str
    loc: s.Loc
    type: str = ""
    mutable: bool = False
    primary_key: bool = False
    nullable: bool | None = None
    unique: bool = False
    default: str = ""
    onupdate: str = ""


@dataclass(frozen=True, slots=True)
class Relationship:
    """One relationship. ``target`` is None where the other side cannot be told; ``ordering`` is False for those that
    do not order inserts (viewonly, post_update, through a secondary table)."""

    attribute: str
    target: sym.Class | None
    ordering: bool
    many: bool | None
    lazy: str
    path: str
    loc: s.Loc


@dataclass(slots=True)
class Model:
    """A mapped class with everything its bases and mixins give it."""

    cls: sym.Class
    columns: dict[str, Column] = field(default_factory=dict)
    relationships: dict[str, Relationship] = field(default_factory=dict)
    foreign_keys: list[ForeignKey] = field(default_factory=list)
    uniques: list[tuple[str, ...]] = field(default_factory=list)
    versioned: bool = False
    eager_defaults: bool = False
    #: assigns attributes in a constructor of its own, or is a dataclass
    sets_own: frozenset[str] = frozenset()

    @property
    def primary_key(self) -> tuple[Column, ...]:
        return tuple(c for c in self.columns.values() if c.primary_key)

    def attribute_of(self, column: str) -> str:
        """The attribute a column name is mapped to."""
        return next((c.attribute for c in self.columns.values() if c.name == column), column)


class Reader:
    """Reads mapped classes of one project."""

    def __init__(self, infer: Inference) -> None:
        self._infer = infer

    def read(self, cls: sym.Class) -> Model:
        """Everything a mapped class declares, its bases included; what is nearer wins."""
        model = Model(cls)
        lineage = self._infer.classes.mro(cls)
        for candidate in lineage:
            for attribute in candidate.facts.attributes:
                self._attribute(model, candidate, attribute)
            for method in candidate.methods.values():
                if any("declared_attr" in _decorator_text(d) for d in method.facts.decorators):
                    for value in _returned(method):
                        declared = s.ClassAttribute(method.name, method.facts.returns, value, method.facts.loc)
                        self._attribute(model, candidate, declared)
        outside = {d.rpartition(".")[2] for d in self._infer.classes.outside_bases(cls)}
        if (
            "MappedAsDataclass" in outside
            or "dataclass" in cls.decorator_names
            or "mapped_as_dataclass" in str(outside)
        ):
            model.sets_own = frozenset({"*"})
        for candidate in lineage:
            for attr, assigned in self._infer.classes.assigned(candidate).items():
                if any(method.name == "__init__" for method, _, _ in assigned):
                    model.sets_own |= {attr}
        return model

    # ---- one attribute ---------------------------------------------------------------------------------------------

    def _attribute(self, model: Model, cls: sym.Class, attribute: s.ClassAttribute) -> None:
        if attribute.name in _SETTINGS:
            self._setting(model, cls, attribute)
            return
        if attribute.name in model.columns or attribute.name in model.relationships:
            return
        call = self._declaring_call(attribute.value, cls)
        made = sym.last_name(call.func) if call is not None else None
        if call is not None and made in _RELATIONSHIP_MAKERS:
            model.relationships[attribute.name] = self.relationship(attribute.name, call, attribute.annotation, cls)
        elif call is not None:
            self._column(model, cls, attribute, call)
        elif attribute.annotation is not None and _is_mapped(attribute.annotation):
            target = self._annotated_model(attribute.annotation, cls)
            if target is not None:
                model.relationships[attribute.name] = Relationship(
                    attribute.name, target, True, None, "", cls.module.path, attribute.loc
                )
            else:
                inner = self._aliased_call(attribute.annotation, cls)
                self._column(
                    model, cls, attribute, inner or s.Call(s.Name("Column", attribute.loc), (), (), attribute.loc)
                )

    def _declaring_call(self, value: s.Expr | None, cls: sym.Class, depth: int = 0) -> s.Call | None:
        """The ``Column(...)``, ``mapped_column(...)`` or ``relationship(...)`` behind an attribute's value."""
        if value is None or depth > 2:
            return None
        for part in sym.walk(value):
            if isinstance(part, s.Call) and sym.last_name(part.func) in _COLUMN_MAKERS | _RELATIONSHIP_MAKERS:
                inner = next((k.value for k in part.keywords if k.name in {"sa_column", "sa_relationship"}), None)
                return self._declaring_call(inner, cls, depth + 1) or part
        if isinstance(value, s.Call):
            target = self._infer.expr(value.func, Scope(cls.module, cls.parent))
            if isinstance(target, v.FunctionRef):
                for returned in _returned(target.function):
                    found = self._declaring_call(returned, target.function.owner or cls, depth + 1)
                    if found is not None:
                        return found
        return None

    def _aliased_call(self, annotation: s.Expr, cls: sym.Class) -> s.Call | None:
        """The ``mapped_column`` inside ``Annotated[int, mapped_column(primary_key=True)]``, named or in place."""
        for part in sym.walk(annotation):
            if isinstance(part, s.Call) and sym.last_name(part.func) in _COLUMN_MAKERS:
                return part
            if isinstance(part, s.Name):
                symbol = self._infer.table.lookup(cls.module, part.id)
                if isinstance(symbol, sym.Global):
                    for expr, _ in symbol.module.assigned.get(symbol.name, ()):
                        if isinstance(expr, s.Subscript) and sym.last_name(expr.value) == "Annotated":
                            for inner in sym.walk(expr):
                                if isinstance(inner, s.Call) and sym.last_name(inner.func) in _COLUMN_MAKERS:
                                    return inner
        return None

    # ---- columns ---------------------------------------------------------------------------------------------------

    def _column(self, model: Model, cls: sym.Class, attribute: s.ClassAttribute, call: s.Call) -> None:
        alias = self._aliased_call(attribute.annotation, cls) if attribute.annotation is not None else None
        calls = (call,) if alias is None or alias is call else (call, alias)
        given: dict[str, s.Expr] = {}
        for one in reversed(calls):
            given.update({k.name: k.value for k in one.keywords if k.name})
        arguments = [a for one in calls for a in one.args]
        name = next(
            (a.value for a in call.args[:1] if isinstance(a, s.Constant) and isinstance(a.value, str)), attribute.name
        )
        if isinstance(given.get("name"), s.Constant):
            name = str(given["name"].value)  # type: ignore[union-attr]
        keys = [k for a in (*arguments, *given.values()) for k in self._foreign_keys(a, (attribute.name,), cls)]
        if "foreign_key" in given:  # SQLModel
            keys.extend(self._target((attribute.name,), given["foreign_key"], cls, False, call.loc))
        model.foreign_keys.extend(keys)
        nullable = _flag(given.get("nullable"))
        primary = _flag(given.get("primary_key")) is True
        type_name, mutable = self._type(arguments, given, attribute, cls)
        model.columns[attribute.name] = Column(
            attribute.name,
            name,
            cls.module.path,
            attribute.loc,
            type_name,
            mutable,
            primary,
            _annotated_nullable(attribute.annotation) if nullable is None else nullable,
            _flag(given.get("unique")) is True,
            self._default(given, arguments, sym.last_name(call.func) == "Field"),
            self._onupdate(given),
        )

    def _type(
        self, arguments: list[s.Expr], given: Mapping[str, s.Expr], attribute: s.ClassAttribute, cls: sym.Class
    ) -> tuple[str, bool]:
        """(last name of the SQL type, whether changes inside its values are tracked)."""
        texts = [*arguments, *(given[n] for n in ("type_", "sa_type") if n in given)]
        found, mutable = "", False
        for expr in texts:
            for part in sym.walk(expr):
                name = sym.last_name(part) if isinstance(part, (s.Name, s.Attribute)) else None
                if name is None:
                    continue
                if name.startswith("Mutable") or name in {"as_mutable", "mutable_json_type", "NestedMutableJson"}:
                    mutable = True
                if not found and name[:1].isupper() and name not in {"ForeignKey", "Sequence", "Identity", "Computed"}:
                    found = name
                symbol = self._infer.table.lookup(cls.module, name) if isinstance(part, s.Name) else None
                if isinstance(symbol, sym.Global):
                    for assigned, _ in symbol.module.assigned.get(symbol.name, ()):
                        words = {sym.last_name(p) or "" for p in sym.walk(assigned)}
                        mutable = mutable or any("utable" in w for w in words)
                        found = next((w for w in sorted(words) if w in _JSON_TYPES), found)
                elif isinstance(symbol, sym.Class):
                    mutable = mutable or any("utable" in d for d in self._infer.classes.outside_bases(symbol))
        if not found and attribute.annotation is not None:
            words = {sym.last_name(p) or "" for p in sym.walk(attribute.annotation)}
            if any("Mutable" in w for w in words):
                mutable = True
        return found, mutable

    def _default(self, given: Mapping[str, s.Expr], arguments: Iterable[s.Expr], is_field: bool) -> str:
        if is_field and ({"default_factory"} & given.keys() or not _is_none(given.get("default"))):
            return "init"
        if "default_factory" in given or ("insert_default" in given and "default" in given):
            return "init"
        if "default" in given and not _is_none(given["default"]):
            return "client"
        if "insert_default" in given:
            return "client"
        if "server_default" in given or "identity" in given:
            return "server"
        names = {sym.last_name(a) for a in arguments}
        return "server" if names & {"Identity", "Sequence", "FetchedValue", "Computed"} else ""

    def _onupdate(self, given: Mapping[str, s.Expr]) -> str:
        if "server_onupdate" in given:
            return "server"
        expr = given.get("onupdate")
        if expr is None:
            return ""
        text = sym.dotted_text(expr.func) if isinstance(expr, s.Call) else sym.dotted_text(expr)
        if isinstance(expr, s.Call) and (text.split(".")[0] in {"func", "text"} or ".func." in f".{text}"):
            return "server"
        return "server" if text.rpartition(".")[2] == "text" and isinstance(expr, s.Call) else "client"

    # ---- foreign keys ----------------------------------------------------------------------------------------------

    def _foreign_keys(self, expr: s.Expr, columns: tuple[str, ...], cls: sym.Class) -> Iterator[ForeignKey]:
        for part in sym.walk(expr):
            if isinstance(part, s.Call) and sym.last_name(part.func) == "ForeignKey" and part.args:
                yield from self._target(columns, part.args[0], cls, _lenient(part), part.loc)

    def _target(
        self, columns: tuple[str, ...], expr: s.Expr, cls: sym.Class, lenient: bool, loc: s.Loc
    ) -> Iterator[ForeignKey]:
        if isinstance(expr, s.Constant) and isinstance(expr.value, str) and "." in expr.value:
            parts = expr.value.split(".")
            yield ForeignKey(columns, parts[-2], (parts[-1],), None, lenient, loc)
        elif isinstance(expr, s.Attribute):
            base = expr.value
            if isinstance(base, s.Attribute) and base.attr in {"c", "columns"}:
                base = base.value
            if isinstance(base, s.Attribute) and base.attr == "__table__":
                base = base.value
            value = self._infer.expr(base, Scope(cls.module, cls.parent))
            if isinstance(value, v.ClassRef):
                yield ForeignKey(columns, "", (expr.attr,), value.cls, lenient, loc)
            else:
                name = self._named_table(base, cls)
                if name:
                    yield ForeignKey(columns, name, (expr.attr,), None, lenient, loc)

    def _named_table(self, expr: s.Expr, cls: sym.Class) -> str:
        """The name of a ``Table("name", ...)`` a module-level variable holds."""
        call = self.table_call(expr, cls)
        first = call.args[0] if call is not None and call.args else None
        return first.value if isinstance(first, s.Constant) and isinstance(first.value, str) else ""

    def table_call(self, expr: s.Expr | None, cls: sym.Class) -> s.Call | None:
        """The ``Table(...)`` call an expression is or names."""
        if isinstance(expr, s.Call):
            return expr if sym.last_name(expr.func) == "Table" else None
        symbol: sym.Symbol | None = None
        if isinstance(expr, s.Name):
            symbol = self._infer.table.lookup(cls.module, expr.id)
        elif isinstance(expr, s.Attribute):
            base = self._infer.expr(expr.value, Scope(cls.module, cls.parent))
            if isinstance(base, v.ModuleRef):
                symbol = self._infer.table.lookup(base.module, expr.attr)
        if isinstance(symbol, sym.Global):
            for assigned, _ in symbol.module.assigned.get(symbol.name, ()):
                if isinstance(assigned, s.Call) and sym.last_name(assigned.func) == "Table":
                    return assigned
        return None

    # ---- table arguments, mapper arguments -------------------------------------------------------------------------

    def _setting(self, model: Model, cls: sym.Class, attribute: s.ClassAttribute) -> None:
        value = attribute.value
        if value is None:
            return
        if attribute.name == "__mapper_args__":
            self._mapper_arguments(model, value)
        elif attribute.name == "__table__":
            table = self.table_call(value, cls)
            for argument in table.args if table is not None else ():
                self._table_item(model, cls, argument)
        elif attribute.name == "__table_args__":
            for part in value.items if isinstance(value, s.Collection) else ():
                self._table_item(model, cls, part)

    def _table_item(self, model: Model, cls: sym.Class, item: s.Expr) -> None:
        """A ``Column``, constraint or index among the arguments of a table."""
        if not isinstance(item, s.Call):
            return
        name = sym.last_name(item.func)
        first = item.args[0] if item.args else None
        if name == "Column" and isinstance(first, s.Constant) and isinstance(first.value, str):
            self._column(model, cls, s.ClassAttribute(first.value, None, item, item.loc), item)
        elif name == "ForeignKeyConstraint" and len(item.args) > 1:
            columns, referred = (_texts(a) for a in item.args[:2])
            if columns and referred and all("." in r for r in referred):
                own = tuple(model.attribute_of(c) for c in columns)
                table = referred[0].split(".")[-2]
                names = tuple(r.rpartition(".")[2] for r in referred)
                model.foreign_keys.append(ForeignKey(own, table, names, None, _lenient(item), item.loc))
        elif name == "UniqueConstraint":
            model.uniques.append(tuple(t for a in item.args for t in (_texts(a) or _texts_of_one(a))))
        elif name == "Index" and any(k.name == "unique" and _flag(k.value) is True for k in item.keywords):
            if not any(k.name and k.name.endswith("_where") for k in item.keywords):
                model.uniques.append(tuple(t for a in item.args[1:] for t in _texts_of_one(a)))

    def _mapper_arguments(self, model: Model, value: s.Expr) -> None:
        if not isinstance(value, s.Collection):
            return
        for key, item in zip(value.keys, value.items, strict=False):
            if isinstance(key, s.Constant) and key.value == "version_id_col":
                model.versioned = True
            elif isinstance(key, s.Constant) and key.value == "eager_defaults":
                model.eager_defaults = _flag(item) is True

    # ---- relationships ---------------------------------------------------------------------------------------------

    def relationship(self, name: str, call: s.Call, annotation: s.Expr | None, cls: sym.Class) -> Relationship:
        """What a ``relationship(...)`` call says, the annotation helping out with the target."""
        given = {k.name: k.value for k in call.keywords if k.name}
        argument = call.args[0] if call.args else given.get("argument")
        target = self._target_class(argument, cls) if argument is not None else None
        if target is None and annotation is not None:
            target = self._annotated_model(annotation, cls)
        secondary = "secondary" in given or len(call.args) > 1 or "link_model" in given
        ordering = not (secondary or _flag(given.get("viewonly")) or _flag(given.get("post_update")))
        lazy = given.get("lazy")
        many: bool | None = _is_many(annotation) if annotation is not None else None
        if _flag(given.get("uselist")) is False:
            many = False
        return Relationship(
            name,
            target,
            ordering,
            many,
            str(lazy.value) if isinstance(lazy, s.Constant) and lazy.value is not None else "",
            cls.module.path,
            call.loc,
        )

    def _target_class(self, expr: s.Expr, cls: sym.Class) -> sym.Class | None:
        if isinstance(expr, s.Constant) and isinstance(expr.value, str):
            return self.by_name(expr.value.rpartition(".")[2], cls, expr.value)
        if isinstance(expr, s.Lambda):
            return self._target_class(expr.body, cls)
        if isinstance(expr, s.Call) and expr.args and sym.last_name(expr.func) == "aliased":
            return self._target_class(expr.args[0], cls)
        value = self._infer.expr(expr, Scope(cls.module, cls.parent))
        return value.cls if isinstance(value, v.ClassRef) else None

    def _annotated_model(self, annotation: s.Expr, cls: sym.Class) -> sym.Class | None:
        """The mapped class an annotation speaks of, also where only type checkers import it."""
        for part in sym.walk(annotation):
            if isinstance(part, s.Constant) and isinstance(part.value, str):
                found = self.by_name(part.value.strip("\"' "), cls)
            elif isinstance(part, s.Name):
                value = self._infer.expr(part, Scope(cls.module, cls.parent))
                found = value.cls if isinstance(value, v.ClassRef) else None
                if found is None and part.id[:1].isupper() and self._infer.table.lookup(cls.module, part.id) is None:
                    found = self.by_name(part.id, cls)
            else:
                continue
            if found is not None and self._infer.classes.is_model(found):
                return found
        return None

    def by_name(self, name: str, cls: sym.Class, dotted: str = "") -> sym.Class | None:
        """The mapped class of that name, as the declarative registry would find it: the nearest, where several are."""
        found = [
            c
            for c in self._infer.table.classes.values()
            if c.name == name and c.parent is cls.parent and self._infer.classes.is_model(c)
        ] or [c for c in self._infer.table.classes.values() if c.name == name and self._infer.classes.is_model(c)]
        if len(found) > 1 and "." in dotted:
            found = [c for c in found if f"{c.module.dotted}.{c.name}".endswith(dotted)] or found
        return max(found, key=lambda c: shared_prefix(c.module.path, cls.module.path), default=None)


def shared_prefix(a: str, b: str) -> int:
    """Number of leading path components two files share."""
    count = 0
    for left, right in zip(a.split("/"), b.split("/"), strict=False):
        if left != right:
            break
        count += 1
    return count


def _decorator_text(expr: s.Expr) -> str:
    return sym.dotted_text(expr.func if isinstance(expr, s.Call) else expr)


def _returned(function: sym.Function) -> Iterator[s.Expr]:
    for stmt in function.statements:
        if isinstance(stmt, s.Return) and stmt.value is not None:
            yield stmt.value


def _is_mapped(annotation: s.Expr) -> bool:
    return isinstance(annotation, s.Subscript) and sym.last_name(annotation.value) in _MAPPED


def _is_many(annotation: s.Expr) -> bool:
    words = {sym.last_name(p) for p in sym.walk(annotation) if isinstance(p, (s.Name, s.Attribute))}
    return bool(words & {"list", "List", "set", "Set", "Sequence", "Collection", "DynamicMapped", "WriteOnlyMapped"})


def _annotated_nullable(annotation: s.Expr | None) -> bool | None:
    if annotation is None:
        return None
    for part in sym.walk(annotation):
        if isinstance(part, s.Constant) and part.value is None:
            return True
        if isinstance(part, s.Name) and part.id == "Optional":
            return True
    return False


def _flag(expr: s.Expr | None) -> bool | None:
    return expr.value if isinstance(expr, s.Constant) and isinstance(expr.value, bool) else None


def _is_none(expr: s.Expr | None) -> bool:
    return expr is None or (isinstance(expr, s.Constant) and expr.value is None)


def _lenient(call: s.Call) -> bool:
    """Checked at the end of the transaction, or added by a later ALTER."""
    return any(
        k.name in {"deferrable", "initially", "use_alter"} and not (_flag(k.value) is False or _is_none(k.value))
        for k in call.keywords
    )


def _texts(expr: s.Expr) -> tuple[str, ...]:
    if not isinstance(expr, s.Collection):
        return ()
    return tuple(i.value for i in expr.items if isinstance(i, s.Constant) and isinstance(i.value, str))


def _texts_of_one(expr: s.Expr) -> tuple[str, ...]:
    if isinstance(expr, s.Constant) and isinstance(expr.value, str):
        return (expr.value,)
    name = sym.last_name(expr) if isinstance(expr, (s.Name, s.Attribute)) else None
    return (name,) if name else ()
