"""Stops asking a database that is gone, so that requests fail at once instead of filling the pool with waiting.

The state machine is purgatory's. Three things are added, because it counts a client's disconnect as a failure, takes an
excluded exception for a success, and admits every caller while half-open.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Literal, Protocol

from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState
from sqlalchemy.exc import DBAPIError

from .sqlstate import is_unavailable

CircuitState = Literal["closed", "half-opened", "opened"]


class CircuitOpenError(ConnectionError):
    """The database was not asked: it failed repeatedly a moment ago. Answer 503 with ``Retry-After``."""


class CircuitBreaker(Protocol):
    """What retry and services need of a circuit breaker."""

    @property
    def state(self) -> CircuitState: ...

    def guard(self) -> AbstractAsyncContextManager[None]:
        """Around one use of the database. Raises `CircuitOpenError` instead of entering while the circuit is open."""
        ...


class PurgatoryCircuitBreaker:
    """Opens after ``threshold`` failures in a row and lets one probe through after ``ttl`` seconds.

    A failure is an error that tells of an unavailable database. An answer, be it a refused constraint, is a success. A
    cancellation or an error of the caller's own code says nothing about the database and changes nothing.
    """

    def __init__(
        self,
        name: str = "database",
        *,
        threshold: int = 5,
        ttl: float = 30.0,
        on_state: Callable[[str, CircuitState], None] | None = None,
    ) -> None:
        self.name = name
        self._ttl = ttl
        self._factory = AsyncCircuitBreakerFactory(default_threshold=threshold, default_ttl=ttl)
        self._on_state = on_state
        self._state: CircuitState = "closed"
        self._probing = False
        if on_state is not None:
            on_state(name, "closed")

    @property
    def state(self) -> CircuitState:
        return self._state

    @asynccontextmanager
    async def guard(self) -> AsyncIterator[None]:
        breaker = await self._factory.get_breaker(self.name)
        try:
            await breaker.__aenter__()
        except OpenedState as error:
            raise CircuitOpenError(f"Circuit {self.name!r} is open; it is tried again within {self._ttl} s.") from error
        probe = breaker.context.state == "half-opened"
        self._note(breaker.context.state)
        if probe and self._probing:
            raise CircuitOpenError(f"Circuit {self.name!r} is being probed by another caller.")
        self._probing = self._probing or probe
        try:
            try:
                yield
            except BaseException as error:
                if is_unavailable(error):
                    await self._conclude(breaker, probe, error)
                elif isinstance(error, DBAPIError):
                    await self._conclude(breaker, probe, None)
                raise
            await self._conclude(breaker, probe, None)
        finally:
            if probe:
                self._probing = False
            self._note(breaker.context.state)

    async def _conclude(
        self, breaker: AbstractAsyncContextManager[object], probe: bool, failure: BaseException | None
    ) -> None:
        # While half-open only the probe decides; what began before the circuit opened comes too late.
        if self._state == "half-opened" and not probe:
            return
        await breaker.__aexit__(type(failure) if failure else None, failure, None)

    def _note(self, state: str) -> None:
        known: dict[str, CircuitState] = {"closed": "closed", "half-opened": "half-opened", "opened": "opened"}
        if known[state] != self._state:
            self._state = known[state]
            if self._on_state is not None:
                self._on_state(self.name, self._state)
