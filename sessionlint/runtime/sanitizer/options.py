"""What the sanitizer is asked to look for, and where; the names and defaults are those of ``[tool.sessionlint]``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

_TEST_FOLDERS = frozenset({"tests", "test", "testing"})


def is_test(file: str) -> bool:
    """Whether a path relative to the root names a test file: the reading of the static rules, and of pytest."""
    *folders, name = file.split("/")
    return (
        name.startswith("test_")
        or name.endswith("_test.py")
        or name in {"conftest.py", "tests.py"}
        or not _TEST_FOLDERS.isdisjoint(folders)
    )


def in_globs(path: str, globs: tuple[str, ...]) -> bool:
    """``*`` also crosses folders, as in the static rule."""
    return any(fnmatchcase(path, glob) for glob in globs)


@dataclass(frozen=True)
class SanitizerOptions:
    """Frames of files below ``root`` (and not of installed packages) are the project's; all others are foreign.

    ``max_transaction_ms``: a transaction open for longer is reported. ``max_foreign_wait_ms``: how long a task may wait
    for something other than the database inside a transaction; calls of known HTTP clients are reported at once.
    """

    root: Path = field(default_factory=Path.cwd)
    allowed_session_files: tuple[str, ...] = ()
    repository_classes: tuple[str, ...] = ("*Repository*", "*Repo", "*DAO", "*CRUD*")
    unit_of_work_classes: tuple[str, ...] = ()
    commit_owner: str = "boundary"
    exclude: tuple[str, ...] = ()
    tests: bool = False
    max_transaction_ms: float = 500.0
    max_foreign_wait_ms: float = 50.0
    max_commits_per_request: int = 5
    is_test: Callable[[str], bool] = is_test

    def is_silent(self, file: str) -> bool:
        """Whether nothing is said about a file: a test (unless asked for), or excluded."""
        return (not self.tests and self.is_test(file)) or in_globs(file, self.exclude)

    def __post_init__(self) -> None:
        for name in ("max_transaction_ms", "max_foreign_wait_ms"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be more than 0, got {getattr(self, name)!r}")
        if self.max_commits_per_request < 1:
            raise ValueError(f"max_commits_per_request must be at least 1, got {self.max_commits_per_request!r}")
