"""The to-do file: places that are known and wait for repair, one per line, without line numbers.

    SES201 app/repositories/users.py::UserRepository.save | await self._db.commit()

Lines that begin with ``#`` are comments. Known places are not failures, and entries that were not met are said.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from .violations import NAMES, Violation

Identity = tuple[str, str, str, str]

_HEADER = (
    "# Violations that the run-time sanitizer may go on meeting until they are repaired.\n"
    "# Written by `pytest --sessionlint-sanitize --sessionlint-todo=FILE --sessionlint-update-todo`.\n"
)


class TodoProblem(Exception):
    """The file cannot be read; the message names file, line and what is expected there."""


class Todo(NamedTuple):
    """The known places of one project."""

    path: Path
    known: frozenset[Identity]

    def knows(self, violation: Violation) -> bool:
        return violation.identity in self.known

    def stale(self, met: Iterable[Identity]) -> list[Identity]:
        """Entries that were not met."""
        return sorted(self.known - set(met))


def read(path: Path) -> Todo:
    """The file at ``path``; a missing one knows nothing. Raises ``TodoProblem``."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Todo(path, frozenset())
    except (OSError, UnicodeDecodeError) as error:
        raise TodoProblem(f"cannot read the to-do file {path}: {error}") from error
    known = set()
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            known.add(_parsed(path, number, line))
    return Todo(path, frozenset(known))


def write(path: Path, met: Iterable[Identity]) -> int:
    """Replace the file by the given places; gives their number."""
    identities = sorted(set(met))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_HEADER + "".join(f"{line_of(one)}\n" for one in identities), encoding="utf-8")
    return len(identities)


def line_of(identity: Identity) -> str:
    code, file, function, statement = identity
    return f"{code} {file}::{function} | {statement}".rstrip()


def _parsed(path: Path, number: int, line: str) -> Identity:
    place, bar, statement = line.partition(" |")
    code, _, rest = place.strip().partition(" ")
    file, colons, function = rest.rpartition("::")
    if not bar or not colons or code not in NAMES:
        expected = "CODE path/to/file.py::function | statement"
        raise TodoProblem(f"{path}:{number}: expected `{expected}`, got `{line.strip()}`")
    return (code, file.strip(), function.strip(), statement.strip())
