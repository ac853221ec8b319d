"""Saves a parent and a child as a service does, looks for each from a second connection, removes both again."""

from __future__ import annotations

import importlib
import os
import sys
import uuid
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import partial

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    func,
    insert,
    inspect,
    select,
)
from sqlalchemy.exc import IntegrityError, NoInspectionAvailable, SQLAlchemyError
from sqlalchemy.orm import Mapper

from .answers import Answer, Refused, failed, fine
from .database import Database
from .sample_rows import parent_reference, row_for

Row = dict[str, object]


@dataclass(frozen=True)
class Pair:
    """Two tables, the second referring to the first; ``temporary`` ones are made and dropped by the examination."""

    parent: Table
    child: Table
    temporary: bool = False


def built_in_pair() -> Pair:
    """Tables under names that no service uses. Not TEMPORARY: those are seen by their own connection only."""
    metadata = MetaData()
    name = f"sessionlint_diagnose_{uuid.uuid4().hex[:8]}"
    parent = Table(f"{name}_parent", metadata, Column("id", String(36), primary_key=True))
    child = Table(
        f"{name}_child",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("parent_id", ForeignKey(parent.c.id), nullable=False),
    )
    return Pair(parent, child, temporary=True)


def pair_of(parent: str, child: str) -> Pair:
    """The tables of two mapped classes, as ``package.module:Class``. Imports them. Raises ``Refused``."""
    tables = _table_of(parent), _table_of(child)
    reference = parent_reference(*tables)
    row_for(tables[0], {})
    row_for(tables[1], dict.fromkeys(element.parent.key for element in reference.elements))
    return Pair(*tables)


def _table_of(name: str) -> Table:
    module_name, colon, class_name = name.partition(":")
    if not colon or not module_name or not class_name:
        raise Refused(f"`{name}` is no model: write package.module:Class")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever the user's module raises while it is imported
        raise Refused(f"cannot import `{module_name}`: {type(error).__name__}: {error}") from error
    model = getattr(module, class_name, None)
    if model is None:
        raise Refused(f"`{module_name}` has no `{class_name}`")
    try:
        mapper = inspect(model)
    except (NoInspectionAvailable, SQLAlchemyError) as error:
        raise Refused(f"`{name}` is no mapped class ({type(error).__name__})") from error
    table = mapper.local_table if isinstance(mapper, Mapper) else None
    if not isinstance(table, Table):
        raise Refused(f"`{name}` is not mapped to a table")
    return table


def round_trip(database: Database, pair: Pair) -> Iterator[Answer]:
    """Write, look from elsewhere, clean up; each step is a line, and the first that fails ends it."""
    if pair.temporary:
        try:
            database.write(lambda connection: pair.parent.metadata.create_all(connection))
        except SQLAlchemyError as error:
            yield failed(
                f"two tables cannot be made for the round trip: {database.said(error)}",
                "grant CREATE on the schema, or name your own models with --parent and --child",
            )
            return
    trip = _Trip(database, pair)
    try:
        yield from trip.steps()
    except SQLAlchemyError as error:
        yield failed(f"{trip.doing}: {database.said(error)}", trip.hint(error))
    finally:
        leftover = trip.clean_up()
    yield leftover


class _Trip:
    def __init__(self, database: Database, pair: Pair) -> None:
        self._database = database
        self._pair = pair
        self._saved: list[tuple[Table, Row]] = []
        self.doing = ""

    def hint(self, error: SQLAlchemyError) -> str:
        if isinstance(error, IntegrityError):
            return "a constraint of the table refuses made-up values: choose another pair, or leave --parent out"
        return "check that the migrations have run and that this role may write to the table"

    def steps(self) -> Iterator[Answer]:
        parent, child = self._pair.parent, self._pair.child
        reference = parent_reference(parent, child)
        yield from self._uncommitted(parent)
        key = yield from self._save(parent, {}, "parent")
        if key is None:
            return
        linked = self._linked(key)
        found = yield from self._save(child, linked, "child")
        if found is not None:
            yield from self._orphan(child, [element.parent.key for element in reference.elements])

    def _linked(self, key: Row) -> Row:
        reference = parent_reference(self._pair.parent, self._pair.child)
        parent = self._database.read(lambda c: _one(c, self._pair.parent, key)) or key
        return {element.parent.key: parent[element.column.key] for element in reference.elements}

    def _uncommitted(self, table: Table) -> Iterator[Answer]:
        self.doing = f"an uncommitted row of `{table.name}`"
        row = row_for(table, {})

        def insert_and_look(connection: Connection) -> bool:
            count = select(func.count()).select_from(table)
            before = connection.execute(count).scalar_one()
            connection.execute(insert(table).values(row))
            inside = connection.execute(count).scalar_one()
            connection.rollback()
            return bool(connection.execute(count).scalar_one() == before and inside == before + 1)

        undone = self._database.write(insert_and_look)
        if undone:
            yield fine(f"a row of `{table.name}` that is not committed is gone after the rollback")
        else:
            yield failed(
                f"a row of `{table.name}` stays after a rollback, or others write there now",
                "look for AUTOCOMMIT in the engine's isolation_level, and repeat when the table is quiet",
            )

    def _save(self, table: Table, given: Row, role: str) -> Generator[Answer, None, Row | None]:
        self.doing = f"the {role} in `{table.name}`"
        row = row_for(table, given)

        def save(connection: Connection) -> Row:
            result = connection.execute(insert(table).values(row))
            return dict(zip((c.key for c in table.primary_key), result.inserted_primary_key or (), strict=False))

        key = self._database.write(save)
        self._saved.append((table, key))
        yield fine(f"the {role} in `{table.name}` is committed")
        if self._database.read(lambda connection: _one(connection, table, key)) is None:
            yield failed(
                f"a second connection does not find the committed {role}",
                "both connections must reach the same primary server: look for a replica or a proxy in the URL",
            )
            return None
        yield fine(f"a second connection finds the {role}")
        return key

    def _orphan(self, table: Table, columns: list[str]) -> Iterator[Answer]:
        self.doing = f"an orphan in `{table.name}`"
        absent = row_for(self._pair.parent, {})
        reference = parent_reference(self._pair.parent, table)
        given: Row = {}
        for element in reference.elements:
            value = absent.get(element.column.key)
            given[element.parent.key] = value if value is not None else 2_000_000_011
        row = row_for(table, given)

        def try_it(connection: Connection) -> bool:
            try:
                connection.execute(insert(table).values(row))
                if connection.dialect.name == "postgresql":
                    connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
            except IntegrityError:
                return True
            finally:
                connection.rollback()
            return False

        if self._database.write(try_it):
            yield fine(f"a child without its parent is refused by `{table.name}`")
        else:
            yield failed(
                f"`{table.name}` takes a child without its parent",
                "SQLite: PRAGMA foreign_keys = ON in every connection; else the foreign key is missing in the database",
            )

    def clean_up(self) -> Answer:
        """Remove what was saved, children first; says so, or says what is left."""
        left = []
        if self._pair.temporary:
            try:
                self._database.write(lambda connection: self._pair.parent.metadata.drop_all(connection))
            except SQLAlchemyError as error:
                names = f"{self._pair.child.name}, {self._pair.parent.name}"
                return failed(
                    f"the tables of the round trip are left: {self._database.said(error)}", f"DROP TABLE {names}"
                )
            return fine("the tables of the round trip are dropped again")
        for table, key in reversed(self._saved):
            try:
                self._database.write(partial(_remove, table, key))
            except SQLAlchemyError as error:
                left.append(f"{table.name} {key}: {self._database.said(error)}")
        if left:
            return failed(f"rows of the round trip are left: {'; '.join(left)}", "delete them by hand")
        return fine(f"{len(self._saved)} rows of the round trip are removed again")


def _one(connection: Connection, table: Table, key: Row) -> Row | None:
    found = connection.execute(select(table).where(*_is(table, key))).mappings().first()
    if found is None:
        return None
    return {column.key: found[column] for column in table.columns}


def _remove(table: Table, key: Row, connection: Connection) -> None:
    connection.execute(delete(table).where(*_is(table, key)))


def _is(table: Table, key: Row) -> list[ColumnElement[bool]]:
    return [table.c[name] == value for name, value in key.items()]
