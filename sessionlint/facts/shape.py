"""The form of the facts: one file as plain, frozen, picklable data.

A file becomes a :class:`FileFacts`: its imports, classes, functions and, for every function, a structured form of
the body that holds control flow and the expressions that can matter (calls, awaits, yields, assignments). Nothing in
here knows SQLAlchemy; that keeps facts stable and cacheable by content.

Frozen dataclasses; small leaves without inner structure (``Loc``, ``Binding``) are named tuples, which cost less.
All lines and columns are 1-based; columns count characters; ends are exclusive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Loc(NamedTuple):
    """A span inside one file."""

    line: int
    column: int
    end_line: int
    end_column: int


# ---- expressions ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Name:
    id: str
    loc: Loc


@dataclass(frozen=True, slots=True)
class Attribute:
    value: Expr
    attr: str
    loc: Loc


@dataclass(frozen=True, slots=True)
class Keyword:
    """A keyword argument; ``name`` is None for ``**value``."""

    name: str | None
    value: Expr


@dataclass(frozen=True, slots=True)
class Call:
    func: Expr
    args: tuple[Expr, ...]
    keywords: tuple[Keyword, ...]
    loc: Loc


@dataclass(frozen=True, slots=True)
class Await:
    value: Expr
    loc: Loc


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal; long strings are cut, numbers other than int are dropped to None-like ellipsis."""

    value: str | int | bool | bytes | None
    loc: Loc


@dataclass(frozen=True, slots=True)
class Subscript:
    value: Expr
    index: Expr
    loc: Loc


@dataclass(frozen=True, slots=True)
class Choice:
    """``a or b`` (kind ``or``), ``a and b`` (``and``), ``a if test else b`` (``if``)."""

    kind: str
    test: Expr | None
    options: tuple[Expr, ...]
    loc: Loc


@dataclass(frozen=True, slots=True)
class Compare:
    """A comparison; ``ops`` are the operator spellings (``is``, ``is not``, ``==``, ``in`` ...)."""

    left: Expr
    ops: tuple[str, ...]
    rights: tuple[Expr, ...]
    loc: Loc


@dataclass(frozen=True, slots=True)
class Not:
    value: Expr
    loc: Loc


@dataclass(frozen=True, slots=True)
class Collection:
    """A display: ``kind`` is tuple, list, set or dict; a dict's keys stand in ``keys`` (None for ``**x``)."""

    kind: str
    items: tuple[Expr, ...]
    keys: tuple[Expr | None, ...]
    loc: Loc


@dataclass(frozen=True, slots=True)
class Clause:
    """One ``for target in iterable if conditions`` of a comprehension."""

    target: Expr
    iterable: Expr
    conditions: tuple[Expr, ...]
    is_async: bool


@dataclass(frozen=True, slots=True)
class Comprehension:
    """``kind`` is list, set, dict or generator; a dict's key is the first of two elements."""

    kind: str
    elements: tuple[Expr, ...]
    clauses: tuple[Clause, ...]
    loc: Loc


@dataclass(frozen=True, slots=True)
class Lambda:
    parameters: tuple[str, ...]
    body: Expr
    loc: Loc


@dataclass(frozen=True, slots=True)
class Yield:
    value: Expr | None
    loc: Loc


@dataclass(frozen=True, slots=True)
class YieldFrom:
    value: Expr
    loc: Loc


@dataclass(frozen=True, slots=True)
class Starred:
    value: Expr
    loc: Loc


@dataclass(frozen=True, slots=True)
class Assigned:
    """``target := value``."""

    target: Name
    value: Expr
    loc: Loc


@dataclass(frozen=True, slots=True)
class Other:
    """Arithmetic, f-strings, slices: only the parts that hold a name or a call are kept."""

    parts: tuple[Expr, ...]
    loc: Loc


Expr = (
    Name
    | Attribute
    | Call
    | Await
    | Constant
    | Subscript
    | Choice
    | Compare
    | Not
    | Collection
    | Comprehension
    | Lambda
    | Yield
    | YieldFrom
    | Starred
    | Assigned
    | Other
)


# ---- statements ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Assign:
    targets: tuple[Expr, ...]
    value: Expr
    loc: Loc


@dataclass(frozen=True, slots=True)
class AnnotatedAssign:
    target: Expr
    annotation: Expr
    value: Expr | None
    loc: Loc


@dataclass(frozen=True, slots=True)
class AugmentedAssign:
    target: Expr
    value: Expr
    loc: Loc


@dataclass(frozen=True, slots=True)
class Expression:
    value: Expr
    loc: Loc


@dataclass(frozen=True, slots=True)
class Return:
    value: Expr | None
    loc: Loc


@dataclass(frozen=True, slots=True)
class Raise:
    exception: Expr | None
    loc: Loc


@dataclass(frozen=True, slots=True)
class If:
    test: Expr
    body: tuple[Stmt, ...]
    orelse: tuple[Stmt, ...]
    loc: Loc


@dataclass(frozen=True, slots=True)
class While:
    test: Expr
    body: tuple[Stmt, ...]
    orelse: tuple[Stmt, ...]
    loc: Loc


@dataclass(frozen=True, slots=True)
class For:
    target: Expr
    iterable: Expr
    body: tuple[Stmt, ...]
    orelse: tuple[Stmt, ...]
    is_async: bool
    loc: Loc


@dataclass(frozen=True, slots=True)
class Handler:
    """An ``except`` clause; ``types`` is None for a bare one."""

    types: Expr | None
    name: str | None
    body: tuple[Stmt, ...]
    loc: Loc


@dataclass(frozen=True, slots=True)
class Try:
    body: tuple[Stmt, ...]
    handlers: tuple[Handler, ...]
    orelse: tuple[Stmt, ...]
    final: tuple[Stmt, ...]
    loc: Loc


@dataclass(frozen=True, slots=True)
class WithItem:
    context: Expr
    target: Expr | None


@dataclass(frozen=True, slots=True)
class With:
    items: tuple[WithItem, ...]
    body: tuple[Stmt, ...]
    is_async: bool
    loc: Loc


@dataclass(frozen=True, slots=True)
class Case:
    """A ``case``; ``captures`` are the names it binds, ``always`` is True for an irrefutable pattern."""

    captures: tuple[str, ...]
    always: bool
    guard: Expr | None
    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True)
class Match:
    subject: Expr
    cases: tuple[Case, ...]
    loc: Loc


@dataclass(frozen=True, slots=True)
class Leave:
    """``break`` or ``continue``."""

    kind: str
    loc: Loc


@dataclass(frozen=True, slots=True)
class Delete:
    targets: tuple[Expr, ...]
    loc: Loc


@dataclass(frozen=True, slots=True)
class Assert:
    test: Expr
    loc: Loc


@dataclass(frozen=True, slots=True)
class Define:
    """A nested ``def`` or ``class``: binds ``name`` to the function or class ``qualname`` of this file."""

    kind: str
    name: str
    qualname: str
    loc: Loc


class Binding(NamedTuple):
    """One imported name.

    ``from ..a import b as c`` is (local c, module a, name b, level 2); ``import a.b`` is (local a, module a, None, 0)
    with ``a.b`` loaded; ``import a.b as c`` is (local c, module a.b, None, 0); a star import has local ``*``.
    """

    local: str
    module: str
    name: str | None
    level: int


@dataclass(frozen=True, slots=True)
class Import:
    bindings: tuple[Binding, ...]
    loc: Loc


Stmt = (
    Assign
    | AnnotatedAssign
    | AugmentedAssign
    | Expression
    | Return
    | Raise
    | If
    | While
    | For
    | Try
    | With
    | Match
    | Leave
    | Delete
    | Assert
    | Define
    | Import
)


# ---- definitions ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Parameter:
    """``kind`` is positional, either, keyword, args or kwargs."""

    name: str
    kind: str
    annotation: Expr | None
    default: Expr | None
    loc: Loc


@dataclass(frozen=True, slots=True)
class FunctionFacts:
    """One function. ``owner`` is the qualname of the class it is a method of, ``parent`` of the enclosing function."""

    name: str
    qualname: str
    owner: str | None
    parent: str | None
    parameters: tuple[Parameter, ...]
    decorators: tuple[Expr, ...]
    returns: Expr | None
    is_async: bool
    is_generator: bool
    globals: frozenset[str]
    nonlocals: frozenset[str]
    body: tuple[Stmt, ...]
    loc: Loc
    end_line: int
    #: words of a ``# sessionlint: owns-transaction`` comment on the line of the ``def``
    marks: frozenset[str] = frozenset()
    #: upper bounds of its own type parameters: ``def f[T: Base](x: T)``
    bounds: tuple[tuple[str, Expr], ...] = ()


@dataclass(frozen=True, slots=True)
class ClassAttribute:
    name: str
    annotation: Expr | None
    value: Expr | None
    loc: Loc


@dataclass(frozen=True, slots=True)
class ClassFacts:
    """One class. ``methods`` are qualnames of its functions, in source order."""

    name: str
    qualname: str
    owner: str | None
    parent: str | None
    bases: tuple[Expr, ...]
    keywords: tuple[Keyword, ...]
    decorators: tuple[Expr, ...]
    attributes: tuple[ClassAttribute, ...]
    methods: tuple[str, ...]
    loc: Loc
    #: upper bounds of its type parameters: ``class Service[R: Repository]``
    bounds: tuple[tuple[str, Expr], ...] = ()


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One file. ``names`` holds every identifier of the file; ``exports`` is ``__all__`` where it is a literal."""

    path: str
    imports: tuple[Binding, ...]
    body: tuple[Stmt, ...]
    classes: tuple[ClassFacts, ...]
    functions: tuple[FunctionFacts, ...]
    exports: tuple[str, ...] | None
    names: frozenset[str]
    lines: int


class ParseProblem(NamedTuple):
    """A file that could not be parsed: where, and one clean line of why."""

    path: str
    line: int
    column: int
    message: str
