"""What calls into libraries give back: sessions from factories, statements, rows, entities, wrapped functions.

Only the kind of the result stands here; what a call does to a transaction stands in ``effects/catalog.toml``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.annotations import NEW_TYPES
from sessionlint.project.frameworks import sqlalchemy

if TYPE_CHECKING:
    from sessionlint.project.infer import Inference

Keywords = Mapping[str, v.Value]

_SEQUENCE_BUILTINS = frozenset({"list", "tuple", "set", "frozenset", "sorted", "reversed", "iter", "aiter"})
_CONTEXT_MAKERS = frozenset({"contextlib.asynccontextmanager", "contextlib.contextmanager"})
_TASK_MAKERS = frozenset(
    {"asyncio.create_task", "asyncio.ensure_future", "asyncio.gather", "asyncio.shield", "asyncio.wait_for"}
)
_ROW_METHODS = frozenset({"scalars", "mappings", "tuples", "unique", "yield_per", "columns", "partitions", "options",
                          "filter", "filter_by", "where", "order_by", "limit", "offset", "join", "outerjoin",
                          "with_for_update", "execution_options", "distinct", "group_by", "populate_existing",
                          "having", "select_from", "with_entities"})  # fmt: skip
_ROW_LISTS = frozenset({"all", "fetchall", "fetchmany"})
_ROW_SINGLES = frozenset({"one", "one_or_none", "first", "scalar_one", "scalar_one_or_none", "scalar", "get",
                          "fetchone", "get_or_404", "first_or_404", "one_or_404"})  # fmt: skip
_SESSION_ROWS = frozenset({"execute", "scalars", "query", "stream", "stream_scalars", "exec"})
_SESSION_ENTITIES = frozenset({"get", "get_one", "scalar", "merge", "get_or_404", "first_or_404", "one_or_404"})
#: Flask-SQLAlchemy's own ways to read, called on the extension instead of its session
_OR_404 = frozenset({"get_or_404", "first_or_404", "one_or_404"})
#: the session that Flask-SQLAlchemy keeps for each request
EXTENSION_SESSION = v.Session(False, v.Origin("global", "flask_sqlalchemy.session"))


def call_outside(infer: Inference, dotted: str, args: tuple[v.Value, ...], keywords: Keywords, loc: s.Loc) -> v.Value:
    """What calling an outside function or class gives."""
    from sessionlint.project.infer import place_origin

    if dotted in NEW_TYPES and len(args) == 2:
        return args[1]  # to the type checker another class, at run time the same objects
    flavour = sqlalchemy.is_session(dotted)
    if flavour is not None:
        if args and isinstance(args[0], v.Session):
            return args[0]  # ``NewType`` called: a cast
        joined = _is_joined(args, keywords)
        return v.Session(flavour, place_origin(loc), joined or _autocommit(args, keywords))
    factory, is_async = sqlalchemy.is_factory(dotted)
    if factory:
        return v.Factory(_factory_flavour(infer, is_async, args, keywords), "", _autocommit(args, keywords))
    registry = sqlalchemy.is_registry(dotted)
    if registry is not None:
        return v.Factory(registry, "", _autocommit(args, keywords), scoped=True)
    engine = sqlalchemy.makes_engine(dotted)
    if engine is not None:
        return v.Engine(engine, _is_autocommit(keywords.get("isolation_level")))
    verb = sqlalchemy.statement_verb(dotted)
    if verb is not None:
        return _statement(verb, args)
    if sqlalchemy.is_extension(dotted):
        return v.ExternalObject(sqlalchemy.EXTENSION)
    name = dotted.rpartition(".")[2]
    if dotted in _CONTEXT_MAKERS and args and isinstance(args[0], v.FunctionRef):
        return v.FunctionRef(args[0].function, args[0].receiver, args[0].cells, "contextmanager")
    if dotted == "functools.partial" and args:
        return v.Partial(args[0], args[1:], tuple(keywords.items()))
    if dotted in _TASK_MAKERS:
        return v.Task(args)
    if name in {"Depends", "Security", "Provide"}:
        target = args[0] if args else keywords.get("dependency")
        scope, cache = keywords.get("scope"), keywords.get("use_cache")
        return v.Dependency(
            target if target is not None and not isinstance(target, v.Unknown) else None,
            str(scope.value) if isinstance(scope, v.Literal) and scope.value else "",
            not (isinstance(cache, v.Literal) and cache.value is False),
        )
    if dotted in {"builtins.next", "builtins.anext"} and args:
        return infer.iterate(args[0])
    if dotted.startswith("builtins.") and name in _SEQUENCE_BUILTINS and args:
        return v.Sequence(infer.iterate(args[0]))
    if dotted == "builtins.enumerate" and args:
        return v.Sequence(v.Tuple((v.UNKNOWN, infer.iterate(args[0]))))
    if dotted == "builtins.zip":
        return v.Sequence(v.Tuple(tuple(infer.iterate(a) for a in args)))
    if dotted in {"typing.cast", "typing_extensions.cast"} and len(args) == 2:
        return args[1]
    if dotted in {"contextlib.closing", "contextlib.aclosing"} and args:
        made = args[0]
        bare = isinstance(made, v.Running) and made.function.facts.is_generator and not made.wrapper
        return v.Closing(made) if bare and isinstance(made, v.Running) else made
    if dotted in {"copy.copy", "copy.deepcopy"} and args:
        return args[0]
    if name[:1].isupper() or dotted.startswith("builtins."):
        return v.ExternalObject(dotted)
    return v.ExternalObject(f"{dotted}()")


def _factory_flavour(
    infer: Inference, is_async: bool | None, args: tuple[v.Value, ...], keywords: Keywords
) -> bool | None:
    if is_async is not None:
        return is_async
    given = keywords.get("class_")
    if isinstance(given, v.External):
        return bool(sqlalchemy.is_session(given.dotted))
    if isinstance(given, v.ClassRef):
        return bool(infer.classes.session_flavour(given.cls))
    bind = args[0] if args else keywords.get("bind")
    return bind.is_async if isinstance(bind, v.Engine) and not keywords.get("class_") else False


def _is_joined(args: tuple[v.Value, ...], keywords: Keywords) -> bool:
    """``Session(bind=connection)``: it takes part in a transaction that the connection's owner ends."""
    bind = args[0] if args else keywords.get("bind")
    if isinstance(bind, v.ExternalObject):
        return "engine" not in bind.dotted.lower()
    return isinstance(bind, v.Connection)


def _is_autocommit(value: v.Value | None) -> bool:
    return isinstance(value, v.Literal) and value.value == "AUTOCOMMIT"


def _autocommit(args: tuple[v.Value, ...], keywords: Keywords) -> bool:
    for value in (*args[:1], keywords.get("bind"), keywords.get("engine")):
        if isinstance(value, v.Engine) and value.autocommit:
            return True
        if isinstance(value, v.Factory) and value.autocommit:
            return True
    return False


def _model(value: v.Value | None) -> sym.Class | None:
    if isinstance(value, v.ClassRef):
        return value.cls
    if isinstance(value, v.Entity):
        return value.model
    return None


def _statement(verb: str, args: tuple[v.Value, ...]) -> v.Value:
    if verb == "text":
        first = args[0] if args else None
        if isinstance(first, v.Literal) and isinstance(first.value, str):
            return v.Statement(sqlalchemy.sql_verb(first.value))
        return v.Statement("text")
    return v.Statement(verb, _model(args[0]) if args else None)


def call_method(
    infer: Inference, target: v.Method, args: tuple[v.Value, ...], keywords: Keywords, loc: s.Loc
) -> v.Value:
    """What calling a method of a session, factory, engine, statement or result gives."""
    receiver, name = target.receiver, target.name
    if isinstance(receiver, v.Session):
        if name in {"begin", "begin_nested"}:
            return v.Begin(receiver, name)
        if name in _SESSION_ROWS:
            return v.Rows(_queried(args), receiver.origin, lazy=name == "query")
        if name == "query_property":
            return v.Rows(None, receiver.origin, lazy=True)
        if name in _SESSION_ENTITIES:
            model = _queried(args)
            return v.Entity(model, receiver.origin) if model is not None or name == "merge" else v.UNKNOWN
        if name in {"__call__"}:
            return receiver
        return v.UNKNOWN
    if isinstance(receiver, v.Factory):
        if name == "begin":
            return v.Begin(infer.new_session(receiver, loc), "own")
        if name == "__call__":
            return infer.new_session(receiver, loc)
        return v.UNKNOWN
    if isinstance(receiver, v.Engine):
        if name == "execution_options":
            return v.Engine(receiver.is_async, _is_autocommit(keywords.get("isolation_level")) or receiver.autocommit)
        return v.Connection(receiver.is_async) if name in {"connect", "begin", "raw_connection"} else v.UNKNOWN
    if isinstance(receiver, v.Statement):
        return receiver
    if isinstance(receiver, (v.Rows, v.Sequence)):
        model, origin = (receiver.model, receiver.origin) if isinstance(receiver, v.Rows) else (None, None)
        if isinstance(receiver, v.Sequence):
            return (
                receiver.item
                if name in {"pop", "get", "popleft", "setdefault"}
                else (receiver if name in {"values", "copy", "items"} else v.UNKNOWN)
            )
        if name in _ROW_METHODS:
            return receiver
        if name in _ROW_LISTS:
            return v.Sequence(v.Entity(model, origin))
        if name in _ROW_SINGLES:
            return v.Entity(model, origin)
        return v.UNKNOWN
    if isinstance(receiver, v.ExternalObject):
        return v.ExternalObject(f"{receiver.dotted}.{name}()")
    if isinstance(receiver, v.Mapping) and name in {"get", "pop"} and args:
        key = args[0].value if isinstance(args[0], v.Literal) else None
        return v.union((infer.item(receiver, key), *args[1:]))
    return v.UNKNOWN


def _queried(args: tuple[v.Value, ...]) -> sym.Class | None:
    first = args[0] if args else None
    if isinstance(first, v.Statement):
        return first.model
    return _model(first)


def object_attribute(value: v.Value, attr: str) -> v.Value:
    """``value.attr`` of an object that is no project class: methods of sessions, factories, results."""
    if isinstance(value, v.ExternalObject):
        if value.dotted == sqlalchemy.EXTENSION:
            if attr == "session":
                return EXTENSION_SESSION
            if attr in _OR_404:
                return v.Method(EXTENSION_SESSION, attr)
            return v.External(f"sqlalchemy.{attr}") if attr[:1].islower() else v.External(f"flask_sqlalchemy.{attr}")
        return v.ExternalObject(f"{value.dotted}.{attr}")
    if isinstance(value, v.Session):
        if attr in {"sync_session", "registry"}:
            return value
        if attr in {
            "info",
            "bind",
            "is_active",
            "new",
            "dirty",
            "deleted",
            "identity_map",
            "no_autoflush",
            "autoflush",
        }:
            return v.UNKNOWN
        return v.Method(value, attr)
    if isinstance(value, v.Factory):
        if value.scoped and attr not in {"remove", "configure", "registry", "session_factory", "__call__"}:
            return v.Method(v.Session(value.is_async, v.Origin("global", value.name or "registry")), attr)
        return v.Method(value, attr)
    if isinstance(value, v.Engine):
        return value if attr == "sync_engine" else v.Method(value, attr)
    if isinstance(value, (v.Statement, v.Rows, v.Sequence, v.Mapping)):
        return v.Method(value, attr)
    if isinstance(value, v.Connection):
        return v.Method(value, attr)
    if isinstance(value, v.Begin):
        return v.Method(value, attr)
    return v.UNKNOWN
