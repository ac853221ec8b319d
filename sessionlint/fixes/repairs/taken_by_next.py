"""Enters a session provider that was advanced with ``next()`` once and dropped.

``db = next(get_db())`` becomes ``with contextmanager(get_db)() as db:`` around the statements that use the session
(``async with asynccontextmanager(get_db)()`` for ``await anext(get_db())``). Unsafe: what the provider does after its
yield runs now, so its commit keeps what was lost. Refused where the session is kept, returned, or used beyond the
block in which it was taken.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sessionlint.effects.observations import DrivenProvider
from sessionlint.findings import Finding, FixSafety, Step
from sessionlint.fixes.around import scope_name, statement_of
from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import Edit, Group, NeededImport, Refusal, Wrap
from sessionlint.fixes.imports import spelled
from sessionlint.fixes.program import Program
from sessionlint.fixes.rewrite import delete, kept_comment, replace, stands_alone
from sessionlint.fixes.signatures import NAMES
from sessionlint.fixes.sources import Refused

CODES = ("SES106",)
ORDER = 12
TITLE = "enter the provider instead of taking one value out of it"
_STEPS = frozenset({"__next__", "__anext__", "send", "asend"})


def propose(program: Program, findings: Sequence[Finding]) -> Iterator[Group | Refusal]:
    """One group per place."""
    for finding in findings:
        document = program.document(finding.place.file)
        try:
            yield _entered(program, document, finding)
        except Refused as refused:
            yield Refusal((finding,), TITLE, refused.reason, refused.trace)
        except LookupError as error:
            yield Refusal((finding,), TITLE, str(error))


class _Taken(NamedTuple):
    """``whole`` is the expression that gives the session, ``provider`` the call inside that makes the generator."""

    whole: ast.expr
    provider: ast.Call
    is_async: bool


def _entered(program: Program, document: Document, finding: Finding) -> Group:
    taken = _taken(program, document, finding)
    name = f"{'async' if taken.is_async else ''}contextmanager"
    maker, needed = spelled(document, "contextlib", name)
    called = document.text[document.end(taken.provider.func) : document.end(taken.provider)]
    opened = f"{maker}({document.code(taken.provider.func)}){called}"
    word = "async with" if taken.is_async else "with"
    stmt = statement_of(document, taken.whole)
    if stmt is None:
        raise Refused("it stands where no block can be opened around it", _here(document, taken.whole))
    function = document.function_around(stmt)
    if taken.is_async and not isinstance(function, ast.AsyncFunctionDef):
        raise Refused("the provider is asynchronous, and the function is not", _here(document, taken.whole))
    imports = (needed,) if needed is not None else ()
    target = _target(stmt, taken.whole)
    if target is not None:
        header = f"{word} {opened} as {target}:"
        return _around_users(document, finding, stmt, target, header, imports)
    if isinstance(stmt, (ast.Assign, ast.AnnAssign)) and stmt.value is taken.whole:
        raise Refused("the session is kept on an object, beyond every block", _here(document, stmt))
    return _around_one(document, finding, stmt, taken, f"{word} {opened}", imports)


def _taken(program: Program, document: Document, finding: Finding) -> _Taken:
    """What a finding points at, with the ``await`` around it."""
    call = document.spanning(finding.place, ast.Call)
    while call is not None and not _steps(call):
        above = document.parent(call)
        while above is not None and not isinstance(above, (ast.Call, ast.stmt)):
            above = document.parent(above)
        call = above if isinstance(above, ast.Call) else None
    if call is None:
        raise Refused("the call cannot be found in its file", Step(finding.place, "here"))
    provider = call.args[0] if isinstance(call.func, ast.Name) else call.func.value  # type: ignore[attr-defined]
    if not isinstance(provider, ast.Call):
        raise Refused("the generator is made elsewhere", _here(document, call))
    above = document.parent(call)
    whole = above if isinstance(above, ast.Await) else call
    function = program.function(finding)
    loop = [o for o in program.observations(function, DrivenProvider) if o.loc.line == finding.place.line]
    is_async = loop[0].provider.facts.is_async if loop else isinstance(whole, ast.Await)
    return _Taken(whole, provider, is_async)


def _steps(call: ast.Call) -> bool:
    if isinstance(call.func, ast.Name):
        return call.func.id in {"next", "anext"} and len(call.args) == 1
    return isinstance(call.func, ast.Attribute) and call.func.attr in _STEPS


def _target(stmt: ast.stmt, whole: ast.expr) -> str | None:
    """The local name the session is given, if that is all the statement does."""
    if isinstance(stmt, ast.Assign) and stmt.value is whole and len(stmt.targets) == 1:
        target: ast.expr = stmt.targets[0]
    elif isinstance(stmt, ast.AnnAssign) and stmt.value is whole:
        target = stmt.target
    else:
        return None
    return target.id if isinstance(target, ast.Name) else None


def _around_users(
    document: Document, finding: Finding, stmt: ast.stmt, name: str, header: str, imports: tuple[NeededImport, ...]
) -> Group:
    """The block reaches from the assignment to the last statement that uses the session."""
    block = document.block(stmt)
    rest = block[block.index(stmt) + 1 :]
    users = [s for s in rest if _mentions(s, name)]
    inside = {n for s in (stmt, *rest) for n in ast.walk(s)}
    scope = document.function_around(stmt) or document.tree
    for other in ast.walk(scope):
        if isinstance(other, ast.Name) and other.id == name and other not in inside:
            raise Refused(f"`{name}` is used beyond the block it is taken in", _here(document, other))
    if not users:
        raise Refused(f"nothing here uses `{name}`", _here(document, stmt))
    if not stands_alone(document, stmt):
        raise Refused("other statements share its line", _here(document, stmt))
    closing = [s for s in rest if _is_close(s, name)]
    last = next((s for s in reversed(users) if s not in closing), users[0])
    covered = rest[: rest.index(last) + 1]
    for one in covered:
        _not_kept(document, one, name)
    if len(covered) == 1 and isinstance(last, ast.Try) and _only_closes(last, name):
        return _in_place_of_try(document, finding, stmt, last, header, imports)
    edits = [delete(document, stmt), *_without_close(document, [*covered, *closing], name)]
    wrap = Wrap(document.file, document.start(covered[0]), document.start(last), header)
    return Group(TITLE, (finding,), FixSafety.UNSAFE, tuple(edits), imports, (), (), (wrap,))


def _only_closes(attempt: ast.Try, name: str) -> bool:
    """``try: ... finally: db.close()``, which the block replaces."""
    return (
        not attempt.handlers
        and not attempt.orelse
        and len(attempt.finalbody) == 1
        and _is_close(attempt.finalbody[0], name)
    )


def _is_close(stmt: ast.stmt, name: str) -> bool:
    value = stmt.value if isinstance(stmt, ast.Expr) else None
    inner = value.value if isinstance(value, ast.Await) else value
    return isinstance(inner, ast.Call) and ast.unparse(inner.func) == f"{name}.close"


def _in_place_of_try(
    document: Document,
    finding: Finding,
    stmt: ast.stmt,
    attempt: ast.Try,
    header: str,
    imports: tuple[NeededImport, ...],
) -> Group:
    start = document.start(attempt)
    edits = (
        delete(document, stmt),
        Edit(document.file, start, start + len("try:"), header),
        _without_finally(document, attempt, document.unit),
    )
    return Group(TITLE, (finding,), FixSafety.UNSAFE, edits, imports)


def _without_close(document: Document, stmts: list[ast.stmt], name: str) -> Iterator[Edit]:
    """The session is closed by its provider, after the provider's commit."""
    for stmt in stmts:
        for inner in ast.walk(stmt):
            if isinstance(inner, ast.Try) and len(inner.finalbody) == 1 and _is_close(inner.finalbody[0], name):
                if inner.handlers:
                    yield _without_finally(document, inner)
                    continue
            if isinstance(inner, ast.stmt) and _is_close(inner, name):
                attempt = document.parent(inner)
                if not isinstance(attempt, ast.Try) or attempt.finalbody != [inner] or not attempt.handlers:
                    yield delete(document, inner)


def _without_finally(document: Document, attempt: ast.Try, depth: str = "") -> Edit:
    """A ``finally`` with one statement goes; its comments stay, at ``depth``."""
    final = attempt.finalbody[0]
    line, last = document.line_of(document.start(final)), final.end_lineno or final.lineno
    while not document.line_text(line).lstrip().startswith("finally"):
        line -= 1
    space = document.indentation(attempt) + depth
    kept = [c for n in range(line, last + 1) if (c := kept_comment(document, n))]
    text = "".join(f"{space}{comment}\n" for comment in kept)
    return Edit(document.file, document.line_start(line), document.line_start(last + 1), text)


def _not_kept(document: Document, stmt: ast.stmt, name: str) -> None:
    """The session may not leave the block. Raises ``Refused``."""
    for node in ast.walk(stmt):
        if not isinstance(node, ast.Name) or node.id != name:
            continue
        if not isinstance(node.ctx, ast.Load):
            raise Refused(f"`{name}` is set anew", _here(document, node))
        above = document.parent(node)
        if isinstance(above, (ast.Return, ast.Yield, ast.Tuple, ast.List, ast.Dict, ast.Assign, ast.AnnAssign)):
            raise Refused("the session is handed out of the function", _here(document, node))
        if document.enclosing(node, (ast.Lambda, ast.FunctionDef, ast.AsyncFunctionDef)) is not (
            document.function_around(stmt)
        ):
            raise Refused("a function defined here uses the session, perhaps later", _here(document, node))


def _around_one(
    document: Document,
    finding: Finding,
    stmt: ast.stmt,
    taken: _Taken,
    opened: str,
    imports: tuple[NeededImport, ...],
) -> Group:
    """``Repository(next(get_db())).run()``: the block holds one statement."""
    above = document.parent(taken.whole)
    call = document.parent(above) if isinstance(above, ast.keyword) else above
    used_up = isinstance(call, ast.Attribute) and isinstance(
        document.parent(call), ast.Call
    )  # ``next(get_db()).get()``
    if isinstance(call, ast.Call):
        around = document.parent(call)
        used_up = isinstance(around, ast.Attribute) or isinstance(stmt, ast.Expr) or _is_plain_call(document, call)
    if not used_up or hasattr(stmt, "body"):
        raise Refused("what is made of the session outlives the statement", _here(document, taken.whole))
    name = scope_name(document.function_around(stmt) or document.tree, NAMES, stmt)
    edit = replace(document, taken.whole, name)
    start = document.start(stmt)
    wrap = Wrap(document.file, start, start, f"{opened} as {name}:")
    return Group(TITLE, (finding,), FixSafety.UNSAFE, (edit,), imports, (), (), (wrap,))


def _is_plain_call(document: Document, call: ast.Call) -> bool:
    """Whether a call is to a function in lower case: it does its work at once, where a class would keep the session."""
    return ast.unparse(call.func).rpartition(".")[2].islower()


def _mentions(node: ast.AST, name: str) -> bool:
    return any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(node))


def _here(document: Document, node: ast.AST) -> Step:
    return Step(document.place(node), "here")
