"""A progress bar on a terminal's stderr for long runs; silent for half a second and when nobody watches.

Drawn only when a stage reports, never from a thread of its own: the run forks, and threads do not survive that.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

_PATIENCE = 0.5  # seconds
_PAUSE = 0.1  # seconds between two drawings


class Progress:
    """Called with the name of each stage, what is done of it and how much there is; 0 of 0 where nobody can tell."""

    def __init__(self) -> None:
        self._watched = sys.stderr.isatty()
        self._started = time.monotonic()
        self._drawn = 0.0
        self._bar: Bar | None = None
        self._task: TaskID | None = None

    def __call__(self, stage: str, done: int = 0, total: int = 0) -> None:
        now = time.monotonic()
        if not self._watched or now - self._started < _PATIENCE or (total and now - self._drawn < _PAUSE):
            return
        self._drawn = now
        if self._bar is None or self._task is None:
            self._bar = _bar()
            self._task = self._bar.add_task(stage, total=None)
            self._bar.start()
        self._bar.update(self._task, description=stage, completed=done, total=total or None)
        self._bar.refresh()

    def clear(self) -> None:
        """Remove the bar before findings are printed."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _bar() -> Bar:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Bar(*columns, console=Console(stderr=True), transient=True, auto_refresh=False)
