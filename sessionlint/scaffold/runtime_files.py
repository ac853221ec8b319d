"""The reference runtime as source files for another package: read as text, never imported."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from sessionlint.version import VERSION

if TYPE_CHECKING:
    from importlib.abc import Traversable  # its home in 3.10; importing it there fails from 3.14 on

_OURS = "sessionlint.runtime"
_NOT_COPIED = frozenset({"sanitizer", "diagnose", "__pycache__"})
"""Tools for tests and operators: they stay in sessionlint, a service needs neither."""


def runtime_files(package: str) -> dict[str, str]:
    """Path to text of every file; ``package`` is the dotted name under which the files will be imported."""
    head = f"# Written by `sessionlint scaffold runtime` {VERSION}; yours from now on, needs no sessionlint.\n"
    texts = {}
    for name, text in sorted(_sources(files("sessionlint") / "runtime", "")):
        texts[name] = head + text.replace(_OURS, package)
    return texts


def package_of(path: str) -> str:
    """The dotted name of a folder relative to where the program runs; of an absolute path, its last part."""
    parts = [part for part in path.replace("\\", "/").split("/") if part not in {"", "."}]
    if path.startswith("/") or ":" in path[:2] or ".." in parts:
        parts = parts[-1:]
    if parts[:1] == ["src"]:
        parts = parts[1:]
    return ".".join(parts)


def _sources(folder: Traversable, prefix: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for entry in folder.iterdir():
        if entry.name in _NOT_COPIED:
            continue
        if entry.is_dir():
            found += _sources(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".py") or entry.name == "py.typed":
            found.append((f"{prefix}{entry.name}", entry.read_text(encoding="utf-8")))
    return found
