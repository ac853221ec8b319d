"""Module globals that are None until a function sets them, and the imports that copy the None.

``from app.db import maker`` binds the value of that moment. Imports that run after the function (inside functions), and
access through the module, see the later value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Inference, Scope


class EarlyImport(NamedTuple):
    """``module`` imports ``name`` of ``source`` at ``loc``, which ``setter`` gives its value (``what``) only later."""

    module: sym.Module
    loc: s.Loc
    name: str
    source: sym.Module
    setter: sym.Function
    set_at: s.Loc
    what: str


def early_imports(infer: Inference) -> Iterator[EarlyImport]:
    """Every module-level import of a session factory, session or engine that is still None then."""
    late = {(m.path, n): found for m, n, found in _late_globals(infer)}
    if not late:
        return
    lazily = _only_imported_lazily(infer.table)
    for module in infer.table.modules.values():
        if module.is_test or module.path in lazily:
            continue
        for statement in _at_module_level(module.facts.body):
            for binding in statement.bindings:
                symbol = infer.table.resolve(module, binding) if binding.name is not None else None
                if isinstance(symbol, sym.Global) and symbol.module is not module:
                    known = late.get((symbol.module.path, symbol.name))
                    if known is not None:
                        yield EarlyImport(module, statement.loc, symbol.name, symbol.module, *known)


def _late_globals(infer: Inference) -> Iterator[tuple[sym.Module, str, tuple[sym.Function, s.Loc, str]]]:
    for module in infer.table.modules.values():
        if module.is_test:
            continue
        for name, assigned in module.assigned.items():
            at_import = [e for e, f in assigned if f is None and sym.declared_annotation(e) is None]
            if not all(isinstance(e, s.Constant) and e.value is None for e in at_import):
                continue
            for expr, function in assigned:
                if function is None or _called_on_import(module, function):
                    continue
                what = _kind(infer.expr(expr, Scope(module, function)))
                if what:
                    yield module, name, (function, expr.loc, what)
                    break


def _kind(value: v.Value) -> str:
    if isinstance(value, v.Factory):
        return "session factory"
    if isinstance(value, v.Engine):
        return "engine"
    return "session" if isinstance(value, v.Session) else ""


def _called_on_import(module: sym.Module, function: sym.Function) -> bool:
    """The module calls the setter itself while it is imported."""
    for stmt in module.facts.body:
        if isinstance(stmt, (s.Expression, s.Assign)) and isinstance(stmt.value, s.Call):
            if isinstance(stmt.value.func, s.Name) and stmt.value.func.id == function.name:
                return True
    return False


def _at_module_level(body: Iterable[s.Stmt]) -> Iterator[s.Import]:
    """Imports that run when the module does; those for the type checker do not."""
    for stmt in body:
        if isinstance(stmt, s.Import):
            yield stmt
        elif isinstance(stmt, s.If):
            if sym.last_name(stmt.test) != "TYPE_CHECKING":
                yield from _at_module_level(stmt.body)
            yield from _at_module_level(stmt.orelse)
        elif isinstance(stmt, s.Try):
            yield from _at_module_level(stmt.body)
            for handler in stmt.handlers:
                yield from _at_module_level(handler.body)


def _only_imported_lazily(table: sym.SymbolTable) -> frozenset[str]:
    """Modules that others import only inside functions: their imports run when the application is set up."""
    early: set[str] = set()
    late: set[str] = set()
    for module in table.modules.values():
        if module.is_test:
            continue
        early.update(_targets(table, module, _at_module_level(module.facts.body)))
        for function in module.functions.values():
            inner = (stmt for stmt in function.statements if isinstance(stmt, s.Import))
            late.update(_targets(table, module, inner))
    return frozenset(late - early)


def _targets(table: sym.SymbolTable, module: sym.Module, imports: Iterable[s.Import]) -> Iterator[str]:
    for statement in imports:
        for binding in statement.bindings:
            symbol = table.resolve(module, binding) if binding.local != "*" else None
            if symbol is not None and not isinstance(symbol, sym.External):
                yield symbol.module.path
