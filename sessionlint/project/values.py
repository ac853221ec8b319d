"""What an expression can be: sessions, factories, objects that hold sessions, functions, and everything else.

A value carries its **origin** where a session is involved: from which parameter (and through which attributes), which
place of creation, which global or which dependency it came. Plain frozen data; how values come about is ``infer``'s
business.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from sessionlint.facts import shape as s

if TYPE_CHECKING:
    from sessionlint.project.symbols import Class, Function, Module

_MAX_PATH = 5
_MAX_OPTIONS = 6


class Origin(NamedTuple):
    """Where a session comes from.

    ``kind`` is one of

    - ``param``: the function's parameter ``name`` (``self`` and captured variables are parameters too), through the
      attributes ``path``;
    - ``local``: created in this function; ``name`` is the place of creation (``line:column``);
    - ``global``: a module-level object ``name``;
    - ``dependency``: handed in by the framework; ``name`` is the dependency's key.
    """

    kind: str
    name: str
    path: tuple[str, ...] = ()

    def child(self, attr: str) -> Origin:
        """The origin of what ``attr`` of an object from here holds."""
        if len(self.path) >= _MAX_PATH:
            return self
        return Origin(self.kind, self.name, (*self.path, attr))

    @property
    def root(self) -> Origin:
        return Origin(self.kind, self.name)

    def __str__(self) -> str:
        return ".".join((self.name, *self.path))


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nothing could be found out."""


UNKNOWN = Unknown()


@dataclass(frozen=True, slots=True)
class Literal:
    value: str | int | bool | None


NONE = Literal(None)


@dataclass(frozen=True, slots=True)
class ModuleRef:
    module: Module


@dataclass(frozen=True, slots=True)
class ClassRef:
    cls: Class


@dataclass(frozen=True, slots=True)
class External:
    """A function, class or module from outside, by dotted path."""

    dotted: str


@dataclass(frozen=True, slots=True)
class ExternalObject:
    """An instance of a class from outside."""

    dotted: str


@dataclass(frozen=True, slots=True)
class FunctionRef:
    """A function, bound to ``receiver`` where it is a method, with the captured variables in ``cells``.

    ``wrapper`` is ``contextmanager`` for functions turned into context managers.
    """

    function: Function
    receiver: Value | None = None
    cells: tuple[tuple[str, Value], ...] = ()
    wrapper: str = ""


@dataclass(frozen=True, slots=True)
class Closure:
    """A lambda whose body is a call, with the values of the names it captures."""

    expr: s.Lambda
    module: Module
    cells: tuple[tuple[str, Value], ...]


@dataclass(frozen=True, slots=True)
class Partial:
    """``functools.partial``: a call with arguments already given.

    Of a lambda (``closure``): what it calls, with what is known before it is called itself.
    """

    target: Value
    args: tuple[Value, ...] = ()
    keywords: tuple[tuple[str, Value], ...] = ()
    closure: Closure | None = None


@dataclass(frozen=True, slots=True)
class Method:
    """A method of a session, factory, engine or other outside object, not yet called."""

    receiver: Value
    name: str


@dataclass(frozen=True, slots=True)
class Factory:
    """Something that makes a session when called: a sessionmaker, a scoped registry, a callable typed so."""

    is_async: bool | None
    name: str = ""
    autocommit: bool = False
    scoped: bool = False


@dataclass(frozen=True, slots=True)
class Engine:
    is_async: bool
    autocommit: bool = False


@dataclass(frozen=True, slots=True)
class Connection:
    """A Core connection; only known so that it is not mistaken for a session."""

    is_async: bool


@dataclass(frozen=True, slots=True)
class Session:
    """A SQLAlchemy session. ``origin`` is None where only the type is known."""

    is_async: bool | None
    origin: Origin | None = None
    autocommit: bool = False


@dataclass(frozen=True, slots=True)
class Begin:
    """What ``maker.begin()``, ``session.begin()`` or ``session.begin_nested()`` returns, to be entered."""

    session: Session
    kind: str


@dataclass(frozen=True, slots=True)
class Instance:
    """An object of a project class.

    Either symbolic (``root``: everything it holds comes from there) or constructed here (``fields``: what its
    session-relevant attributes hold).
    """

    cls: Class
    root: Origin | None = None
    fields: tuple[tuple[str, Value], ...] = ()

    def get(self, attr: str) -> Value | None:
        for name, value in self.fields:
            if name == attr:
                return value
        return None


def rooted(obj: Instance, origin: Origin) -> Instance:
    """A constructed object as somebody sees it who only knows where it comes from: with the objects it holds."""
    return Instance(
        obj.cls,
        origin,
        tuple(
            (name, rooted(held, Origin(origin.kind, origin.name, (*origin.path, name))))
            for name, held in obj.fields
            if isinstance(held, Instance)
        ),
    )


@dataclass(frozen=True, slots=True)
class Entity:
    """An ORM object loaded through, or added to, a session."""

    model: Class | None
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """A Core or ORM statement: ``verb`` is select, insert, update, delete or text (unknown verb)."""

    verb: str
    model: Class | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """The result of executing a select, or a ``Query`` (``lazy``), which asks the database when its rows are."""

    model: Class | None
    origin: Origin | None = None
    lazy: bool = False


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list, set, dict of equal values, or an iterator over them."""

    item: Value


@dataclass(frozen=True, slots=True)
class Tuple:
    items: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Mapping:
    """A dict display with constant keys."""

    items: tuple[tuple[str, Value], ...]


@dataclass(frozen=True, slots=True)
class Running:
    """A coroutine, generator or context-manager object: ``function`` called with ``binding`` but not yet run."""

    function: Function
    binding: tuple[tuple[str, Value], ...]
    wrapper: str = ""
    loc: s.Loc = field(default=s.Loc(0, 0, 0, 0), compare=False)

    def arguments(self) -> dict[str, Value]:
        return dict(self.binding)


@dataclass(frozen=True, slots=True)
class Closing:
    """``contextlib.aclosing(generator)``: what it gives on entering is the generator itself, not its first item."""

    generator: Running


@dataclass(frozen=True, slots=True)
class Task:
    """What create_task, ensure_future, a thread or a queue made of the values it was given."""

    work: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Dependency:
    """``Depends(target)`` with its options; ``target`` is None for ``Depends()`` on a class annotation."""

    target: Value | None
    scope: str = ""
    use_cache: bool = True


@dataclass(frozen=True, slots=True)
class Annotated:
    """``Annotated[inner, markers...]`` kept whole because a dependency hides in it."""

    inner: Value
    dependency: Dependency


@dataclass(frozen=True, slots=True)
class Options:
    """One of several values."""

    options: tuple[Value, ...]


Value = (
    Unknown
    | Literal
    | ModuleRef
    | ClassRef
    | External
    | ExternalObject
    | FunctionRef
    | Partial
    | Method
    | Factory
    | Engine
    | Connection
    | Session
    | Begin
    | Instance
    | Entity
    | Statement
    | Rows
    | Sequence
    | Tuple
    | Mapping
    | Running
    | Closing
    | Task
    | Dependency
    | Annotated
    | Options
)


def options_of(value: Value) -> tuple[Value, ...]:
    """The alternatives a value may be; itself alone where there is only one."""
    return value.options if isinstance(value, Options) else (value,)


def union(values: Iterable[Value]) -> Value:
    """One of ``values``: unknown and None drop out where anything is known, duplicates fall together."""
    given = values if isinstance(values, (list, tuple)) else list(values)
    if len(given) == 1 and not isinstance(given[0], Options):
        return given[0]
    seen: list[Value] = []
    for value in given:
        for option in options_of(value):
            if option not in seen:
                seen.append(option)
    known = [v for v in seen if not isinstance(v, Unknown) and v != NONE]
    if not known:
        return NONE if NONE in seen and UNKNOWN not in seen else UNKNOWN
    if len(known) == 1:
        return known[0]
    return Options(tuple(known[:_MAX_OPTIONS]))


def reroot(value: Value, origin: Origin) -> Value:
    """The same kind of value, coming from ``origin``: what a parameter of that type holds."""
    if isinstance(value, Session):
        return Session(value.is_async, origin, value.autocommit)
    if isinstance(value, Instance):
        return Instance(value.cls, origin)
    if isinstance(value, Entity):
        return Entity(value.model, origin)
    if isinstance(value, Rows):
        return Rows(value.model, origin, value.lazy)
    if isinstance(value, Begin):
        return Begin(Session(value.session.is_async, origin), value.kind)
    if isinstance(value, Sequence):
        return Sequence(reroot(value.item, origin))
    if isinstance(value, Tuple):
        return Tuple(tuple(reroot(v, origin) for v in value.items))
    if isinstance(value, Options):
        return Options(tuple(reroot(v, origin) for v in value.options))
    if isinstance(value, FunctionRef) and value.receiver is not None:
        return FunctionRef(value.function, reroot(value.receiver, origin), value.cells, value.wrapper)
    if isinstance(value, Running):
        return Running(value.function, tuple((n, reroot(v, origin)) for n, v in value.binding), value.wrapper)
    return value
