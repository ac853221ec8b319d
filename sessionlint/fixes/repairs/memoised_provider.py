"""Builds an object on a request's session anew for every call, instead of remembering the first one.

``if self._service is None: self._service = Service(Repository(db))`` and ``return self._service`` become
``return Service(Repository(db))``; so do module globals, keyed memos and ``lru_cache``. Safe where the remembered
class keeps nothing but what it is given; unsafe where its constructor makes state of its own (a lock, a cache), which
from then on lives as long as one request. Refused where the remembered object is read elsewhere, where a call gives no
session, and where a test says that it is the same object every time.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from sessionlint.findings import Finding, FixSafety, Step
from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import Edit, Group, Refusal
from sessionlint.fixes.leftovers import empty_constructor, taken_out
from sessionlint.fixes.program import Program
from sessionlint.fixes.relied_on import relied_on
from sessionlint.fixes.rewrite import delete, delete_all, is_one_liner, replace, unwrap
from sessionlint.project import symbols as sym
from sessionlint.project import values as v

CODES = ("SES115",)
ORDER = 20
TITLE = "build it for every call instead of remembering the first"
_CACHES = frozenset({"lru_cache", "cache"})


def propose(program: Program, findings: Sequence[Finding]) -> Iterator[Group | Refusal]:
    """One group per remembered object."""
    for finding in findings:
        document = program.document(finding.place.file)
        function = program.function(finding)
        relied = relied_on(program, function)
        if relied is not None:
            yield Refusal((finding,), TITLE, relied[0], (relied[1],))
            continue
        if finding.place.line == function.facts.loc.line:
            yield from _uncached(program, document, function, finding)
            continue
        memo = _Memo.at(document, finding)
        if isinstance(memo, str):
            edits = _left_early(document, finding) or _looked_up(document, finding)
            if edits:
                yield Group(TITLE, (finding,), FixSafety.UNSAFE, tuple(edits))
            else:
                yield Refusal((finding,), TITLE, memo)
            continue
        yield memo.forgotten(program, function)


def _uncached(
    program: Program, document: Document, function: sym.Function, finding: Finding
) -> Iterator[Group | Refusal]:
    """Take ``@lru_cache`` off."""
    node = document.function(function.facts)
    for decorator in node.decorator_list:
        name = ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator).rpartition(".")[2]
        if name in _CACHES:
            line = document.line_of(document.start(decorator))
            edit = Edit(
                document.file, document.line_start(line), document.line_start((decorator.end_lineno or line) + 1), ""
            )
            released = program.released(document.file, [name])
            yield Group("take the cache off", (finding,), FixSafety.UNSAFE, (edit,), (), released)


def _assignment(document: Document, finding: Finding) -> ast.Assign | None:
    assign = document.spanning(finding.place, ast.Assign)
    return assign if assign is not None and len(assign.targets) == 1 else None


def _left_early(document: Document, finding: Finding) -> list[Edit]:
    """``if TARGET is not None: return TARGET`` in front of ``TARGET = value`` and ``return TARGET``."""
    assign = _assignment(document, finding)
    if assign is None:
        return []
    block = document.block(assign)
    at = block.index(assign)
    text = ast.unparse(assign.targets[0])
    guard = block[at - 1] if at else None
    leave = block[at + 1] if at + 1 < len(block) else None
    if not isinstance(guard, ast.If) or guard.orelse or len(guard.body) != 1 or not _returns(leave, text):
        return []
    if not _returns(guard.body[0], text) or ast.unparse(guard.test) not in {text, f"{text} is not None"}:
        return []
    assert leave is not None
    start = Edit(document.file, document.start(assign), document.start(assign.value), "return ")
    return [delete(document, guard), start, delete(document, leave)]


def _looked_up(document: Document, finding: Finding) -> list[Edit]:
    """``made = store.get(key)`` / ``if made is None:`` / ``made = value`` / ``store[key] = made``."""
    assign = _assignment(document, finding)
    guard = document.parent(assign) if assign is not None else None
    if assign is None or not isinstance(assign.value, ast.Name) or not isinstance(guard, ast.If) or guard.orelse:
        return []
    name = assign.value.id
    block = document.block(guard)
    at = block.index(guard)
    look = block[at - 1] if at else None
    if ast.unparse(guard.test) not in {f"{name} is None", f"not {name}"} or not isinstance(look, ast.Assign):
        return []
    target = assign.targets[0]
    store = ast.unparse(target.value if isinstance(target, ast.Subscript) else target)
    made = [s for s in guard.body if isinstance(s, ast.Assign) and ast.unparse(s.targets[0]) == name]
    if ast.unparse(look.targets[0]) != name or store not in ast.unparse(look.value) or len(made) != 1:
        return []
    return [delete(document, look), *unwrap(document, guard, [assign])]


def _returns(stmt: ast.stmt | None, text: str) -> bool:
    return isinstance(stmt, ast.Return) and stmt.value is not None and ast.unparse(stmt.value) == text


class _Memo:
    """``if TARGET is None: TARGET = value`` followed by ``return TARGET``."""

    def __init__(
        self, document: Document, finding: Finding, guard: ast.If, assign: ast.Assign | ast.AnnAssign, leave: ast.Return
    ) -> None:
        self.document = document
        self.finding = finding
        self.guard = guard
        self.assign = assign
        self.leave = leave
        self.target = assign.targets[0] if isinstance(assign, ast.Assign) else assign.target

    @classmethod
    def at(cls, document: Document, finding: Finding) -> _Memo | str:
        """The memo a finding points at, or why it has no such form."""
        assign = document.spanning(finding.place, ast.Assign) or document.spanning(finding.place, ast.AnnAssign)
        if assign is None or assign.value is None:
            return "it is not remembered by a plain assignment"
        target = assign.targets[0] if isinstance(assign, ast.Assign) else assign.target
        guard = document.parent(assign)
        if isinstance(assign, ast.Assign) and len(assign.targets) > 1:
            return "it is remembered under several names"
        if not isinstance(guard, ast.If) or guard.orelse or not _asks_whether_missing(guard.test, target):
            return "it is not remembered by the usual `if it is None` in front of a `return`"
        block = document.block(guard)
        after = block[block.index(guard) + 1 :]
        if not after or not isinstance(after[0], ast.Return) or after[0].value is None:
            return "what is remembered is used for more than being returned"
        if ast.unparse(after[0].value) != ast.unparse(target):
            return "what is remembered is used for more than being returned"
        return cls(document, finding, guard, assign, after[0])

    def forgotten(self, program: Program, function: sym.Function) -> Group | Refusal:
        """The group that builds the object anew."""
        reader = self._reader(function)
        if reader is not None:
            step = Step(self.document.place(reader), f"{ast.unparse(self.target)} is read here")
            return Refusal((self.finding,), TITLE, "the remembered object is used elsewhere", (step,))
        edits = [*self._built(), *self._declaration(program, function)]
        safety = FixSafety.UNSAFE if self._keeps_state(program, function) else FixSafety.SAFE
        return Group(TITLE, (self.finding,), safety, tuple(edits))

    def _built(self) -> list[Edit]:
        """The guard's block in place of the guard, ending with the return."""
        document, value = self.document, self.assign.value
        assert value is not None
        body = self.guard.body
        if is_one_liner(document, self.guard):
            start, end = document.start(self.guard), document.end(self.leave)
            return [Edit(document.file, start, end, f"return {document.code(value)}")]
        edits = unwrap(document, self.guard)
        if body[-1] is self.assign:
            start, end = document.start(self.assign), document.start(value)
            return [*edits, Edit(document.file, start, end, "return "), delete_all(document, [self.leave])]
        name = self._local_name()
        header = Edit(document.file, document.start(self.assign), document.start(value), f"{name} = ")
        return [*edits, header, replace(document, self.leave, f"return {name}")]

    def _local_name(self) -> str:
        words = self.target.attr if isinstance(self.target, ast.Attribute) else getattr(self.target, "id", "made")
        name = words.strip("_") or "made"
        around = self.document.enclosing(self.guard, ast.stmt)
        taken = {n.id for n in ast.walk(around or self.document.tree) if isinstance(n, ast.Name)}
        return f"new_{name}" if name in taken else name

    def _reader(self, function: sym.Function) -> ast.AST | None:
        """A place that reads what is remembered, besides the memo itself."""
        mine = {*ast.walk(self.guard.test), *ast.walk(self.assign), *ast.walk(self.leave)}
        holder = self.target.value if isinstance(self.target, ast.Subscript) else self.target
        text = ast.unparse(holder)
        if isinstance(holder, ast.Name) and holder.id not in function.facts.globals:
            scope: ast.AST = self.document.function(function.facts)
        elif isinstance(holder, ast.Attribute) and function.owner is not None:
            scope = self.document.cls(function.owner.facts)
        else:
            scope = self.document.tree
        for node in ast.walk(scope):
            if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load) and node not in mine:
                if ast.unparse(node) == text and not isinstance(self.target, ast.Subscript):
                    return node
        return None

    def _declaration(self, program: Program, function: sym.Function) -> Iterator[Edit]:
        """Where the memo is made None, and its ``global``: gone where nobody reads it."""
        if isinstance(self.target, ast.Subscript):
            return
        name = self.target.attr if isinstance(self.target, ast.Attribute) else ast.unparse(self.target)
        mine = {*ast.walk(self.guard), *ast.walk(self.leave)}
        starts: list[ast.stmt] = []
        statements: list[ast.stmt] = []
        cls = function.owner if isinstance(self.target, ast.Attribute) else None
        inner = set(ast.walk(self.document.cls(cls.facts))) if cls is not None else set()
        for node in self.document.nodes:
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and node is not self.assign and _starts(node, name):
                if self._same(node.target if isinstance(node, ast.AnnAssign) else node.targets[0], inner):
                    starts.append(node)
            elif isinstance(node, ast.Global) and name in node.names and cls is None:
                statements.append(node)
        mine.update(one for start in starts for one in ast.walk(start))
        others = [n for n in self.document.nodes if n not in mine and self._mentions(n, name, inner)]
        elsewhere = _spoken_of(program, self.document, name)
        if cls is not None and program.analysis.infer.classes.subclasses(cls):
            elsewhere = True
        around = set(ast.walk(self.document.function(function.facts)))
        alone = [s for s in statements if isinstance(s, ast.Global) and len(s.names) == 1]
        if others or elsewhere:
            yield from taken_out(self.document, [s for s in alone if s in around])
            return
        gone: list[ast.stmt] = [*starts, *(alone if len(alone) == len(statements) else ())]
        empty = empty_constructor(program, self.document, cls, set(gone)) if cls is not None else None
        if empty is not None:
            yield empty
            gone = [s for s in gone if not empty.start <= self.document.start(s) < empty.end]
        if len(alone) == len(statements):
            yield from taken_out(self.document, gone)

    def _same(self, node: ast.expr, inner: set[ast.AST]) -> bool:
        """Whether a target of the memo's name is the memo: of its class, or no attribute of any class."""
        if isinstance(self.target, ast.Attribute):
            return node in inner and (isinstance(node, ast.Attribute) or self.document.function_around(node) is None)
        return isinstance(node, ast.Name) and (
            self.document.function_around(node) is not None or self.document.enclosing(node, ast.ClassDef) is None
        )

    def _mentions(self, node: ast.AST, name: str, inner: set[ast.AST]) -> bool:
        """Whether a place speaks of the memo, or may."""
        if isinstance(node, ast.Constant):
            return node.value == name
        if isinstance(node, ast.Attribute):
            return node.attr == name and (node in inner or not _of_self(node))
        return isinstance(node, ast.Name) and node.id == name and self._same(node, inner)

    def _keeps_state(self, program: Program, function: sym.Function) -> bool:
        from sessionlint.project.infer import Scope

        infer = program.analysis.infer
        for call in function.bindings.get(ast.unparse(self.target), ()):
            value = infer.expr(call[1], Scope(function.module, function)) if call[0] == "value" else None  # type: ignore[arg-type]
            for option in v.options_of(value) if value is not None else ():
                if isinstance(option, v.Instance) and _makes_state(program, option.cls):
                    return True
        return False


def _asks_whether_missing(test: ast.expr, target: ast.expr) -> bool:
    text = ast.unparse(target)
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return ast.unparse(test.operand) == text
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return False
    left, right = ast.unparse(test.left), ast.unparse(test.comparators[0])
    if isinstance(test.ops[0], (ast.Is, ast.Eq)):
        return left == text and right == "None"
    if isinstance(test.ops[0], ast.NotIn) and isinstance(target, ast.Subscript):
        return left == ast.unparse(target.slice) and right == ast.unparse(target.value)
    return False


def _of_self(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}


def _spoken_of(program: Program, document: Document, name: str) -> bool:
    """Whether another file reaches for the name: as an attribute, in an import, or in a string (to patch it)."""
    word = name.encode()
    reached = re.compile(rb"(?<!\bself)(?<!\bcls)\.%b\b|[\"']%b[\"']|\bimport\b[^\n(]*\b%b\b" % (word, word, word))
    listed = re.compile(rb"\bimport\s*\([^)]*\b%b\b" % word)
    return any(
        reached.search(source) or listed.search(source)
        for file, source in program.sources.items()
        if file != document.file
    )


def _starts(node: ast.Assign | ast.AnnAssign, name: str) -> bool:
    """``self.name: T | None = None``, at class or module level too."""
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    if isinstance(node, ast.Assign) and len(node.targets) > 1:
        return False
    if not (isinstance(node.value, ast.Constant) and node.value.value is None):
        return False
    return target.attr == name if isinstance(target, ast.Attribute) else getattr(target, "id", "") == name


def _makes_state(program: Program, cls: sym.Class, depth: int = 0) -> bool:
    """Whether a constructor makes something that would outlive one call: containers, locks, anything from outside."""
    infer = program.analysis.infer
    init = infer.classes.method(cls, "__init__")
    if init is None or depth > 3:
        return False
    node = program.document(init.module.path).function(init.facts)
    for inner in ast.walk(node):
        if isinstance(inner, (ast.Assign, ast.AnnAssign)) and inner.value is not None:
            if isinstance(inner.value, (ast.Dict, ast.List, ast.Set, ast.DictComp, ast.ListComp, ast.SetComp)):
                return True
            if isinstance(inner.value, ast.Call):
                made = _class_called(program, init, inner.value)
                if made is None or _makes_state(program, made, depth + 1):
                    return True
    return False


def _class_called(program: Program, function: sym.Function, call: ast.Call) -> sym.Class | None:
    """The project's class that a call by a plain name constructs."""
    if not isinstance(call.func, ast.Name):
        return None
    symbol = program.analysis.table.lookup(function.module, call.func.id)
    return symbol if isinstance(symbol, sym.Class) else None
