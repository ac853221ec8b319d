"""Switches the sanitizer on and off, keeps its records, and collects violations: one per code and line."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import Session, sessionmaker

from . import foreign_calls
from .creation import judged
from .listeners import Listeners
from .options import SanitizerOptions
from .patches import Patches
from .records import SessionRecord, TransactionRecord
from .stacks import Site, StackReader
from .streams import watch_event_encoder, watched
from .violations import Spot, Step, Violation, statement_at

_Method = Callable[..., Any]


class Sanitizer:
    """A context manager; ``violations`` holds what was seen, in the order of its first sight."""

    def __init__(self, options: SanitizerOptions | None = None) -> None:
        self.options = options or SanitizerOptions()
        self.reader = StackReader(self.options.root)
        self.patches = Patches()
        self.transactions: WeakKeyDictionary[Connection, TransactionRecord] = WeakKeyDictionary()
        self.violations: list[Violation] = []
        self.where = ""
        self.ignored: frozenset[str] = frozenset()
        self._by_place: dict[tuple[str, Spot], Violation] = {}
        self._sessions: WeakKeyDictionary[Session, SessionRecord] = WeakKeyDictionary()
        self._factory_files: set[str] = set()
        self._listeners = Listeners(self)
        self._on = False
        self._hits: list[Violation] = []

    def __enter__(self) -> Sanitizer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to watch all engines and sessions of the process. Raises ``RuntimeError`` when watching already."""
        if self._on:
            raise RuntimeError("this sanitizer is on already")
        self._on = True
        self._listeners.listen()
        self.patches.replace(Session, "__init__", self._making)
        for maker in (sessionmaker, async_sessionmaker):
            self.patches.replace(maker, "__init__", self._making_factory)
        self.patches.replace(Session, "__exit__", self._leaving)
        self.patches.replace(AsyncSession, "__aexit__", self._leaving_async)
        self.patches.replace(AsyncSession, "close", self._closing_async)
        self._watch_applications()
        foreign_calls.wrap_loaded(self)

    def stop(self) -> None:
        """Put everything back as it was; violations stay."""
        if not self._on:
            return
        self._on = False
        self._listeners.remove()
        self.patches.undo()
        for transaction in list(self.transactions.values()):
            if transaction.timer is not None:
                transaction.timer.cancel()
        self.transactions.clear()

    @contextmanager
    def ignoring(self, *codes: str) -> Iterator[None]:
        """Report nothing under these codes within the block."""
        before, self.ignored = self.ignored, self.ignored | set(codes)
        try:
            yield
        finally:
            self.ignored = before

    def take_hits(self) -> list[Violation]:
        """Violations met since the last call, also those known before."""
        hits, self._hits = self._hits, []
        return hits

    def report(self, code: str, site: Site, message: str, trace: tuple[Step, ...] = ()) -> None:
        """Note a violation at ``site``; not in test files (unless asked for), and not under an ignored code."""
        if code in self.ignored or self.options.is_silent(site.spot.file):
            return
        place = (code, site.spot)
        known = self._by_place.get(place)
        if known is None:
            statement = statement_at(self.reader.absolute(site.spot.file), site.spot.line)
            known = self._by_place[place] = Violation(code, message, site.spot, trace, statement)
            self.violations.append(known)
        else:
            known.count += 1
        if self.where and self.where not in known.met_in and len(known.met_in) < 3:
            known.met_in.append(self.where)
        if known not in self._hits:
            self._hits.append(known)

    # ---- records ---------------------------------------------------------------------------------------------------

    def session_record(self, session: Session) -> SessionRecord:
        record = self._sessions.get(session)
        if record is None:  # made before the sanitizer was switched on
            record = self._sessions[session] = SessionRecord(self.reader.current())
        return record

    def transaction_of(self, session: Session) -> TransactionRecord | None:
        for transaction in self.open_transactions():
            if transaction.session is not None and transaction.session() is session:
                return transaction
        return None

    def open_transactions(self) -> list[TransactionRecord]:
        return list(self.transactions.values())

    def is_open(self, transaction: TransactionRecord) -> bool:
        return any(one is transaction for one in self.transactions.values())

    def ended(self, connection: Connection) -> TransactionRecord | None:
        """Forget the transaction of a connection; gives its record."""
        transaction = self.transactions.pop(connection, None)
        if transaction is not None and transaction.timer is not None:
            transaction.timer.cancel()
        return transaction

    # ---- what has no event -----------------------------------------------------------------------------------------

    def _making(self, original: _Method) -> _Method:
        @functools.wraps(original)
        def made(session: Session, *args: Any, **keywords: Any) -> None:
            original(session, *args, **keywords)
            record = self._sessions[session] = SessionRecord(self.reader.current())
            fault = judged(session, record.created, self.options, self._factory_files, self.reader)
            if fault is None:
                return
            code, site, message = fault
            record.by_hand = code in {"SES105", "SES106"}
            chain = record.created.chain
            callers = chain[next(at for at, one in enumerate(chain) if one is site) + 1 :]
            steps = (Step(one.spot, f"called from `{one.spot.function or '<module>'}`") for one in callers[:2])
            self.report(code, site, message, tuple(steps))

        return made

    def _making_factory(self, original: _Method) -> _Method:
        @functools.wraps(original)
        def made(*args: Any, **keywords: Any) -> None:
            original(*args, **keywords)
            stack = self.reader.current()
            if stack.sites:
                self._factory_files.add(stack.sites[0].spot.file)

        return made

    def _leaving(self, original: _Method) -> _Method:
        @functools.wraps(original)
        def leave(session: Session, kind: object, value: object, traceback: object) -> Any:
            self.session_record(session).leaves(kind)
            return original(session, kind, value, traceback)

        return leave

    def _leaving_async(self, original: _Method) -> _Method:
        @functools.wraps(original)
        def leave(session: AsyncSession, kind: object, value: object, traceback: object) -> Any:
            self.session_record(session.sync_session).leaves(kind)
            return original(session, kind, value, traceback)

        return leave

    def _closing_async(self, original: _Method) -> _Method:
        @functools.wraps(original)
        def close(session: AsyncSession) -> Any:
            # Inside the greenlet that closes, the exception under way is out of sight.
            self.session_record(session.sync_session).leaves(sys.exc_info()[0])
            return original(session)

        return close

    def _watch_applications(self) -> None:
        try:
            from starlette.applications import Starlette
        except ImportError:
            return

        def calling(original: _Method) -> _Method:
            @functools.wraps(original)
            async def call(app: Starlette, scope: Any, receive: Any, send: Any) -> None:
                await watched(self, functools.partial(original, app), scope, receive, send)

            return call

        self.patches.replace(Starlette, "__call__", calling)
        watch_event_encoder(self)
