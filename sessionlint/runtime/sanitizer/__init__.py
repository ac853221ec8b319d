"""The run-time sanitizer: sees misused sessions while a program or its tests run, under the codes of the static rules.

Reading order: `options` and `violations` (what is asked and what is said), `stacks` (who called, across greenlets),
`records` (what is known of a session and its transaction), `listeners` (SQLAlchemy's events), `creation` (with
`handing_out`), `waiting`, `foreign_calls` and `streams` (one question each), `sanitizer` (switches all of it on and
off), `todo` (adoption).
Imports nothing of the analyser. ``python -m sessionlint.runtime.sanitizer script.py`` runs one program under it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .options import SanitizerOptions
    from .sanitizer import Sanitizer
    from .streams import SanitizerMiddleware
    from .violations import Spot, Violation

_HOME = {
    "Sanitizer": "sanitizer",
    "SanitizerMiddleware": "streams",
    "SanitizerOptions": "options",
    "Spot": "violations",
    "Violation": "violations",
}

__all__ = ["Sanitizer", "SanitizerMiddleware", "SanitizerOptions", "Spot", "Violation"]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
