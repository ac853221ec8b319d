"""Whether somebody relies on a provider remembering its object: calls without a session, tests that compare objects."""

from __future__ import annotations

import ast

from sessionlint.facts import shape as s
from sessionlint.findings import Step
from sessionlint.fixes import references
from sessionlint.fixes.document import Uneditable
from sessionlint.fixes.program import Program
from sessionlint.project import symbols as sym


def relied_on(program: Program, function: sym.Function) -> tuple[str, Step] | None:
    """Why an object may not be built anew for every call, and the place that shows it."""
    uses = references.of_functions(program.analysis, [function])
    optional = [p.name for p in function.facts.parameters if isinstance(p.default, s.Constant)]
    for use in uses.calls:
        assert use.call is not None
        if use.module.is_test:
            continue
        for name in optional:
            if not _given(function, use.call, name):
                return "it is also called without a session, for the remembered object", use.step("here")
    for use in uses.calls:
        if use.module.is_test and use.caller is not None:
            step = _compared(program, use, function.name)
            if step is not None:
                return "a test says that it gives the same object every time", step
    return None


def _given(function: sym.Function, call: s.Call, name: str) -> bool:
    """Whether a call gives a parameter something other than None."""
    names = [p.name for p in function.facts.parameters if p.name != function.receiver]
    at = names.index(name)
    given = [k.value for k in call.keywords if k.name in (name, None)] + list(call.args[at : at + 1])
    starred = any(isinstance(a, s.Starred) for a in call.args)
    return starred or any(not (isinstance(one, s.Constant) and one.value is None) for one in given)


def _compared(program: Program, use: references.Use, name: str) -> Step | None:
    """``assert first is second`` about two results of the provider."""
    assert use.caller is not None
    try:
        document = program.document(use.module.path)
        node = document.function(use.caller.facts)
    except (Uneditable, LookupError):
        return None
    results = {
        target.id
        for stmt in ast.walk(node)
        if isinstance(stmt, ast.Assign) and isinstance(stmt.value, (ast.Call, ast.Await)) and name in ast.unparse(stmt)
        for target in stmt.targets
        if isinstance(target, ast.Name)
    }
    for test in ast.walk(node):
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Is):
            sides = {n.id for n in (test.left, test.comparators[0]) if isinstance(n, ast.Name)}
            if len(sides & results) == 2:
                return Step(document.place(test), "here")
    return None
