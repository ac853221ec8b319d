"""Children without parents: where the database itself does not (or did not) check, rows are counted."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, and_, func, inspect, or_, select, text
from sqlalchemy.exc import SQLAlchemyError

from .answers import Answer, failed, fine, not_applicable
from .database import Database
from .round_trip import Pair
from .sample_rows import parent_reference

_UNCHECKED = text(
    """
    SELECT conname, conrelid::regclass::text AS child, confrelid::regclass::text AS parent
    FROM pg_constraint WHERE contype = 'f' AND NOT convalidated ORDER BY conname
    """
)
_FOREIGN_KEYS = text("SELECT count(*) FROM pg_constraint WHERE contype = 'f'")


def integrity(database: Database, pair: Pair | None) -> Iterator[Answer]:
    """Foreign keys as the database declares them; of a given pair of models also the rows themselves."""
    if database.backend == "postgresql":
        yield database.read(_postgresql)
    elif database.backend == "sqlite":
        yield database.read(_sqlite)
    else:
        yield not_applicable("foreign-key orphans", f"{database.backend} refuses them, unless checks were switched off")
    if pair is not None and not pair.temporary:
        try:
            yield database.read(lambda connection: _orphans(connection, pair))
        except SQLAlchemyError as error:
            yield failed(
                f"`{pair.child.name}` cannot be read: {database.said(error)}", "run the migrations, grant SELECT"
            )


def _postgresql(connection: Connection) -> Answer:
    total = connection.execute(_FOREIGN_KEYS).scalar_one()
    rows = connection.execute(_UNCHECKED).mappings().all()
    if rows:
        names = ", ".join(f"{row['conname']} ({row['child']} -> {row['parent']})" for row in rows[:5])
        return failed(
            f"{len(rows)} of {total} foreign keys were never checked for old rows: {names}",
            f"ALTER TABLE {rows[0]['child']} VALIDATE CONSTRAINT {rows[0]['conname']}; it names the first orphan",
        )
    if not total:
        return not_applicable("foreign-key orphans", "the database declares no foreign key")
    return fine(f"all {total} foreign keys are enforced, and were checked for old rows")


def _sqlite(connection: Connection) -> Answer:
    tables = inspect(connection).get_table_names()
    if not any(inspect(connection).get_foreign_keys(table) for table in tables):
        return not_applicable("foreign-key orphans", "the database declares no foreign key")
    rows = connection.execute(text("PRAGMA foreign_key_check")).all()
    if not rows:
        return fine("no row refers to a parent that is missing")
    places = sorted({f"{row[0]} -> {row[2]}" for row in rows})
    return failed(
        f"{len(rows)} rows refer to a parent that is missing: {', '.join(places[:5])}",
        "repair or delete them, then PRAGMA foreign_keys = ON for every connection",
    )


def _orphans(connection: Connection, pair: Pair) -> Answer:
    reference = parent_reference(pair.parent, pair.child)
    joined = and_(*(element.parent == element.column for element in reference.elements))
    key = next(iter(pair.parent.primary_key))
    count = (
        select(func.count())
        .select_from(pair.child.outerjoin(pair.parent, joined))
        .where(key.is_(None), ~or_(*(element.parent.is_(None) for element in reference.elements)))
    )
    number = connection.execute(count).scalar_one()
    if number:
        return failed(
            f"{number} rows of `{pair.child.name}` have no parent in `{pair.parent.name}`",
            "the foreign key of the model is not in the database, or was switched off: add it, repair the rows",
        )
    return fine(f"every row of `{pair.child.name}` has its parent in `{pair.parent.name}`")
