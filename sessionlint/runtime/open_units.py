"""Keeps track of the units of work that are open in this process, for streaming guards and graceful shutdown."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from .errors import ShuttingDownError

if TYPE_CHECKING:
    from .unit_of_work import SSEUnitOfWork

    AnyUnit = SSEUnitOfWork[Any]


class OpenUnits:
    """The open units and the task that entered each; neither is kept alive by being listed here."""

    def __init__(self) -> None:
        self._units: WeakKeyDictionary[AnyUnit, ref[asyncio.Task[Any]] | None] = WeakKeyDictionary()
        self._closed = False

    def add(self, unit: AnyUnit) -> None:
        """Raises `ShuttingDownError` once `close` was called."""
        if self._closed:
            raise ShuttingDownError("The service is shutting down and takes no new unit of work.")
        task = asyncio.current_task()
        self._units[unit] = ref(task) if task is not None else None

    def discard(self, unit: AnyUnit) -> None:
        self._units.pop(unit, None)

    def close(self) -> None:
        self._closed = True

    def reopen(self) -> None:
        """For tests, and for servers that start again within one process."""
        self._closed = False

    def __len__(self) -> int:
        return len(self._units)

    def of_this_task(self) -> list[AnyUnit]:
        """Units that the running task has entered and not left."""
        current = asyncio.current_task()
        return [unit for unit, task in self._units.items() if task is not None and task() is current]

    def tasks(self) -> set[asyncio.Task[Any]]:
        """The tasks that hold a unit open, each once."""
        alive = {task() for task in self._units.values() if task is not None}
        return {task for task in alive if task is not None and not task.done()}


OPEN_UNITS = OpenUnits()
