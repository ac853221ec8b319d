"""What tests put in place of a function: the stand-ins follow when its signature changes.

``patch("app.jobs.store", fake)``, ``patch.object(jobs, "store", fake)`` and ``monkeypatch.setattr`` are seen. Raises
``Refused`` for a stand-in whose calls a test checks argument by argument.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sessionlint.findings import Step
from sessionlint.fixes import signatures
from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import Edit
from sessionlint.fixes.program import Program
from sessionlint.fixes.sources import Refused
from sessionlint.project import symbols as sym

_CHECKS = frozenset(
    f"{word}_{how}" for word in ("assert_called", "assert_awaited") for how in ("with", "once_with")
) | {"assert_any_call", "assert_any_await", "assert_has_calls", "assert_has_awaits", "call_args", "call_args_list"}


def stand_ins(program: Program, function: sym.Function, name: str) -> Iterator[Edit]:
    """Edits that let every stand-in take the parameter ``name`` too, in front of all others."""
    for module in program.analysis.table.modules.values():
        if not module.is_test or function.name not in _quoted(program, module.path):
            continue
        document = program.document(module.path)
        for call in document.nodes:
            if isinstance(call, ast.Call) and _replaces(program, module, call, function):
                yield from _follows(document, call, function, name)


def _quoted(program: Program, file: str) -> str:
    return program.sources[file].decode("utf-8", "replace")


def _replaces(program: Program, module: sym.Module, call: ast.Call, function: sym.Function) -> bool:
    """Whether a call puts something in place of the function."""
    how = ast.unparse(call.func).rpartition(".")[2]
    words = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    if how in {"object", "setattr"} and len(call.args) >= 2 and words and words[0] == function.name:
        owner = ast.unparse(call.args[0]).rpartition(".")[2]
        symbol = program.analysis.table.lookup(module, owner) if owner.isidentifier() else None
        return _holds(program, symbol, function)
    if how in {"patch", "setattr"} and words and "." in words[0]:
        path, _, last = words[0].rpartition(".")
        return last == function.name and _holds(program, _found(program, path), function)
    return False


def _found(program: Program, path: str) -> sym.Symbol | None:
    """The module or class at a dotted path."""
    table = program.analysis.table
    parts = path.split(".")
    for count in range(len(parts), 0, -1):
        for module in table.modules.values():
            if module.dotted == ".".join(parts[:count]):
                found: sym.Symbol | None = module
                for part in parts[count:]:
                    found = table.member(found, part, module) if found is not None else None
                return found
    return None


def _holds(program: Program, symbol: sym.Symbol | None, function: sym.Function) -> bool:
    if isinstance(symbol, sym.Module):
        return program.analysis.table.lookup(symbol, function.name) is function
    if isinstance(symbol, sym.Class):
        return program.analysis.infer.classes.method(symbol, function.name) is function
    return False


def _follows(document: Document, call: ast.Call, function: sym.Function, name: str) -> Iterator[Edit]:
    by_path = len(call.args) >= 1 and isinstance(call.args[0], ast.Constant)
    rest = call.args[1 if by_path else 2 :]
    given = rest[0] if rest else next((k.value for k in call.keywords if k.arg in {"new", "side_effect"}), None)
    if isinstance(given, ast.Lambda):
        yield from _taken(document, given.args, given, function, name)
        return
    if isinstance(given, ast.Name):
        defined = [
            n for n in document.nodes if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)) and n.name == given.id
        ]
        if len(defined) == 1:
            yield from _taken(document, defined[0].args, defined[0], function, name)
            return
    around = document.function_around(call) or document.tree
    for node in ast.walk(around):
        if isinstance(node, ast.Attribute) and node.attr in _CHECKS:
            raise Refused(
                f"a test checks with which arguments its stand-in for `{function.qualname}` is called",
                Step(document.place(node), "here"),
            )


def _taken(
    document: Document,
    arguments: ast.arguments,
    node: ast.Lambda | ast.FunctionDef | ast.AsyncFunctionDef,
    function: sym.Function,
    name: str,
) -> Iterator[Edit]:
    """One more parameter for a stand-in, unless it takes whatever comes."""
    plain = [*arguments.posonlyargs, *arguments.args]
    method = function.receiver is not None and bool(plain) and plain[0].arg in {"self", "cls"}
    if arguments.vararg is not None and len(plain) <= int(method):
        return
    if isinstance(node, ast.Lambda):
        if plain:
            at = document.start(plain[0])
            yield Edit(document.file, at, at, f"{name}, ")
        else:
            at = document.start(node) + len("lambda")
            yield Edit(document.file, at, at, f" {name}" + (", " if ast.unparse(arguments) else ""))
    else:
        yield signatures.add_first(document, node, name, method=method)
