"""Say on a terminal's stderr which stage a long run is in; silent for half a second and when nobody watches."""

from __future__ import annotations

import sys
import time

_PATIENCE = 0.5  # seconds


class Progress:
    """Called with the name of each stage. No thread: the run forks, and threads do not survive that."""

    def __init__(self) -> None:
        self._watched = sys.stderr.isatty()
        self._started = time.monotonic()
        self._written = False

    def __call__(self, stage: str) -> None:
        if self._watched and time.monotonic() - self._started > _PATIENCE:
            sys.stderr.write(f"\r\x1b[K{stage} ...")
            sys.stderr.flush()
            self._written = True

    def clear(self) -> None:
        """Remove the line before findings are printed."""
        if self._written:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._written = False
