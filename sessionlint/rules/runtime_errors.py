"""Which rules find the cause of a runtime error, by the text a user pastes: a message, or a whole traceback."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import tomli

_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class KnownError:
    """One row of ``runtime_errors.toml``."""

    name: str
    seen: tuple[str, ...]
    means: str
    rules: tuple[str, ...]

    def last_place(self, text: str) -> int:
        """Where in a normalised text one of the fragments occurs last; -1 where none does."""
        return max(text.rfind(normalised(fragment)) for fragment in self.seen)


@lru_cache(maxsize=1)
def known_errors() -> tuple[KnownError, ...]:
    """The table, in its own order."""
    rows = tomli.loads((Path(__file__).with_suffix(".toml")).read_text(encoding="utf-8"))["error"]
    return tuple(KnownError(r["name"], tuple(r["seen"]), r["means"], tuple(r["rules"])) for r in rows)


def recognised(text: str) -> list[KnownError]:
    """The errors a text speaks of; of a traceback with several, the last one first: it is what the user sees."""
    flat = normalised(text)
    found = [(error.last_place(flat), error) for error in known_errors()]
    return [error for place, error in sorted(found, key=lambda f: -f[0]) if place >= 0]


def normalised(text: str) -> str:
    """One line, lower case: terminals and loggers break messages anywhere."""
    return _SPACE.sub(" ", text).lower()
