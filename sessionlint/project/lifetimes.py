"""How long objects live: which classes have instances that last as long as the process, and why.

Process-long are module globals (also those assigned through ``global``), class attributes, results of cached
functions, application state, and whatever such an object makes and keeps. A class that is also built elsewhere is not
claimed to be process-long: it is not known which of its objects is meant.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sessionlint.facts import shape as s
from sessionlint.project import containers
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.frameworks import known
from sessionlint.project.infer import Inference, Scope


class Reason(NamedTuple):
    """Where and how an object is kept."""

    path: str
    loc: s.Loc
    text: str


class Lifetimes:
    """Process-long classes of one project, with the chain of holders that keeps them."""

    def __init__(self, infer: Inference) -> None:
        self._infer = infer
        self._kept: dict[str, tuple[Reason, ...]] = {}
        self._application_wide = containers.application_wide(infer)
        sites = self._construction_sites()
        self._seed()
        self._spread()
        for key in list(self._kept):
            if key in self._renewed or any(not self._is_keeping(site) for site in sites.get(key, ())):
                del self._kept[key]

    def process_long(self, key: str) -> tuple[Reason, ...] | None:
        """Why objects of the class (by key) live as long as the process; None where they do not."""
        return self._kept.get(key)

    def is_application_wide(self, function: sym.Function) -> bool:
        """Whether a container keeps what this provider method returns for the process."""
        return function.key in self._application_wide

    # ---- where objects are made ------------------------------------------------------------------------------------

    def _construction_sites(self) -> dict[str, list[tuple[sym.Module, sym.Function | None, s.Call, s.Stmt]]]:
        """Every place outside tests that builds an object of a project class."""
        found: dict[str, list[tuple[sym.Module, sym.Function | None, s.Call, s.Stmt]]] = {}
        for module in self._infer.table.modules.values():
            if module.is_test:
                continue
            scopes: list[tuple[sym.Function | None, Iterable[s.Stmt]]] = [(None, module.facts.body)]
            scopes.extend((f, f.facts.body) for f in module.functions.values())
            for function, body in scopes:
                for stmt in sym.statements(body):
                    for top in sym.statement_expressions(stmt):
                        for expr in sym.walk(top):
                            if isinstance(expr, s.Call) and isinstance(expr.func, (s.Name, s.Attribute)):
                                last = sym.last_name(expr.func) or ""
                                if not last[:1].isupper() and last != "cls":
                                    continue
                                target = self._infer.expr(expr.func, Scope(module, function))
                                if isinstance(target, v.ClassRef):
                                    found.setdefault(target.cls.key, []).append((module, function, expr, stmt))
        return found

    def _is_keeping(self, site: tuple[sym.Module, sym.Function | None, s.Call, s.Stmt]) -> bool:
        """Whether what is built here is kept: at module level, in a global, or on an object that is itself kept."""
        module, function, call, stmt = site
        if function is None:
            return True
        if _cached(function) or self.is_application_wide(function):
            return True
        if isinstance(stmt, (s.Assign, s.AnnotatedAssign)) and _direct(stmt, call):
            targets = stmt.targets if isinstance(stmt, s.Assign) else (stmt.target,)
            for target in targets:
                if isinstance(target, s.Name) and target.id in function.facts.globals:
                    return True
                if isinstance(target, s.Attribute):
                    holder = self._infer.expr(target.value, Scope(module, function))
                    if isinstance(holder, v.Instance) and holder.cls.key in self._kept:
                        return True
                    if isinstance(holder, (v.ClassRef, v.ModuleRef)):
                        return True
                if is_application_state(self._infer, target, Scope(module, function)):
                    return True
        return False

    # ---- seeds -----------------------------------------------------------------------------------------------------

    def _keep(self, value: v.Value, reason: Reason, above: tuple[Reason, ...] = ()) -> bool:
        changed = False
        for option in v.options_of(value):
            if isinstance(option, v.Instance) and option.cls.key not in self._kept:
                self._kept[option.cls.key] = (reason, *above)
                changed = True
            elif isinstance(option, (v.Sequence, v.Tuple, v.Mapping)):
                items = (option.item,) if isinstance(option, v.Sequence) else option.items
                for item in items:
                    inner = item[1] if isinstance(item, tuple) and isinstance(option, v.Mapping) else item
                    changed = self._keep(inner, reason, above) or changed  # type: ignore[arg-type]
        return changed

    def _seed_containers(self) -> None:
        """What a container keeps, and what it builds anew for each use."""
        found = list(containers.built(self._infer))
        self._renewed = frozenset(b.cls.key for b in found if not b.kept)
        for one in found:
            if one.kept:
                path = one.owner.path if isinstance(one.owner, sym.Module) else one.owner.module.path
                self._keep(v.Instance(one.cls), Reason(path, one.call.loc, one.text))
        for key in sorted(self._application_wide):
            function = self._infer.table.functions[key]
            made = self._infer.yields(function) if function.facts.is_generator else self._infer.returns(function)
            text = f"provided for the process by `{function.qualname}`"
            self._keep(made, Reason(function.module.path, function.facts.loc, text))

    def _seed(self) -> None:
        self._seed_containers()
        for module in self._infer.table.modules.values():
            if module.is_test:
                continue
            for name, assigned in module.assigned.items():
                for expr, function in assigned:
                    if isinstance(expr, (s.Call, s.Collection)):
                        value = self._infer.expr(expr, Scope(module, function))
                        self._keep(value, Reason(module.path, expr.loc, f"kept in the module global `{name}`"))
            for cls in module.classes.values():
                if self._infer.classes.is_model(cls):
                    continue
                if any(map(known.lasts, self._infer.classes.outside_bases(cls))):
                    reason = Reason(module.path, cls.facts.loc, f"`{cls.name}` is made once, for the application")
                    self._keep(v.Instance(cls), reason)
                for attribute in cls.facts.attributes:
                    if isinstance(attribute.value, s.Call):
                        value = self._infer.expr(attribute.value, Scope(module, cls.parent))
                        text = f"kept as the class attribute `{cls.name}.{attribute.name}`"
                        self._keep(value, Reason(module.path, attribute.loc, text))
            for function in module.functions.values():
                if _cached(function):
                    text = f"cached for the process by `{function.qualname}`"
                    self._keep(self._infer.returns(function), Reason(module.path, function.facts.loc, text))
                self._seed_state(module, function)

    def _seed_state(self, module: sym.Module, function: sym.Function) -> None:
        for stmt in function.statements:
            if not isinstance(stmt, s.Assign):
                continue
            for target in stmt.targets:
                if not isinstance(target, (s.Attribute, s.Subscript)):
                    continue
                scope = Scope(module, function)
                on_class = isinstance(target, s.Attribute) and isinstance(
                    self._infer.expr(target.value, scope), v.ClassRef
                )
                if on_class or is_application_state(self._infer, target, scope):
                    value = self._infer.expr(stmt.value, scope)
                    self._keep(value, Reason(module.path, stmt.loc, f"kept in `{place_of(target)}`"))

    def _spread(self) -> None:
        """What a process-long object builds and stores on itself lives as long."""
        classes = self._infer.classes
        waiting = list(self._kept)
        while waiting:
            cls = self._infer.table.classes[waiting.pop()]
            above = self._kept[cls.key]
            for candidate in classes.mro(cls):
                for attr, assigned in classes.assigned(candidate).items():
                    for method, expr, _ in assigned:
                        if not isinstance(expr, (s.Call, s.Choice)):
                            continue
                        value = self._infer.expr(expr, Scope(candidate.module, method))
                        reason = Reason(candidate.module.path, expr.loc, f"kept in `{cls.name}.{attr}`")
                        before = set(self._kept)
                        if self._keep(value, reason, above):
                            waiting.extend(set(self._kept) - before)


def is_application_state(infer: Inference, target: s.Expr, scope: Scope) -> bool:
    """Whether a store goes into the application: ``app.state.x``, and ``app["x"]`` where the framework keeps that."""
    if not isinstance(target, (s.Attribute, s.Subscript)):
        return False
    text = sym.dotted_text(target.value)
    if text.endswith("app.state"):
        return True
    if isinstance(target, s.Attribute):
        return False
    holder = infer.expr(target.value, scope)
    if isinstance(holder, v.ExternalObject):
        return known.is_application(holder.dotted)
    return isinstance(holder, v.Unknown) and text.endswith(".app")


def place_of(target: s.Attribute | s.Subscript) -> str:
    """Where something is stored, as it is written: ``app.state.db``, ``app[...]``."""
    text = sym.dotted_text(target.value)
    return f"{text}.{target.attr}" if isinstance(target, s.Attribute) else f"{text}[...]"


def _cached(function: sym.Function) -> bool:
    return bool({"lru_cache", "cache"} & function.decorator_names)


def _direct(stmt: s.Assign | s.AnnotatedAssign, call: s.Call) -> bool:
    """The built object is what is assigned, not an argument of something else."""
    value = stmt.value
    if isinstance(value, s.Choice):
        return call in value.options
    return value is call
