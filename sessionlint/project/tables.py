"""The model graph of a project: tables, foreign keys between mapped classes, relationships, and the insert order.

Knows classes by identity; what one class declares is read by ``mapping``. Must not know sessions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Inference, Scope
from sessionlint.project.mapping import ForeignKey, Model, Reader, Relationship, shared_prefix


class Reference(NamedTuple):
    """A foreign key of ``child`` that points at ``parent``."""

    child: sym.Class
    parent: sym.Class
    key: ForeignKey


class Tables:
    """The model graph of one project."""

    def __init__(self, infer: Inference) -> None:
        self._infer = infer
        self._reader = Reader(infer)
        #: mapped classes by class key
        self.models: dict[str, sym.Class] = {}
        self._named: dict[str, list[sym.Class]] = {}
        self._guessed: dict[str, list[sym.Class]] = {}
        self._read: dict[str, Model] = {}
        self._references: dict[str, tuple[Reference, ...]] = {}
        for cls in infer.table.classes.values():
            if infer.classes.is_model(cls):
                self.models[cls.key] = cls
                self._name(cls)

    # ---- one class -------------------------------------------------------------------------------------------------

    def model(self, cls: sym.Class) -> Model:
        """What a mapped class declares."""
        known = self._read.get(cls.key)
        if known is None:
            known = self._read[cls.key] = self._reader.read(cls)
            known.relationships.update(self._added_later.get(cls.key, {}))
        return known

    @cached_property
    def _added_later(self) -> dict[str, dict[str, Relationship]]:
        """Relationships a module gives to a class after its body: ``User.posts = relationship(...)``."""
        found: dict[str, dict[str, Relationship]] = {}
        for module in self._infer.table.modules.values():
            for stmt in sym.statements(module.facts.body):
                if not isinstance(stmt, s.Assign) or not isinstance(stmt.value, s.Call):
                    continue
                if sym.last_name(stmt.value.func) not in {"relationship", "dynamic_loader"}:
                    continue
                for target in stmt.targets:
                    if isinstance(target, s.Attribute):
                        owner = self._infer.expr(target.value, Scope(module))
                        if isinstance(owner, v.ClassRef):
                            made = self._reader.relationship(target.attr, stmt.value, None, owner.cls)
                            found.setdefault(owner.cls.key, {})[target.attr] = made
        return found

    def is_abstract(self, cls: sym.Class) -> bool:
        """A mapped base without a table of its own."""
        declared = cls.attributes.get("__abstract__")
        return declared is not None and isinstance(declared.value, s.Constant) and declared.value.value is True

    def base(self, cls: sym.Class) -> sym.Class:
        """The topmost mapped class of an inheritance hierarchy: its mapper sorts for all below it."""
        above = [c for c in self._infer.classes.mro(cls) if c.key in self.models and not self._is_plain_base(c)]
        return above[-1] if above else cls

    def _is_plain_base(self, cls: sym.Class) -> bool:
        if self.is_abstract(cls):
            return True
        if any(k.name == "table" for k in cls.facts.keywords) or {"__tablename__", "__table__"} & cls.attributes.keys():
            return False
        return not self.model(cls).primary_key

    # ---- references ------------------------------------------------------------------------------------------------

    def references(self, child: sym.Class) -> tuple[Reference, ...]:
        """The foreign keys of a class with the classes they point at."""
        known = self._references.get(child.key)
        if known is None:
            made = []
            for key in self.model(child).foreign_keys:
                parent = self._parent(key, child)
                if parent is not None:
                    made.append(Reference(child, parent, key))
            known = self._references[child.key] = tuple(made)
        return known

    def between(self, child: sym.Class, parent: sym.Class) -> tuple[Reference, ...]:
        """The foreign keys by which ``child`` points at ``parent`` or at a mapped base of it."""
        lineage = {c.key for c in self._infer.classes.mro(parent)}
        return tuple(r for r in self.references(child) if r.parent.key in lineage)

    @cached_property
    def parents(self) -> dict[str, tuple[sym.Class, ...]]:
        """Child class key to the classes its foreign keys point at."""
        found = {}
        for key, cls in self.models.items():
            above = tuple(dict.fromkeys(r.parent for r in self.references(cls)))
            if above:
                found[key] = above
        return found

    @cached_property
    def children(self) -> dict[str, list[sym.Class]]:
        """Parent class key to the classes that point at it."""
        found: dict[str, list[sym.Class]] = {}
        for key, above in self.parents.items():
            for parent in above:
                found.setdefault(parent.key, []).append(self.models[key])
        return found

    def is_parent(self, cls: sym.Class | None) -> bool:
        """Whether another model's foreign key points at this one."""
        return cls is not None and any(child.key != cls.key for child in self.children.get(cls.key, ()))

    def is_child_of(self, child: sym.Class, parent: sym.Class) -> bool:
        return any(p.key == parent.key for p in self.parents.get(child.key, ()))

    # ---- relationships and insert order ----------------------------------------------------------------------------

    def ordered(self, first: sym.Class, second: sym.Class) -> bool | None:
        """Whether a relationship makes rows of ``first`` be inserted before those of ``second``; None if unknown.

        The unit of work looks at relationships between the two hierarchies, whichever foreign key they follow.
        """
        first_base, second_base = self.base(first), self.base(second)
        related = False
        for one, other in ((first, second_base), (second, first_base)):
            for relationship in self._all_relationships(one):
                if relationship.target is None:
                    if relationship.ordering:
                        return None
                elif relationship.ordering and self.base(relationship.target).key == other.key:
                    related = True
        if not related:
            return False
        backwards = any(self.base(r.parent).key == second_base.key for r in self.references(first))
        return None if backwards else bool(self.between_hierarchies(second, first))

    def between_hierarchies(self, child: sym.Class, parent: sym.Class) -> tuple[Reference, ...]:
        base = self.base(parent).key
        return tuple(r for r in self.references(child) if self.base(r.parent).key == base)

    def _all_relationships(self, cls: sym.Class) -> Iterable[Relationship]:
        """Relationships of the class and of everything else its base mapper sorts for."""
        base = self.base(cls)
        yield from self.model(cls).relationships.values()
        for other in (base, *self._infer.classes.subclasses(base)):
            if other.key != cls.key and other.key in self.models:
                yield from self.model(other).relationships.values()

    def insert_levels(self, together: Sequence[sym.Class]) -> dict[str, tuple[int, str]] | None:
        """Sort key of each base mapper among those flushed together; None where relationships form a cycle.

        SQLAlchemy takes mappers in rounds: first those no relationship holds back, by ``module.ClassName``, then those
        that only waited for them, and so on (``orm.unitofwork``, ``util.topological.sort_as_subsets``).
        """
        bases = {self.base(c).key: self.base(c) for c in together}
        members: dict[str, list[sym.Class]] = {}
        for cls in together:
            members.setdefault(self.base(cls).key, []).append(cls)
        before: dict[str, set[str]] = {key: set() for key in bases}
        for key in bases:
            for other in bases:
                if other != key and any(self.ordered(a, b) for a in members[other] for b in members[key]):
                    before[key].add(other)
        levels: dict[str, tuple[int, str]] = {}
        level = 0
        while len(levels) < len(bases):
            ready = [k for k in bases if k not in levels and before[k] <= levels.keys()]
            if not ready:
                return None
            for key in ready:
                levels[key] = (level, f"{bases[key].module.dotted}.{bases[key].name}")
            level += 1
        return levels

    # ---- names of tables -------------------------------------------------------------------------------------------

    def _name(self, cls: sym.Class) -> None:
        if self.is_abstract(cls):
            return
        for candidate in self._infer.classes.mro(cls):
            declared = candidate.attributes.get("__tablename__")
            if declared is not None and declared.value is not None:
                value = self._infer.expr(declared.value, Scope(candidate.module, candidate.parent))
                if isinstance(value, v.Literal) and isinstance(value.value, str):
                    if candidate is cls or not self.is_mapped_above(cls, candidate):
                        self._named.setdefault(value.value, []).append(cls)
                    return
                break
            table = candidate.attributes.get("__table__")
            if table is not None:
                call = self._reader.table_call(table.value, candidate)
                first = call.args[0] if call is not None and call.args else None
                if isinstance(first, s.Constant) and isinstance(first.value, str):
                    self._named.setdefault(first.value, []).append(cls)
                return
        for guess in _conventional_names(cls.name):
            self._guessed.setdefault(guess, []).append(cls)

    def is_mapped_above(self, cls: sym.Class, candidate: sym.Class) -> bool:
        """Whether the table name comes from a mapped parent: single-table inheritance."""
        return candidate is not cls and candidate.key in self.models and not self.is_abstract(candidate)

    def table_names(self, cls: sym.Class) -> frozenset[str]:
        """The names a table is or may be known by."""
        own = {n for n, found in self._named.items() if cls in found}
        return frozenset(own or {n for n, found in self._guessed.items() if cls in found})

    def _parent(self, key: ForeignKey, child: sym.Class) -> sym.Class | None:
        if key.target is not None:
            return key.target if key.target.key in self.models else None
        found = self._named.get(key.table) or self._guessed.get(key.table) or ()
        nearest = sorted(found, key=lambda c: -shared_prefix(c.module.path, child.module.path))
        return nearest[0] if nearest else None


def _conventional_names(name: str) -> tuple[str, ...]:
    """Table names that naming conventions make of a class name: lower, snake, and their plurals."""
    words = []
    for index, char in enumerate(name):
        if char.isupper() and index and not name[index - 1].isupper():
            words.append("_")
        words.append(char.lower())
    snake = "".join(words)
    found = []
    for form in (snake, snake.replace("_", "")):
        found += [form, f"{form}s", f"{form}es"]
        if form.endswith("y"):
            found.append(f"{form[:-1]}ies")
        for tail in ("_model", "model"):
            if form.endswith(tail) and form != tail:
                found += [form.removesuffix(tail), f"{form.removesuffix(tail)}s"]
    return tuple(dict.fromkeys(found))
