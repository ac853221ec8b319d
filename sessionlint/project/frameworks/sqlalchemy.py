"""SQLAlchemy, SQLModel and Flask-SQLAlchemy as names: which outside class is a session, a factory, an engine.

Source: SQLAlchemy 2.0/2.1 API reference (orm.session, ext.asyncio), SQLModel and Flask-SQLAlchemy documentation.
Facts only; what the methods do stands in ``effects/catalog.toml``.
"""

from __future__ import annotations

#: packages whose classes count as SQLAlchemy's own
PACKAGES = frozenset({"sqlalchemy", "sqlmodel", "flask_sqlalchemy", "quart_sqlalchemy"})
#: what every object of Flask-SQLAlchemy's class is taken for
EXTENSION = "flask_sqlalchemy.SQLAlchemy"

_SYNC_SESSIONS = frozenset({"Session"})
_ASYNC_SESSIONS = frozenset({"AsyncSession"})
_FACTORIES = {"sessionmaker": None, "async_sessionmaker": True}
_REGISTRIES = {"scoped_session": False, "async_scoped_session": True}
_ENGINES = {"create_engine": False, "create_async_engine": True, "engine_from_config": False}
_ENGINE_TYPES = {"Engine": False, "AsyncEngine": True}
_CONNECTIONS = {"Connection": False, "AsyncConnection": True}
_STATEMENTS = frozenset({"select", "insert", "update", "delete", "text", "table", "values", "union", "union_all"})


def _own(dotted: str) -> str | None:
    """The last component, where the name belongs to SQLAlchemy or a package that wraps it."""
    head, _, rest = dotted.partition(".")
    return rest.rpartition(".")[2] if head in PACKAGES and rest else None


def is_session(dotted: str) -> bool | None:
    """True for an async session class, False for a sync one, None for anything else."""
    name = _own(dotted)
    if name in _ASYNC_SESSIONS:
        return True
    return False if name in _SYNC_SESSIONS else None


def is_factory(dotted: str) -> tuple[bool, bool | None]:
    """(is a session factory class, is async or None where its ``class_`` argument decides)."""
    name = _own(dotted)
    return (True, _FACTORIES[name]) if name in _FACTORIES else (False, None)


def is_registry(dotted: str) -> bool | None:
    """True/False for an async/sync scoped registry, None for anything else."""
    name = _own(dotted)
    return _REGISTRIES.get(name) if name else None


def makes_engine(dotted: str) -> bool | None:
    """True/False where calling it makes an async/sync engine."""
    name = _own(dotted)
    return _ENGINES.get(name) if name else None


def is_engine(dotted: str) -> bool | None:
    name = _own(dotted)
    return _ENGINE_TYPES.get(name) if name else None


def is_connection(dotted: str) -> bool | None:
    name = _own(dotted)
    return _CONNECTIONS.get(name) if name else None


def statement_verb(dotted: str) -> str | None:
    """The verb, where calling it makes a statement: select, insert, update, delete, text."""
    name = _own(dotted)
    if name not in _STATEMENTS:
        return None
    return name if name in {"insert", "update", "delete", "text"} else "select"


def is_extension(dotted: str) -> bool:
    """Flask-SQLAlchemy's ``SQLAlchemy``: ``db.session`` is a session."""
    return dotted in {
        "flask_sqlalchemy.SQLAlchemy",
        "quart_sqlalchemy.SQLAlchemy",
        "flask_sqlalchemy.extension.SQLAlchemy",
    }


def sql_verb(text: str) -> str:
    """The verb of an SQL text: select, insert, update, delete, or other (DDL, SET, calls)."""
    words = text.lstrip("( \t\r\n").split(None, 1)
    first = words[0].lower().rstrip(";") if words else ""
    if first == "with":
        lowered = text.lower()
        for verb in ("insert into", "update ", "delete from"):
            if verb in lowered:
                return verb.split()[0]
        return "select"
    if first in {"insert", "update", "delete", "merge", "replace", "upsert", "truncate"}:
        return {"merge": "insert", "replace": "insert", "upsert": "insert", "truncate": "delete"}.get(first, first)
    if first in {"select", "show", "explain", "values", "table"}:
        return "select"
    return "other"
