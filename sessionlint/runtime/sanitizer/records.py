"""What the sanitizer knows of a session, of the transaction on its connection and of the request it serves."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING
from weakref import ReferenceType, ref

from .stacks import Site, Stack
from .violations import Spot

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

Task = asyncio.Task[object]


@dataclass(eq=False)
class RequestRecord:
    """One HTTP request, from the first byte of the scope to the end of the application.

    ``encoded_ahead``: its chunks pass a queue, so that one is sent after its generator has gone on.
    """

    path: str
    encoded_ahead: bool = False
    commits: list[Site] = field(default_factory=list)
    reported: bool = False


current_request: ContextVar[RequestRecord | None] = ContextVar("sessionlint_request", default=None)


@dataclass(frozen=True)
class Actor:
    """Who runs: a task, or a thread where there is no event loop."""

    task: ReferenceType[Task] | None
    thread: int

    @classmethod
    def current(cls) -> Actor:
        task = running_task()
        return cls(ref(task) if task is not None else None, threading.get_ident())

    @property
    def alive_task(self) -> Task | None:
        return self.task() if self.task is not None else None

    def is_current(self) -> bool:
        task = running_task()
        if task is None or self.task is None:
            return task is None and self.task is None and self.thread == threading.get_ident()
        return self.task() is task


def running_task() -> Task | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


@dataclass(frozen=True)
class Write:
    """One uncommitted change: what was written, and from where."""

    what: str
    stack: Stack


@dataclass(eq=False)
class SessionRecord:
    """A session from the call that made it to its close."""

    created: Stack
    external: bool = False
    commits: int = 0
    flushing: bool = False
    leaving_on_error: bool = False
    by_hand: bool = False
    added: dict[int, tuple[object, Write]] = field(default_factory=dict)  # keeps the objects until their event comes
    lost: list[Write] = field(default_factory=list)

    def leaves(self, kind: object) -> None:
        """The scope of the session is left, by an exception of this kind or by none.

        A dependency that nobody finishes is closed by the garbage collector: that is no error of the work in it.
        """
        self.leaving_on_error |= kind is not None and not (self.by_hand and kind is GeneratorExit)

    @property
    def maker(self) -> Site | None:
        """The innermost function of the project that made the session."""
        return self.created.sites[0] if self.created.sites else None


@dataclass(eq=False)
class TransactionRecord:
    """A transaction on a connection, open from BEGIN to COMMIT or ROLLBACK; durations are wall time in seconds."""

    begun: Stack
    actor: Actor
    request: RequestRecord | None
    by_session: bool
    autocommit: bool
    session: ReferenceType[Session] | None = None
    record: SessionRecord | None = None
    started: float = field(default_factory=perf_counter)
    last_used: float = field(default_factory=perf_counter)
    last_stack: Stack = field(default_factory=Stack)
    running: int = 0
    writes: list[Write] = field(default_factory=list)
    savepoints: list[int] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None
    waiting_on: tuple[int, int] = (0, 0)
    waiting_since: float = 0.0
    reported: bool = False

    @property
    def age(self) -> float:
        return perf_counter() - self.started

    @property
    def external(self) -> bool:
        """A transaction that a caller began around the session, as tests do to roll everything back."""
        return not self.by_session or self.autocommit or (self.record is not None and self.record.external)

    def touched(self, stack: Stack, actor: Actor) -> None:
        self.last_used = perf_counter()
        self.last_stack = stack
        self.actor = actor

    def concerns_current(self) -> bool:
        """Whether the running code works for the same request (or, outside requests, in the same task or thread)."""
        request = current_request.get()
        if request is not None or self.request is not None:
            return self.request is request
        return self.actor.is_current()

    def first_spot(self) -> Spot | None:
        return self.begun.sites[0].spot if self.begun.sites else None
