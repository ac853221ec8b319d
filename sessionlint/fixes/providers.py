"""Which dependency of the project hands out sessions of a certain factory, and what a module-level name stands for."""

from __future__ import annotations

import ast

from sessionlint.facts import shape as s
from sessionlint.fixes.program import Program
from sessionlint.project import symbols as sym
from sessionlint.project import values as v


def symbol_of(program: Program, module: sym.Module, text: ast.expr | s.Expr) -> sym.Symbol | None:
    """What a dotted name of a module leads to; None for anything that is no module-level name."""
    table = program.analysis.table
    dotted = ast.unparse(text) if isinstance(text, ast.AST) else sym.dotted_text(text)
    parts = dotted.split(".")
    if not dotted or not all(part.isidentifier() for part in parts):
        return None
    found = table.lookup(module, parts[0])
    for part in parts[1:]:
        found = table.member(found, part, module) if found is not None else None
    return found


def local_symbol(program: Program, function: sym.Function, text: ast.expr) -> sym.Symbol | None:
    """The same seen from inside a function, whose own imports come first."""
    head, *rest = ast.unparse(text).split(".")
    current: sym.Function | None = function
    while current is not None:
        for kind, what in current.bindings.get(head, ()):
            if kind == "import" and isinstance(what, s.Binding):
                found = program.analysis.table.resolve(function.module, what)
                for part in rest:
                    found = program.analysis.table.member(found, part, function.module) if found is not None else None
                return found
        if head in current.parameters or head in current.bindings:
            return None
        current = current.parent
    return symbol_of(program, function.module, text)


def identity(symbol: sym.Symbol | None) -> tuple[str, str] | None:
    """(file, name) of a module-level function or variable."""
    if isinstance(symbol, (sym.Global, sym.Function)):
        return symbol.module.path, symbol.name
    return None


def dependency_for(program: Program, opener: sym.Symbol, is_async: bool) -> sym.Function | str:
    """The project's own dependency whose sessions come from ``opener``; or why there is none."""
    found = []
    for provider in program.analysis.providers.values():
        if not _can_be_asked_for(program, provider, is_async):
            continue
        if provider is opener or identity(opener) in _made_from(program, provider):
            found.append(provider)
    if not found:
        return f"the project has no dependency that provides sessions of `{getattr(opener, 'name', 'that factory')}`"
    used = [p for p in found if p.key in program.analysis.entries.dependencies]
    chosen = used or found
    if len(chosen) > 1:
        chosen = [p for p in chosen if not _wraps(program, p)] or chosen
    if len(chosen) > 1:
        return "several dependencies could provide the session: " + ", ".join(sorted(f"`{p.name}`" for p in chosen))
    return chosen[0]


def _can_be_asked_for(program: Program, provider: sym.Function, is_async: bool) -> bool:
    if provider.owner is not None or provider.parent is not None or provider.facts.decorators:
        return False
    if not provider.facts.is_generator or any(p.default is None for p in provider.facts.parameters):
        return False
    yielded = v.options_of(program.analysis.infer.yields(provider))
    return any(isinstance(o, v.Session) and o.is_async == is_async for o in yielded)


def _made_from(program: Program, provider: sym.Function) -> set[tuple[str, str] | None]:
    """Module-level names that a provider calls, and those its inner provider calls."""
    found: set[tuple[str, str] | None] = set()
    for expr in provider.expressions:
        if isinstance(expr, (s.Name, s.Attribute)):
            symbol = symbol_of(program, provider.module, expr)
            found.add(identity(symbol))
            if isinstance(symbol, sym.Function) and symbol.key in program.analysis.providers:
                if symbol is not provider:
                    found |= _made_from(program, symbol)
    return found


def _wraps(program: Program, provider: sym.Function) -> bool:
    """Whether a provider only hands on what another provides."""
    others = {identity(p) for p in program.analysis.providers.values() if p is not provider}
    return bool(_made_from(program, provider) & others)
