"""Who defines what: modules, classes and functions of all files, and the names that lead to them.

Resolves names by path (PEP 420), through relative imports of any depth, re-exports, star imports, function-local
imports and module globals rebound elsewhere with ``global``. Says nothing about types or sessions.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

from sessionlint.facts import shape as s
from sessionlint.project.shipped import outline

_STDLIB = frozenset(sys.stdlib_module_names)
_TEST_PARTS = frozenset({"test", "tests", "testing", "conftest", "e2e"})


class Module:
    """One file. ``dotted`` is its path as a module name relative to the project root."""

    __slots__ = ("assigned", "classes", "dotted", "facts", "functions", "imports", "is_package", "is_test", "path")

    def __init__(self, facts: s.FileFacts) -> None:
        self.path = facts.path
        self.facts = facts
        parts = facts.path.rsplit(".", 1)[0].split("/")
        self.is_package = parts[-1] == "__init__"
        if self.is_package:
            parts = parts[:-1]
        self.dotted = ".".join(parts)
        last = parts[-1] if parts else ""
        self.is_test = bool(_TEST_PARTS & set(parts)) or last.startswith("test_") or last.endswith("_test")
        self.functions: dict[str, Function] = {}
        self.classes: dict[str, Class] = {}
        self.imports: dict[str, s.Binding] = {b.local: b for b in facts.imports if b.local != "*"}
        #: module-level names and every expression ever assigned to them, with the function that does it (or None)
        self.assigned: dict[str, list[tuple[s.Expr, Function | None]]] = {}

    @property
    def module(self) -> Module:
        """Itself: a finding at module level stands in its module, as one in a function stands in the function's."""
        return self

    @property
    def qualname(self) -> str:
        """Empty: there is no function around what stands at module level."""
        return ""

    def __repr__(self) -> str:
        return f"Module({self.path})"


class Function:
    """One function or method; ``parent`` is the enclosing function, ``owner`` the class it is a method of."""

    def __init__(self, facts: s.FunctionFacts, module: Module) -> None:
        self.facts = facts
        self.module = module
        self.name = facts.name
        self.qualname = facts.qualname.partition("#")[0]
        self.owner: Class | None = None
        self.parent: Function | None = None
        self.nested: dict[str, Function | Class] = {}

    @cached_property
    def key(self) -> str:
        """Identity across files: path and qualified name."""
        return f"{self.module.path}::{self.facts.qualname}"

    @cached_property
    def statements(self) -> tuple[s.Stmt, ...]:
        """Every statement of the body, nested blocks included; those of nested functions are theirs."""
        return tuple(statements(self.facts.body))

    @cached_property
    def expressions(self) -> tuple[s.Expr, ...]:
        """Every expression of the body, with all inside it; those of nested functions are theirs."""
        return tuple(expressions(self.facts.body))

    @cached_property
    def calls(self) -> tuple[s.Call, ...]:
        """Every call of the body."""
        return tuple(e for e in self.expressions if isinstance(e, s.Call))

    @cached_property
    def parameters(self) -> dict[str, s.Parameter]:
        return {p.name: p for p in self.facts.parameters}

    @cached_property
    def decorator_names(self) -> frozenset[str]:
        """Last components of the decorators' names."""
        return frozenset(filter(None, (last_name(d) for d in self.facts.decorators)))

    @cached_property
    def is_static(self) -> bool:
        return "staticmethod" in self.decorator_names

    @cached_property
    def is_property(self) -> bool:
        return bool({"property", "cached_property", "hybrid_property"} & self.decorator_names)

    @cached_property
    def receiver(self) -> str | None:
        """Name of the ``self`` or ``cls`` parameter of a method."""
        if self.owner is None or self.is_static or not self.facts.parameters:
            return None
        return self.facts.parameters[0].name

    @cached_property
    def is_abstract(self) -> bool:
        """Declared only: decorated as abstract, or a body that holds nothing but ``...``, ``pass`` or a raise."""
        if {"abstractmethod", "abstractproperty", "overload"} & self.decorator_names:
            return True
        body = self.facts.body
        if not body:
            return self.owner is not None
        if len(body) == 1 and isinstance(body[0], s.Raise) and self.owner is not None:
            return last_name(body[0].exception) == "NotImplementedError"
        return False

    @cached_property
    def bindings(self) -> dict[str, list[tuple[str, object]]]:
        """Local names and what binds them: (kind, expression or definition), in source order."""
        found: dict[str, list[tuple[str, object]]] = defaultdict(list)
        _collect_bindings(self.facts.body, found)
        for name in self.facts.globals | self.facts.nonlocals:
            found.pop(name, None)
        return dict(found)

    def __repr__(self) -> str:
        return f"Function({self.key})"


class Class:
    """One class."""

    def __init__(self, facts: s.ClassFacts, module: Module) -> None:
        self.facts = facts
        self.module = module
        self.name = facts.name
        self.qualname = facts.qualname.partition("#")[0]
        self.parent: Function | None = None
        self.methods: dict[str, Function] = {}
        self.attributes: dict[str, s.ClassAttribute] = {a.name: a for a in facts.attributes}
        self.nested: dict[str, Class] = {}
        self.subclasses: list[Class] = []

    @property
    def key(self) -> str:
        return f"{self.module.path}::{self.facts.qualname}"

    @cached_property
    def decorator_names(self) -> frozenset[str]:
        return frozenset(filter(None, (last_name(d) for d in self.facts.decorators)))

    def __repr__(self) -> str:
        return f"Class({self.key})"


class External:
    """A name that no file of the project defines, by its dotted path."""

    __slots__ = ("dotted",)

    def __init__(self, dotted: str) -> None:
        self.dotted = dotted

    def __repr__(self) -> str:
        return f"External({self.dotted})"


class Global:
    """A module-level variable."""

    __slots__ = ("module", "name")

    def __init__(self, module: Module, name: str) -> None:
        self.module = module
        self.name = name

    def __repr__(self) -> str:
        return f"Global({self.module.dotted}:{self.name})"


Symbol = Module | Class | Function | External | Global


class SymbolTable:
    """All definitions of a project and the paths by which names reach them."""

    def __init__(self, files: Sequence[s.FileFacts]) -> None:
        self.modules: dict[str, Module] = {}
        self._by_tail: dict[str, list[Module]] = defaultdict(list)
        self._found: dict[tuple[str, str], Module | None] = {}
        self._packages: set[str] = set()
        self._folders: set[str] = set()
        self.functions: dict[str, Function] = {}
        self.classes: dict[str, Class] = {}
        for facts in files:
            self._add(Module(facts))
        heads = {b.module.partition(".")[0] for f in files for b in f.imports if b.level == 0}
        #: folders at the top that the project itself imports from: what lies in them is inside a package
        self._top_packages = heads & {folder for folder in self._folders if "/" not in folder}
        self._lookups: dict[tuple[str, str], Symbol | None] = {}
        self._shipped: Module | None = None

    def _add(self, module: Module) -> None:
        _define(module)
        self.functions.update((f.key, f) for f in module.functions.values())
        self.classes.update((c.key, c) for c in module.classes.values())
        self.modules[module.path] = module
        self._by_tail[module.dotted.rpartition(".")[2]].append(module)
        folder = module.path.rpartition("/")[0]
        if module.is_package:
            self._packages.add(folder)
        while folder:
            self._folders.add(folder)
            folder = folder.rpartition("/")[0]

    # ---- modules ---------------------------------------------------------------------------------------------------

    def find_module(self, dotted: str, importer: Module) -> Module | None:
        """The project's module an absolute import of ``dotted`` means in ``importer``, or None for outside."""
        key = (dotted, importer.path.rpartition("/")[0])  # nothing but the folder of the importer matters
        if key not in self._found:
            self._found[key] = self._find_module(dotted, importer)
        return self._found[key]

    def _find_module(self, dotted: str, importer: Module) -> Module | None:
        head = dotted.partition(".")[0]
        if head in _STDLIB:
            return None
        tail = dotted.rpartition(".")[2]
        best: Module | None = None
        best_rank: tuple[int, int] = (-1, -1)
        for module in self._by_tail.get(tail, ()):
            if module.dotted != dotted and not module.dotted.endswith("." + dotted):
                continue
            root = module.dotted[: -len(dotted)].rstrip(".").replace(".", "/")
            if not self._is_source_root(root, head, importer):
                continue
            rank = (_common_prefix(root, importer.path), -len(root))
            if rank > best_rank:
                best, best_rank = module, rank
        return best

    def _is_source_root(self, root: str, head: str, importer: Module) -> bool:
        """Whether ``root`` can stand on sys.path for ``importer``: the project root, or a folder above the importer
        (or a ``src`` folder) that is no package itself."""
        if not root:
            return True
        if root in self._packages or root.partition("/")[0] in self._top_packages:
            return False
        above = importer.path.startswith(root + "/")
        if not above and root.rpartition("/")[2] not in {"src", "lib", "python", "backend", "server", "app"}:
            return False
        # a lone module deep below a PEP 420 package is not what `import redis` means
        return f"{root}/{head}" in self._folders or importer.path.rpartition("/")[0] == root

    def is_project_package(self, dotted: str, importer: Module) -> bool:
        """Whether ``dotted`` is a folder of the project without a module of its own (PEP 420)."""
        path = dotted.replace(".", "/")
        return path in self._folders or any(f.endswith("/" + path) for f in self._folders)

    def relative(self, module: Module, binding: s.Binding) -> str | None:
        """The absolute dotted name a relative import means, in terms of project paths."""
        parts = module.dotted.split(".") if module.dotted else []
        if not module.is_package:
            parts = parts[:-1]
        up = binding.level - 1
        if up > len(parts):
            return None
        base = parts[: len(parts) - up] if up else parts
        return ".".join([*base, *([binding.module] if binding.module else [])])

    def _module_at(self, dotted: str) -> Module | None:
        path = dotted.replace(".", "/")
        return self.modules.get(f"{path}.py") or self.modules.get(f"{path}/__init__.py" if path else "__init__.py")

    # ---- names -----------------------------------------------------------------------------------------------------

    def lookup(self, module: Module, name: str) -> Symbol | None:
        """What a module-level ``name`` of ``module`` means; None if the module does not bind it."""
        key = (module.path, name)
        if key in self._lookups:
            return self._lookups[key]
        self._lookups[key] = None  # cycles of star imports end here
        found = self._lookup(module, name)
        self._lookups[key] = found
        return found

    def _lookup(self, module: Module, name: str) -> Symbol | None:
        function = module.functions.get(name)
        if function is not None and function.owner is None and function.parent is None:
            return _implementation(function)
        cls = module.classes.get(name)
        if cls is not None:
            return cls
        binding = module.imports.get(name)
        if name in module.assigned and (binding is None or module.assigned[name]):
            return Global(module, name)
        if binding is not None:
            return self.resolve(module, binding)
        for star in module.facts.imports:
            if star.local == "*":
                target = self._import_target(module, star)
                if isinstance(target, Module):
                    exports = target.facts.exports
                    if exports is not None and name not in exports:
                        continue
                    if exports is None and name.startswith("_"):
                        continue
                    found = self.lookup(target, name)
                    if found is not None:
                        return found
        return None

    def _import_target(self, module: Module, binding: s.Binding) -> Module | str | None:
        """The module a ``from`` import reads from: of the project, or outside as a dotted name."""
        if binding.level:
            dotted = self.relative(module, binding)
            if dotted is None:
                return None
            return self._module_at(dotted) or dotted
        return self.find_module(binding.module, module) or binding.module

    def resolve(self, module: Module, binding: s.Binding) -> Symbol | None:
        """What one imported name means, followed to its definition."""
        if binding.name is None:
            loaded = binding.module if binding.local != binding.module.partition(".")[0] else binding.local
            if binding.local != binding.module.partition(".")[0] or "." not in binding.module:
                return self.find_module(binding.module, module) or self._package(binding.module, module)
            return self.find_module(loaded, module) or self._package(loaded, module)
        target = self._import_target(module, binding)
        if target is None:
            return None
        if isinstance(target, Module):
            found = self.lookup(target, binding.name)
            if found is not None:
                return found
            if target.is_package:
                inner = self._module_at(f"{target.dotted}.{binding.name}" if target.dotted else binding.name)
                if inner is not None:
                    return inner
            return None
        inner_dotted = f"{target}.{binding.name}" if target else binding.name
        if binding.level:
            return self._module_at(inner_dotted) or External(inner_dotted)
        return self.find_module(inner_dotted, module) or self._outside(inner_dotted)

    def _package(self, dotted: str, importer: Module) -> Symbol:
        return External(dotted)

    def member(self, symbol: Symbol, name: str, importer: Module) -> Symbol | None:
        """``symbol.name`` where symbol is a module or something outside."""
        if isinstance(symbol, Module):
            found = self.lookup(symbol, name)
            if found is not None:
                return found
            return self._module_at(f"{symbol.dotted}.{name}") if symbol.is_package else None
        if isinstance(symbol, External):
            dotted = f"{symbol.dotted}.{name}"
            return self.find_module(dotted, importer) or self._outside(dotted)
        return None

    def _outside(self, dotted: str) -> Symbol:
        """Something no file defines: a part of the reference runtime, which is known, or just its path."""
        found = outline(dotted) if dotted.startswith("sessionlint.") else None
        if found is None:
            return External(dotted)
        if self._shipped is None:
            self._shipped = Module(found[1])
            _define(self._shipped)
        return self.lookup(self._shipped, found[0]) or External(dotted)

    def all_functions(self) -> Iterable[Function]:
        return self.functions.values()


def _implementation(function: Function) -> Function:
    """What a call of an overloaded function runs: the definition behind its ``@overload`` declarations."""
    if "overload" not in function.decorator_names:
        return function
    same = [f for f in function.module.functions.values() if f.qualname == function.qualname]
    return next((f for f in reversed(same) if "overload" not in f.decorator_names), function)


def _define(module: Module) -> None:
    """Make the functions and classes of a file, and say which belongs where."""
    for facts in module.facts.functions:
        function = Function(facts, module)
        module.functions[facts.qualname] = function
    for class_facts in module.facts.classes:
        cls = Class(class_facts, module)
        module.classes[class_facts.qualname] = cls
    for function in module.functions.values():
        if function.facts.owner:
            function.owner = module.classes.get(function.facts.owner)
        if function.facts.parent:
            function.parent = module.functions.get(function.facts.parent)
    for cls in module.classes.values():
        for qualname in cls.facts.methods:
            method = module.functions[qualname]
            known = cls.methods.get(method.name)
            if known is None or not ({"setter", "deleter"} & method.decorator_names):
                cls.methods[method.name] = method
        if cls.facts.parent:
            cls.parent = module.functions.get(cls.facts.parent)
        if cls.facts.owner:
            module.classes[cls.facts.owner].nested[cls.name] = cls
    for function in module.functions.values():
        if function.parent is not None and function.owner is None:
            function.parent.nested[function.name] = function
    for cls in module.classes.values():
        if cls.parent is not None and cls.facts.owner is None:
            cls.parent.nested[cls.name] = cls
    _collect_assigned(module)


def last_name(expr: s.Expr | None) -> str | None:
    """The last component of a (called, subscripted) dotted name: ``router`` of ``a.router(x)``."""
    while expr is not None:
        if isinstance(expr, s.Name):
            return expr.id
        if isinstance(expr, s.Attribute):
            return expr.attr
        if isinstance(expr, s.Call):
            expr = expr.func
        elif isinstance(expr, s.Subscript):
            expr = expr.value
        else:
            return None
    return None


def dotted_text(expr: s.Expr) -> str:
    """``a.b.c`` as written, empty where the expression is no plain dotted name."""
    if isinstance(expr, s.Name):
        return expr.id
    if isinstance(expr, s.Attribute):
        base = dotted_text(expr.value)
        return f"{base}.{expr.attr}" if base else ""
    return ""


def statements(body: Iterable[s.Stmt]) -> Iterator[s.Stmt]:
    """Every statement of a body, nested blocks included, nested definitions not."""
    for stmt in body:
        yield stmt
        if isinstance(stmt, (s.If, s.While, s.For)):
            yield from statements(stmt.body)
            yield from statements(stmt.orelse)
        elif isinstance(stmt, s.With):
            yield from statements(stmt.body)
        elif isinstance(stmt, s.Try):
            yield from statements(stmt.body)
            for handler in stmt.handlers:
                yield from statements(handler.body)
            yield from statements(stmt.orelse)
            yield from statements(stmt.final)
        elif isinstance(stmt, s.Match):
            for case in stmt.cases:
                yield from statements(case.body)


def statement_expressions(stmt: s.Stmt) -> Iterable[s.Expr]:
    """The expressions a statement itself evaluates, not those of its blocks."""
    if isinstance(stmt, s.Assign):
        yield stmt.value
        yield from stmt.targets
    elif isinstance(stmt, (s.AnnotatedAssign, s.AugmentedAssign)):
        if stmt.value is not None:
            yield stmt.value
        yield stmt.target
    elif isinstance(stmt, (s.Expression, s.Return)):
        if stmt.value is not None:
            yield stmt.value
    elif isinstance(stmt, s.Raise):
        if stmt.exception is not None:
            yield stmt.exception
    elif isinstance(stmt, (s.If, s.While, s.Assert)):
        yield stmt.test
    elif isinstance(stmt, s.For):
        yield stmt.iterable
    elif isinstance(stmt, s.With):
        for item in stmt.items:
            yield item.context
    elif isinstance(stmt, s.Match):
        yield stmt.subject


def expressions(body: Iterable[s.Stmt]) -> Iterator[s.Expr]:
    """Every expression of a body, with all inside it; nested blocks included, nested definitions not."""
    for stmt in statements(body):
        for top in statement_expressions(stmt):
            yield from walk(top)


def calls(body: Iterable[s.Stmt]) -> Iterator[s.Call]:
    """Every call of a body, as for `expressions`."""
    return (expr for expr in expressions(body) if isinstance(expr, s.Call))


def _common_prefix(root: str, path: str) -> int:
    count = 0
    for a, b in zip(root.split("/"), path.split("/"), strict=False):
        if a != b:
            break
        count += 1
    return count


def _bind_target(target: s.Expr, kind: str, value: object, found: dict[str, list[tuple[str, object]]]) -> None:
    if isinstance(target, s.Name):
        found[target.id].append((kind, value))
    elif isinstance(target, s.Attribute):
        text = dotted_text(target)
        if text:
            found[text].append((kind, value))
    elif isinstance(target, s.Collection):
        for index, item in enumerate(target.items):
            inner = item.value if isinstance(item, s.Starred) else item
            _bind_target(inner, "item", (kind, value, index), found)
    elif isinstance(target, s.Starred):
        _bind_target(target.value, "item", (kind, value, None), found)


def _collect_bindings(body: Iterable[s.Stmt], found: dict[str, list[tuple[str, object]]]) -> None:
    for stmt in statements(body):
        if isinstance(stmt, s.Assign):
            for target in stmt.targets:
                _bind_target(target, "value", stmt.value, found)
        elif isinstance(stmt, s.AnnotatedAssign):
            if isinstance(stmt.target, s.Name):
                found[stmt.target.id].append(("annotation", stmt.annotation))
                if stmt.value is not None:
                    found[stmt.target.id].append(("value", stmt.value))
        elif isinstance(stmt, s.For):
            _bind_target(stmt.target, "each", stmt.iterable, found)
        elif isinstance(stmt, s.With):
            for item in stmt.items:
                if item.target is not None:
                    _bind_target(item.target, "enter", item.context, found)
        elif isinstance(stmt, s.Import):
            for binding in stmt.bindings:
                found[binding.local].append(("import", binding))
        elif isinstance(stmt, s.Define):
            found[stmt.name].append(("define", stmt))
        elif isinstance(stmt, s.Try):
            for handler in stmt.handlers:
                if handler.name:
                    found[handler.name].append(("exception", handler))
        elif isinstance(stmt, (s.Expression, s.Return, s.If, s.While)):
            expr = stmt.test if isinstance(stmt, (s.If, s.While)) else stmt.value
            if expr is not None:
                for walrus in walk(expr):
                    if isinstance(walrus, s.Assigned):
                        found[walrus.target.id].append(("value", walrus.value))


def walk(expr: s.Expr) -> list[s.Expr]:
    """The expression and all expressions inside it, outermost first."""
    out: list[s.Expr] = []
    waiting = [expr]
    while waiting:
        current = waiting.pop()
        out.append(current)
        inner = children(current)
        if inner:
            waiting.extend(reversed(inner))
    return out


def children(expr: s.Expr) -> tuple[s.Expr, ...]:
    """Direct sub-expressions in evaluation order."""
    parts = _PARTS.get(type(expr))
    return parts(expr) if parts is not None else ()


def _parts_of_choice(expr: s.Choice) -> tuple[s.Expr, ...]:
    return expr.options if expr.test is None else (expr.test, *expr.options)


def _parts_of_comprehension(expr: s.Comprehension) -> tuple[s.Expr, ...]:
    inside = (part for clause in expr.clauses for part in (clause.iterable, *clause.conditions))
    return (*inside, *expr.elements)


#: sub-expressions by type; a table because this is asked for every expression of a project, several times
_PARTS: dict[type, Callable[[Any], tuple[s.Expr, ...]]] = {
    s.Call: lambda e: (e.func, *e.args, *(k.value for k in e.keywords)),
    s.Attribute: lambda e: (e.value,),
    s.Await: lambda e: (e.value,),
    s.Not: lambda e: (e.value,),
    s.YieldFrom: lambda e: (e.value,),
    s.Starred: lambda e: (e.value,),
    s.Yield: lambda e: () if e.value is None else (e.value,),
    s.Subscript: lambda e: (e.value, e.index),
    s.Choice: _parts_of_choice,
    s.Compare: lambda e: (e.left, *e.rights),
    s.Collection: lambda e: (*(k for k in e.keys if k is not None), *e.items),
    s.Comprehension: _parts_of_comprehension,
    s.Lambda: lambda e: (e.body,),
    s.Assigned: lambda e: (e.value,),
    s.Other: lambda e: e.parts,
}


def _collect_assigned(module: Module) -> None:
    """Module-level assignments, and those other functions make through ``global``."""

    def note(target: s.Expr, value: s.Expr, function: Function | None) -> None:
        if isinstance(target, s.Name):
            module.assigned.setdefault(target.id, []).append((value, function))
        elif isinstance(target, s.Collection) and isinstance(value, s.Collection):
            for inner, part in zip(target.items, value.items, strict=False):
                note(inner, part, function)
        elif isinstance(target, s.Collection):
            for inner in target.items:
                if isinstance(inner, s.Name):
                    module.assigned.setdefault(inner.id, [])

    def scan(body: Iterable[s.Stmt], names: frozenset[str] | None, function: Function | None) -> None:
        for stmt in statements(body):
            if isinstance(stmt, s.Assign):
                for target in stmt.targets:
                    if names is None or (isinstance(target, s.Name) and target.id in names):
                        note(target, stmt.value, function)
            elif isinstance(stmt, s.AnnotatedAssign) and isinstance(stmt.target, s.Name):
                if names is None or stmt.target.id in names:
                    module.assigned.setdefault(stmt.target.id, [])
                    if stmt.value is not None:
                        note(stmt.target, stmt.value, function)
                    if names is None:
                        module.assigned[stmt.target.id].append(
                            (s.Subscript(_DECLARED, stmt.annotation, stmt.loc), None)
                        )
            elif isinstance(stmt, (s.With, s.For)) and names is None:
                targets = [stmt.target] if isinstance(stmt, s.For) else [i.target for i in stmt.items if i.target]
                for target in targets:
                    if isinstance(target, s.Name):
                        module.assigned.setdefault(target.id, [])

    scan(module.facts.body, None, None)
    for function in module.functions.values():
        if function.facts.globals:
            scan(function.facts.body, function.facts.globals, function)


#: marks the declared type of a module-level name among its assigned expressions: ``DECLARED[annotation]``
_DECLARED = s.Name("__declared__", s.Loc(0, 0, 0, 0))


def declared_annotation(expr: s.Expr) -> s.Expr | None:
    """The annotation, where ``expr`` stands for a module-level name's declared type."""
    if isinstance(expr, s.Subscript) and expr.value is _DECLARED:
        return expr.index
    if isinstance(expr, s.Subscript) and isinstance(expr.value, s.Name) and expr.value.id == "__declared__":
        return expr.index
    return None
