"""Knows what a session has written and not committed: objects never flushed, flushed ones, and DML statements.

Listens once per session class, and only to classes handed to `watch`. Not seen: statements sent past the session
(``await session.connection()``), and data-modifying common table expressions under a SELECT.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Result, TextClause, event
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction, UOWTransaction

_KEY = "sessionlint.runtime.writes"
_WRITING_TEXT = re.compile(r"\s*(insert|update|delete|merge|copy|truncate)\b", re.IGNORECASE)

_Written = dict[SessionTransaction, Counter[str]]
_watched: set[type[Session]] = set()


@dataclass(frozen=True)
class UncommittedWrites:
    """Names of what was written, with how often: ``flushed`` reached the database, ``unflushed`` never did."""

    flushed: Counter[str]
    unflushed: Counter[str]

    def __bool__(self) -> bool:
        return bool(self.flushed or self.unflushed)

    def __str__(self) -> str:
        parts = [f"{name} x{count}" if count > 1 else name for name, count in sorted(self.flushed.items())]
        parts += [
            f"{name} x{count} (never flushed)" if count > 1 else f"{name} (never flushed)"
            for name, count in sorted(self.unflushed.items())
        ]
        return ", ".join(parts)


def watch(session_class: type[Session]) -> None:
    """Record the writes of this session class and its subclasses from now on; a second call changes nothing."""
    if session_class in _watched:
        return
    listened = not _watched.isdisjoint(session_class.__mro__)
    _watched.add(session_class)
    if listened:
        return  # by a base class
    event.listen(session_class, "after_flush", _after_flush)
    event.listen(session_class, "do_orm_execute", _on_execute)
    event.listen(session_class, "after_soft_rollback", _after_soft_rollback)


def uncommitted(session: Session) -> UncommittedWrites:
    """What would be lost if ``session`` were closed now."""
    unflushed = Counter(type(instance).__name__ for instance in _pending(session))
    flushed: Counter[str] = Counter()
    root = session.get_transaction()
    written: _Written = session.info.get(_KEY) or {}
    for transaction, names in written.items():
        if root is not None and root in _with_parents(transaction):
            flushed.update(names)
    return UncommittedWrites(flushed, unflushed)


def forget(session: Session) -> None:
    """Drop the record; a closed session must not be kept alive by the transactions remembered in it."""
    session.info.pop(_KEY, None)


def _pending(session: Session) -> list[object]:
    """What the next flush sends."""
    # `dirty` is optimistic: an attribute set to the value it had writes nothing.
    modified = [instance for instance in session.dirty if session.is_modified(instance)]
    return [*session.new, *session.deleted, *modified]


def _record(session: Session, names: Sequence[str]) -> None:
    transaction = session.get_nested_transaction() or session.get_transaction()
    if transaction is None or not names:
        return
    written: _Written = session.info.setdefault(_KEY, {})
    if written and transaction not in written:
        # Ended transactions are of no more use; savepoints of the one at hand are.
        root = session.get_transaction()
        for old in [old for old in written if root is None or root not in _with_parents(old)]:
            del written[old]
    written.setdefault(transaction, Counter()).update(names)


def _with_parents(transaction: SessionTransaction) -> Iterator[SessionTransaction]:
    current: SessionTransaction | None = transaction
    while current is not None:
        yield current
        current = current.parent


def _after_flush(session: Session, _context: UOWTransaction) -> None:
    # The session still shows its state before the flush.
    _record(session, [type(instance).__name__ for instance in _pending(session)])


def _on_execute(execution: ORMExecuteState) -> Result[Any] | None:
    word = _writing_word(execution)
    if word is None:
        return None
    # Recorded afterwards: the first statement is what begins the transaction, and a refused one wrote nothing.
    result = execution.invoke_statement()
    _record(execution.session, [word])
    return result


def _writing_word(execution: ORMExecuteState) -> str | None:
    if execution.is_insert:
        return "INSERT"
    if execution.is_update:
        return "UPDATE"
    if execution.is_delete:
        return "DELETE"
    if isinstance(execution.statement, TextClause) and (word := _WRITING_TEXT.match(execution.statement.text)):
        return word.group(1).upper()
    return None


def _after_soft_rollback(session: Session, previous: SessionTransaction) -> None:
    """A savepoint that was rolled back takes its writes, and those of savepoints within it, along."""
    written: _Written | None = session.info.get(_KEY)
    if not written:
        return
    for transaction in [inner for inner in written if previous in _with_parents(inner)]:
        del written[transaction]
