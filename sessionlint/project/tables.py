"""Mapped classes and their foreign keys: which model is a parent of which.

Reads declarative models (``mapped_column``, ``Column``, ``ForeignKey`` by table name or column, mixins, abstract
bases, SQLModel ``Field(foreign_key=...)``) and imperative ``Table(...)``. Class identity only; insert order and
relationships are asked elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable

from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Inference, Scope


class Tables:
    """The model graph of one project."""

    def __init__(self, infer: Inference) -> None:
        self._infer = infer
        #: mapped classes by class key
        self.models: dict[str, sym.Class] = {}
        #: table name -> class
        self._by_table: dict[str, sym.Class] = {}
        #: child class key -> parent classes its foreign keys point at
        self.parents: dict[str, tuple[sym.Class, ...]] = {}
        #: parent class key -> child classes
        self.children: dict[str, list[sym.Class]] = {}
        for cls in infer.table.classes.values():
            if infer.classes.is_model(cls):
                self.models[cls.key] = cls
                name = self._table_name(cls)
                if name:
                    self._by_table.setdefault(name, cls)
        for cls in list(self.models.values()):
            found = tuple(dict.fromkeys(self._referenced(cls)))
            if found:
                self.parents[cls.key] = found
                for parent in found:
                    self.children.setdefault(parent.key, []).append(cls)

    def is_parent(self, cls: sym.Class | None) -> bool:
        """Whether another model's foreign key points at this one."""
        return cls is not None and any(child.key != cls.key for child in self.children.get(cls.key, ()))

    def is_child_of(self, child: sym.Class, parent: sym.Class) -> bool:
        return any(p.key == parent.key for p in self.parents.get(child.key, ()))

    def _table_name(self, cls: sym.Class) -> str:
        for candidate in self._infer.classes.mro(cls):
            declared = candidate.attributes.get("__tablename__")
            if (
                declared is not None
                and isinstance(declared.value, s.Constant)
                and isinstance(declared.value.value, str)
            ):
                return declared.value.value
        return _snake(cls.name) if not any(k.name == "table" for k in cls.facts.keywords) else cls.name.lower()

    def _referenced(self, cls: sym.Class) -> Iterable[sym.Class]:
        for candidate in self._infer.classes.mro(cls):
            for attribute in candidate.facts.attributes:
                if attribute.value is not None:
                    yield from self._in_expression(attribute.value, candidate)
                if attribute.annotation is not None:
                    yield from self._in_expression(attribute.annotation, candidate)
            for method in candidate.methods.values():
                if "declared_attr" in method.decorator_names or "declared_attr" in str(method.decorator_names):
                    for stmt in sym.statements(method.facts.body):
                        if isinstance(stmt, s.Return) and stmt.value is not None:
                            yield from self._in_expression(stmt.value, candidate)

    def _in_expression(self, expr: s.Expr, cls: sym.Class) -> Iterable[sym.Class]:
        for part in sym.walk(expr):
            if not isinstance(part, s.Call):
                continue
            name = sym.last_name(part.func)
            if name == "ForeignKey" and part.args:
                found = self._target(part.args[0], cls)
                if found is not None:
                    yield found
            elif name == "ForeignKeyConstraint" and len(part.args) > 1:
                columns = part.args[1]
                for item in columns.items if isinstance(columns, s.Collection) else ():
                    found = self._target(item, cls)
                    if found is not None:
                        yield found
            for keyword in part.keywords:
                if keyword.name == "foreign_key":
                    found = self._target(keyword.value, cls)
                    if found is not None:
                        yield found

    def _target(self, expr: s.Expr, cls: sym.Class) -> sym.Class | None:
        if isinstance(expr, s.Constant) and isinstance(expr.value, str):
            parts = expr.value.split(".")
            return self._by_table.get(parts[-2]) if len(parts) > 1 else None
        if isinstance(expr, s.Attribute):
            value = self._infer.expr(expr.value, Scope(cls.module, cls.parent))
            if isinstance(value, v.ClassRef) and value.cls.key in self.models:
                return value.cls
        return None


def _snake(name: str) -> str:
    """Flask-SQLAlchemy's default table name."""
    out = []
    for index, char in enumerate(name):
        if char.isupper() and index and (not name[index - 1].isupper()):
            out.append("_")
        out.append(char.lower())
    return "".join(out)
