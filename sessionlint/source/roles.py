"""Which files are tests: analysed like all others, but not reported unless asked for.

Judges by path only, as pytest's own defaults do.
"""

from __future__ import annotations

_FOLDERS = frozenset({"tests", "test", "testing"})


def is_test(file: str) -> bool:
    """Whether a path relative to the project root names a test file."""
    *folders, name = file.split("/")
    return (
        name.startswith("test_")
        or name.endswith("_test.py")
        or name in {"conftest.py", "tests.py"}
        or not _FOLDERS.isdisjoint(folders)
    )
