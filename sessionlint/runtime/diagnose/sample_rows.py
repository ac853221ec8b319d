"""Makes up rows for a table: a value for each column that needs one, and nothing that would need other rows."""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Mapping

from sqlalchemy import Column, Enum, ForeignKeyConstraint, String, Table

from .answers import Refused

Value = object


def parent_reference(parent: Table, child: Table) -> ForeignKeyConstraint:
    """The foreign key by which ``child`` refers to ``parent``. Raises ``Refused`` where there is none."""
    for constraint in sorted(child.foreign_key_constraints, key=lambda one: str(one.name)):
        if constraint.referred_table is parent:
            return constraint
    raise Refused(f"`{child.name}` has no foreign key to `{parent.name}`: give the pair as parent, then child")


def row_for(table: Table, given: Mapping[str, Value]) -> dict[str, Value]:
    """Values for an insert: those given, and one for every other column that has no default and may not be NULL.

    Raises ``Refused`` where a column needs a row of a third table, or a type for which no value is known.
    """
    row = dict(given)
    for column in table.columns:
        if column.key in row or not _is_needed(column):
            continue
        if column.foreign_keys:
            target = next(iter(column.foreign_keys)).column.table.name
            raise Refused(f"`{table.name}.{column.name}` needs a row of `{target}`: choose a pair that stands alone")
        row[column.key] = made_up(column)
    return row


def _is_needed(column: Column[object]) -> bool:
    if column.default is not None or column.server_default is not None or column.computed or column.identity:
        return False
    if column.primary_key:
        return not (column.autoincrement in (True, "auto", "ignore_fk") and _python_type(column) is int)
    return not column.nullable


def made_up(column: Column[object]) -> Value:
    """A value of the column's type that is unlikely to be there already."""
    kind = column.type
    if isinstance(kind, Enum):
        return next(iter(kind.enum_class)) if kind.enum_class is not None else kind.enums[0]
    python = _python_type(column)
    if python is str:
        length = kind.length if isinstance(kind, String) else None
        return f"sessionlint-{uuid.uuid4().hex}"[-(length or 44) :]
    now = datetime.datetime.now(datetime.timezone.utc)
    values: dict[type, Value] = {
        bool: False,
        int: uuid.uuid4().int % 2_000_000_000,
        float: 0.0,
        decimal.Decimal: decimal.Decimal(0),
        bytes: b"",
        dict: {},
        list: [],
        uuid.UUID: uuid.uuid4(),
        datetime.datetime: now if getattr(kind, "timezone", False) else now.replace(tzinfo=None),
        datetime.date: now.date(),
        datetime.time: datetime.time(0),
        datetime.timedelta: datetime.timedelta(0),
    }
    if python not in values:
        raise Refused(f"no value can be made up for `{column.table.name}.{column.name}` of type {kind!r}")
    return values[python]


def _python_type(column: Column[object]) -> type:
    try:
        return column.type.python_type
    except NotImplementedError:
        return object
