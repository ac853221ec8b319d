"""Turns SQLAlchemy's events into records and judgements: commits (SES201, SES290) and lost writes (SES301, SES304).

A real COMMIT or ROLLBACK is an event of the connection; the session's own events also fire for empty commits and
savepoints. Which end of a transaction is a mere ``close()`` is read from the stack: there is no event for it.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from types import CodeType
from typing import TYPE_CHECKING, Any
from weakref import ref

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.engine.interfaces import ExecutionContext
from sqlalchemy.orm import Session, SessionTransaction, UOWTransaction

from . import foreign_calls, waiting
from .creation import is_unit_of_work
from .records import Actor, SessionRecord, TransactionRecord, Write, current_request
from .stacks import Site, Stack, library_frames
from .violations import Step

if TYPE_CHECKING:
    from .sanitizer import Sanitizer

_WRITING = re.compile(r"\s*(insert|update|delete|merge|copy|truncate)\b(?:\s+(?:into|from|only))*\s+([\w.\"`]+)?", re.I)
_COMMITTERS = frozenset({"commit", "__aexit__", "__exit__"})
_SESSION_FILE = Session.commit.__code__.co_filename
_CLOSERS: tuple[CodeType, ...] = (Session.close.__code__, Session.reset.__code__, Session.invalidate.__code__)


class Listeners:
    """The listeners of one sanitizer, for all engines and session classes of the process."""

    def __init__(self, sanitizer: Sanitizer) -> None:
        self._sanitizer = sanitizer
        self._listened: list[tuple[type, str, Any]] = [
            (Engine, "begin", self._begin),
            (Engine, "commit", self._committed),
            (Engine, "rollback", self._rolled_back),
            (Engine, "savepoint", self._savepoint),
            (Engine, "rollback_savepoint", self._savepoint_undone),
            (Engine, "release_savepoint", self._savepoint_kept),
            (Engine, "before_cursor_execute", self._before_statement),
            (Engine, "after_cursor_execute", self._after_statement),
            (Session, "after_begin", self._session_begins),
            (Session, "before_commit", self._session_commits),
            (Session, "before_flush", self._flush_begins),
            (Session, "after_flush", self._flushed),
            (Session, "after_soft_rollback", self._session_rolled_back),
            (Session, "after_transaction_end", self._session_transaction_ended),
            (Session, "transient_to_pending", self._added),
            (Session, "pending_to_transient", self._never_flushed),
            (Session, "persistent_to_detached", self._detached),
        ]

    def listen(self) -> None:
        for target, name, listener in self._listened:
            event.listen(target, name, listener)
        # Errors reach no after_cursor_execute.
        event.listen(Engine, "handle_error", self._failed)

    def remove(self) -> None:
        for target, name, listener in self._listened:
            event.remove(target, name, listener)
        event.remove(Engine, "handle_error", self._failed)

    # ---- the connection --------------------------------------------------------------------------------------------

    def _begin(self, connection: Connection) -> None:
        foreign_calls.wrap_loaded(self._sanitizer)
        by_session = any(frame.f_code.co_filename == _SESSION_FILE for frame in library_frames())
        transaction = TransactionRecord(
            self._sanitizer.reader.current(),
            Actor.current(),
            current_request.get(),
            by_session,
            _autocommits(connection),
        )
        self._sanitizer.transactions[connection] = transaction
        waiting.watch(self._sanitizer, transaction)

    def _committed(self, connection: Connection) -> None:
        transaction = self._sanitizer.ended(connection)
        if transaction is None:
            return
        waiting.too_long(self._sanitizer, transaction)
        if transaction.record is not None:
            transaction.record.commits += 1
        request = transaction.request
        stack = self._sanitizer.reader.current()
        site = next(iter(stack.sites), None) or next(iter(transaction.last_stack.sites), None)
        if request is None or site is None or transaction.external:
            return
        request.commits.append(site)
        most = self._sanitizer.options.max_commits_per_request
        if len(request.commits) > most and not request.reported:
            request.reported = True
            places = dict.fromkeys(one.spot for one in request.commits)
            trace = tuple(Step(spot, "commits") for spot in list(places)[:5])
            self._sanitizer.report("SES290", site, f"one request commits more than {most} times", trace)

    def _rolled_back(self, connection: Connection) -> None:
        transaction = self._sanitizer.ended(connection)
        if transaction is None:
            return
        waiting.too_long(self._sanitizer, transaction)
        record = transaction.record
        if record is None or transaction.external:
            return
        if _closing():
            record.lost.extend(transaction.writes)

    def _savepoint(self, connection: Connection, _name: str) -> None:
        if (transaction := self._sanitizer.transactions.get(connection)) is not None:
            transaction.savepoints.append(len(transaction.writes))

    def _savepoint_undone(self, connection: Connection, _name: str, _context: object) -> None:
        transaction = self._sanitizer.transactions.get(connection)
        if transaction is not None and transaction.savepoints:
            del transaction.writes[transaction.savepoints.pop() :]

    def _savepoint_kept(self, connection: Connection, _name: str, _context: object) -> None:
        transaction = self._sanitizer.transactions.get(connection)
        if transaction is not None and transaction.savepoints:
            transaction.savepoints.pop()

    def _before_statement(self, connection: Connection, *_: object) -> None:
        transaction = self._sanitizer.transactions.get(connection)
        if transaction is None:
            return
        transaction.running += 1
        transaction.touched(self._sanitizer.reader.current(), Actor.current())

    def _after_statement(
        self,
        connection: Connection,
        cursor: Any,
        statement: str,
        _values: object,
        context: ExecutionContext | None,
        *_: object,
    ) -> None:
        transaction = self._sanitizer.transactions.get(connection)
        if transaction is None:
            return
        transaction.running = max(0, transaction.running - 1)
        transaction.touched(transaction.last_stack, transaction.actor)
        record = transaction.record
        if (record is not None and record.flushing) or not _writes(context, statement):
            return
        if getattr(cursor, "rowcount", -1) != 0:  # a statement that changed no row leaves nothing to lose
            transaction.writes.append(Write(_described(statement), transaction.last_stack))

    def _failed(self, failure: Any) -> None:
        transaction = self._sanitizer.transactions.get(failure.connection) if failure.connection is not None else None
        if transaction is not None:
            transaction.running = max(0, transaction.running - 1)

    # ---- the session -----------------------------------------------------------------------------------------------

    def _session_begins(
        self, session: Session, session_transaction: SessionTransaction, connection: Connection
    ) -> None:
        if session_transaction.nested:
            return
        transaction = self._sanitizer.transactions.get(connection)
        record = self._sanitizer.session_record(session)
        if transaction is None:
            return
        if not transaction.by_session:
            record.external = True
            return
        transaction.session, transaction.record = ref(session), record

    def _session_commits(self, session: Session) -> None:
        if session.in_nested_transaction():
            return
        options = self._sanitizer.options
        stack = self._sanitizer.reader.current()
        site = stack.cause
        if site is None or options.commit_owner == "repository" or site.code.co_name in _COMMITTERS:
            return
        if not any(fnmatchcase(site.owner, glob) for glob in options.repository_classes):
            return
        if is_unit_of_work(site.owner, options) or _made_here(self._sanitizer.session_record(session), site):
            return
        caller = stack.chain[1:2]
        self._sanitizer.report(
            "SES201",
            site,
            f"`{site.spot.function}` commits a session its caller owns",
            tuple(Step(one.spot, f"called from `{one.spot.function or '<module>'}`") for one in caller),
        )

    def _flush_begins(self, session: Session, _context: UOWTransaction, _instances: object) -> None:
        self._sanitizer.session_record(session).flushing = True

    def _flushed(self, session: Session, _context: UOWTransaction) -> None:
        record = self._sanitizer.session_record(session)
        record.flushing = False
        transaction = self._sanitizer.transaction_of(session)
        if transaction is None:
            return
        stack = self._sanitizer.reader.current()
        for instance in session.new:
            known = record.added.pop(id(instance), None)
            write = known[1] if known else Write(f"the insert of `{type(instance).__name__}`", stack)
            transaction.writes.append(write)
        for instance in session.dirty:
            if session.is_modified(instance):
                transaction.writes.append(Write(f"the change of `{type(instance).__name__}`", stack))
        for instance in session.deleted:
            transaction.writes.append(Write(f"the delete of `{type(instance).__name__}`", stack))

    def _session_rolled_back(self, session: Session, _previous: SessionTransaction) -> None:
        self._sanitizer.session_record(session).flushing = False

    def _added(self, session: Session, instance: object) -> None:
        write = Write(f"the insert of `{type(instance).__name__}`", self._sanitizer.reader.current())
        self._sanitizer.session_record(session).added[id(instance)] = (instance, write)

    def _never_flushed(self, session: Session, instance: object) -> None:
        record = self._sanitizer.session_record(session)
        known = record.added.pop(id(instance), None)
        if known is not None and not record.external and _closing():
            record.lost.append(known[1])

    def _detached(self, session: Session, instance: object) -> None:
        state: Any = sa.inspect(instance)
        if not state.modified or not any(one.history.has_changes() for one in state.attrs):
            return
        record = self._sanitizer.session_record(session)
        if not record.external and _closing():
            stack = self._sanitizer.reader.current()
            stack = stack if stack.sites else record.created
            record.lost.append(Write(f"the change of `{type(instance).__name__}`", stack))

    def _session_transaction_ended(self, session: Session, transaction: SessionTransaction) -> None:
        if transaction.parent is not None:
            return
        record = self._sanitizer.session_record(session)
        lost, record.lost = record.lost, []
        record.added.clear()
        record.flushing = False
        on_error, record.leaving_on_error = record.leaving_on_error, False
        if lost and not on_error and not record.external:
            self._report_lost(record, lost)

    def _report_lost(self, record: SessionRecord, lost: list[Write]) -> None:
        # As the static rules do: the first write after the last commit, else the last one.
        write = lost[0] if record.commits else lost[-1]
        site = _local_site(record.created, write.stack)
        if site is None:
            return
        trace = []
        if record.maker is not None:
            trace.append(Step(record.maker.spot, "the session is opened"))
        if write.stack.sites and write.stack.sites[0].spot != site.spot:
            trace.append(Step(write.stack.sites[0].spot, f"{write.what} happens here"))
        if record.commits:
            self._sanitizer.report(
                "SES304", site, f"{write.what} comes after the last commit of its session and is lost", tuple(trace)
            )
        else:
            self._sanitizer.report(
                "SES301", site, f"{write.what} is never committed: its session is closed", tuple(trace)
            )


def _local_site(created: Stack, written: Stack) -> Site | None:
    """The line of the function that opened the session (or that its framework called) which leads to the write."""
    for site in created.chain:
        for one in written.sites:
            if one.code is site.code:
                return one
    chain = written.chain
    return chain[-1] if chain else next(iter(created.sites), None)


def _made_here(record: SessionRecord, site: Site) -> bool:
    """Whether the session was opened by this function, or is kept by an object of this class that opened it."""
    return any(one.code is site.code or (one.owner and one.owner == site.owner) for one in record.created.chain)


def _closing() -> bool:
    return any(any(frame.f_code is code for code in _CLOSERS) for frame in library_frames())


def _autocommits(connection: Connection) -> bool:
    level = connection.get_execution_options().get("isolation_level")
    if level is None:
        level = getattr(connection.dialect, "_on_connect_isolation_level", None)
    return str(level).upper() == "AUTOCOMMIT"


def _writes(context: ExecutionContext | None, statement: str) -> bool:
    if any(getattr(context, name, False) for name in ("isinsert", "isupdate", "isdelete")):
        return True
    return _WRITING.match(statement) is not None


def _described(statement: str) -> str:
    match = _WRITING.match(statement)
    if match is None:
        return "a change"
    table = (match[2] or "").strip('"`')
    return f"the {match[1].lower()}" + (f" of `{table}`" if table else "")
