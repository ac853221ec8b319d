"""Edits of signatures and calls: parameters added where they belong, arguments passed, dependencies asked for."""

from __future__ import annotations

import ast
import re
from collections import Counter

from sessionlint.fixes import references
from sessionlint.fixes.aliases import alias_of
from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import Edit, NeededImport
from sessionlint.fixes.imports import spelled
from sessionlint.fixes.leaving import fresh_name
from sessionlint.fixes.program import Program
from sessionlint.fixes.sessions import Held
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.frameworks.sqlalchemy import is_session

NAMES = ("db", "session", "db_session")


def add_first(document: Document, node: ast.FunctionDef | ast.AsyncFunctionDef, text: str, *, method: bool) -> Edit:
    """A parameter in front of all others (behind ``self`` or ``cls``)."""
    arguments = [*node.args.posonlyargs, *node.args.args]
    if method and arguments:
        return _after(document, node, arguments[0], text)
    if arguments:
        start = document.start(arguments[0])
        return Edit(document.file, start, start, f"{text}, ")
    return _only_or_before_star(document, node, text)


def add_last(document: Document, node: ast.FunctionDef | ast.AsyncFunctionDef, text: str) -> Edit:
    """A parameter with a default behind all others that may be given by position."""
    arguments = [*node.args.posonlyargs, *node.args.args]
    if not arguments:
        return _only_or_before_star(document, node, text)
    last = arguments[-1]
    anchor: ast.AST = last
    if node.args.defaults:
        anchor = node.args.defaults[-1]
    return _after(document, node, anchor, text, last)


def add_required(document: Document, node: ast.FunctionDef | ast.AsyncFunctionDef, text: str) -> Edit:
    """A parameter without a default behind all others that have none."""
    arguments = [*node.args.posonlyargs, *node.args.args]
    if not arguments or not node.args.defaults:
        return add_last(document, node, text)
    start = document.start(arguments[-len(node.args.defaults)])
    line = document.text[document.line_start(document.line_of(start)) : start]
    apart = not line.strip() and document.line_of(start) != node.lineno
    return Edit(document.file, start, start, f"{text},\n{line}" if apart else f"{text}, ")


def _after(document: Document, node: ast.AST, anchor: ast.AST, text: str, begins: ast.AST | None = None) -> Edit:
    """Behind a parameter, in the layout that is there: on a line of its own where the others are.

    ``begins`` is where the parameter begins, if ``anchor`` is only its default.
    """
    end = document.end(anchor)
    while True:
        closing = re.match(r"\s*\)", document.text[end:])
        if closing and _inside_parentheses(document, anchor, end):
            end += closing.end()
        else:
            break
    start = document.start(begins or anchor)
    first = document.line_of(start)
    line = document.text[document.line_start(first) : start]
    if not line.strip() and first != getattr(node, "lineno", 0):
        return Edit(document.file, end, end, f",\n{line}{text}")
    return Edit(document.file, end, end, f", {text}")


def _inside_parentheses(document: Document, anchor: ast.AST, end: int) -> bool:
    """Whether a default is wrapped in parentheses that its node does not cover."""
    before = document.text[: document.start(anchor)].rstrip()
    return before.endswith("(") and before[:-1].rstrip().endswith(("=", ",")) and end >= 0


def _only_or_before_star(document: Document, node: ast.FunctionDef | ast.AsyncFunctionDef, text: str) -> Edit:
    name = re.compile(rf"def\s+{re.escape(node.name)}\s*(?:\[[^\]]*\]\s*)?\(\s*")
    start = document.at(node.lineno, node.col_offset)
    match = name.search(document.text, start)
    assert match is not None, "a definition has parentheses"
    others = bool(node.args.vararg or node.args.kwonlyargs or node.args.kwarg)
    return Edit(document.file, match.end(), match.end(), f"{text}, " if others else text)


def pass_first(document: Document, call: ast.Call, text: str) -> Edit:
    """An argument in front of all others of a call."""
    opening = _opening(document, call)
    given = [*call.args, *(k.value for k in call.keywords)]
    if not given:
        return Edit(document.file, opening, opening, text)
    first = min([document.start(a) for a in call.args] + [_keyword_start(document, k) for k in call.keywords])
    between = document.text[opening:first]
    if "\n" in between or "\r" in between:
        space = between.rsplit("\n", 1)[-1].rsplit("\r", 1)[-1]
        return Edit(document.file, first, first, f"{text},\n{space}")
    return Edit(document.file, first, first, f"{text}, ")


def _keyword_start(document: Document, keyword: ast.keyword) -> int:
    return document.at(keyword.lineno, keyword.col_offset)


def _opening(document: Document, call: ast.Call) -> int:
    """Offset right behind the opening parenthesis."""
    at = document.end(call.func)
    while document.text[at] != "(":
        at += 1
    return at + 1


def pass_keyword(document: Document, call: ast.Call, name: str, text: str) -> Edit:
    """A keyword argument behind all others."""
    given = [*call.args, *(k.value for k in call.keywords)]
    if not given:
        opening = _opening(document, call)
        return Edit(document.file, opening, opening, f"{name}={text}")
    last = max(given, key=document.end)
    return _after(document, call, last, f"{name}={text}")


# ---- dependencies --------------------------------------------------------------------------------------------------


def session_class(program: Program, importer: sym.Module, is_async: bool | None) -> tuple[str, str]:
    """(module, name) by which a file annotates sessions: as it imports them, else as most files of the project do."""
    used = Counter(_sessions_of(importer, bool(is_async)))
    for module in program.analysis.table.modules.values() if not used else ():
        used.update(_sessions_of(module, bool(is_async)))
    usual = ("sqlalchemy.ext.asyncio", "AsyncSession") if is_async else ("sqlalchemy.orm", "Session")
    return min(used, key=lambda pair: (-used[pair], pair != usual, pair)) if used else usual


def _sessions_of(module: sym.Module, is_async: bool) -> list[tuple[str, str]]:
    """The session classes of one kind that a file imports."""
    return [
        (b.module, b.name)
        for b in module.facts.imports
        if b.name is not None and not b.level and is_session(f"{b.module}.{b.name}") is is_async
    ]


def depends(
    program: Program, function: sym.Function, provider: sym.Function, scope: str = "", wanted: str = ""
) -> tuple[Held, list[Edit], tuple[NeededImport, ...]] | str:
    """A parameter that FastAPI fills from ``provider``: how it is spelled, the edits and imports; or why not."""
    document = program.document(function.module.path)
    node = document.function(function.facts)
    flavours = {o.is_async for o in v.options_of(program.analysis.infer.yields(provider)) if isinstance(o, v.Session)}
    if len(flavours) != 1 or None in flavours:
        return f"it is not clear what kind of session `{provider.name}` provides"
    is_async = flavours.pop()
    name = fresh_name(node, tuple(dict.fromkeys((wanted, *NAMES))) if wanted else NAMES)
    needed: list[NeededImport] = []
    aliased = add_alias(program, function, provider, name, scope)
    if aliased is not None:
        return Held(name, is_async), [aliased], ()
    try:
        kind = written(document, *session_class(program, function.module, is_async), needed)
        marker = written(document, *depends_of(document), needed)
        source = name_of(program, function.module, provider, needed)
    except LookupError as error:
        return str(error)
    options = f', scope="{scope}"' if scope else ""
    edit = add_last(document, node, f"{name}: {kind} = {marker}({source}{options})")
    return Held(name, is_async), [edit], tuple(needed)


def add_alias(
    program: Program, function: sym.Function, provider: sym.Function, name: str, scope: str = ""
) -> Edit | None:
    """``name: DBSession`` where the file has such an alias and no call by position would shift; else None."""
    document = program.document(function.module.path)
    node = document.function(function.facts)
    alias = alias_of(program, function.module, provider, scope)
    if not alias or (node.args.defaults and references.of_functions(program.analysis, [function]).calls):
        return None
    return add_required(document, node, f"{name}: {alias}")


def depends_of(document: Document) -> tuple[str, str]:
    """Where the file takes ``Depends`` from."""
    for node in document.tree.body:
        if isinstance(node, ast.ImportFrom) and any(a.name == "Depends" for a in node.names) and node.module:
            return node.module, "Depends"
    return "fastapi", "Depends"


def written(document: Document, module: str, name: str, needed: list[NeededImport]) -> str:
    """How a file writes ``module.name``; adds the import it needs to ``needed``. Raises ``LookupError``."""
    text, missing = spelled(document, module, name)
    if missing is not None:
        needed.append(missing)
    return text


def name_of(
    program: Program, importer: sym.Module, target: sym.Function | sym.Global | sym.Class, needed: list[NeededImport]
) -> str:
    """How ``importer`` writes a module-level name of another file; adds the import it needs to ``needed``."""
    document = program.document(importer.path)
    if target.module is importer:
        return target.name
    table = program.analysis.table
    for local, binding in importer.imports.items():
        symbol = table.resolve(importer, binding) if binding.name is not None else None
        if symbol is target or _same(symbol, target):
            return local
        if binding.name is None and isinstance(symbol, sym.Module) and symbol is target.module:
            return f"{local}.{target.name}"
    return written(document, module_path(program, importer, target.module), target.name, needed)


def _same(found: sym.Symbol | None, wanted: sym.Symbol) -> bool:
    return (
        isinstance(found, sym.Global)
        and isinstance(wanted, sym.Global)
        and (found.module, found.name) == (wanted.module, wanted.name)
    )


def module_path(program: Program, importer: sym.Module, target: sym.Module) -> str:
    """How ``importer`` imports from ``target``: as its other imports do, relative or absolute."""
    table = program.analysis.table
    relative = [b for b in importer.facts.imports if b.level]
    absolute: dict[str, int] = {}
    for module in table.modules.values():
        for binding in module.facts.imports:
            if not binding.level and binding.name is not None and binding.module not in absolute:
                if table.find_module(binding.module, module) is target:
                    absolute[binding.module] = len(absolute)
    own = [b for b in importer.facts.imports if not b.level and table.find_module(b.module, importer) is not None]
    if relative and not own:
        found = _relative(importer, target)
        if found:
            return found
    if absolute:
        return min(absolute, key=lambda name: absolute[name])
    return _relative(importer, target) if relative else _rooted(program, importer, target)


def _relative(importer: sym.Module, target: sym.Module) -> str:
    here = importer.dotted.split(".") if importer.is_package else importer.dotted.split(".")[:-1]
    there = target.dotted.split(".")
    common = 0
    while common < len(here) and common < len(there) and here[common] == there[common]:
        common += 1
    if not common:
        return ""
    return "." * (len(here) - common + 1) + ".".join(there[common:])


def _rooted(program: Program, importer: sym.Module, target: sym.Module) -> str:
    """The dotted path without the source root that the project's absolute imports leave out."""
    parts = target.dotted.split(".")
    for start in range(len(parts)):
        name = ".".join(parts[start:])
        if program.analysis.table.find_module(name, importer) is target and start:
            heads = {
                b.module.partition(".")[0] for m in program.analysis.table.modules.values() for b in m.facts.imports
            }
            if parts[start] in heads:
                return name
    return target.dotted
