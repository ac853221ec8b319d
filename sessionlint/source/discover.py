"""List the Python files of a project: .gitignore and the usual folders left out, symbolic links not followed.

Must not read Python files. What cannot be listed is said, never skipped in silence.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sessionlint.config.globs import matches
from sessionlint.findings import Place, Problem

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

SKIPPED_FOLDERS = frozenset(
    {
        "__pycache__",
        "__pypackages__",
        "node_modules",
        "site-packages",
        "venv",
    }
)

#: output of builds at the top; deeper down a folder of that name is somebody's package
BUILD_FOLDERS = frozenset({"build", "dist"})


@dataclass(frozen=True)
class Listing:
    """What a walk saw; ``files`` and ``folders`` are relative to the root with forward slashes, sorted.

    ``folders`` ("" is the root) and ``ignore_files`` (absolute) tell when the listing has to be made again.
    """

    files: tuple[str, ...]
    folders: tuple[str, ...] = ()
    ignore_files: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class _Ignore:
    """The patterns of one .gitignore and the folder they are relative to (absolute, no trailing slash)."""

    base: str
    spec: GitIgnoreSpec


def python_files(
    root: str, *, exclude: Iterable[str] = (), respect_gitignore: bool = True, named: Iterable[str] = ()
) -> Listing:
    """All ``.py`` files under ``root``.

    ``named`` are paths relative to the root that the user asked for: they are listed even where ignored or excluded.
    """
    walk = _Walk(root, tuple(exclude), respect_gitignore)
    walk.folder("", walk.outer())
    for path in named:
        if path in walk.files or path in walk.folders:
            continue
        if os.path.isdir(os.path.join(root, path)):
            walk.folder(path, ())
        elif path.endswith(".py"):
            walk.files.add(path)
    return Listing(
        tuple(sorted(walk.files)), tuple(sorted(walk.folders)), tuple(sorted(walk.ignore_files)), tuple(walk.problems)
    )


class _Walk:
    """The state of one walk."""

    def __init__(self, root: str, exclude: tuple[str, ...], respect_gitignore: bool) -> None:
        self.root = root
        self.exclude = exclude
        self.respect_gitignore = respect_gitignore
        self.files: set[str] = set()
        self.folders: set[str] = set()
        self.ignore_files: set[str] = set()
        self.problems: list[Problem] = []

    def outer(self) -> tuple[_Ignore, ...]:
        """.gitignore files above the root, up to the repository; none when they ignore the root itself."""
        above: list[str] = []
        folder = self.root
        while not os.path.exists(os.path.join(folder, ".git")):
            parent = os.path.dirname(folder)
            if parent == folder:
                return ()  # no repository: what lies above is none of this project's business
            above.append(parent)
            folder = parent
        ignores: tuple[_Ignore, ...] = ()
        for base in reversed(above):
            ignores = self.with_gitignore(base, ignores)
        return () if _ignored(self.root, ignores, is_folder=True) else ignores

    def with_gitignore(self, folder: str, ignores: tuple[_Ignore, ...]) -> tuple[_Ignore, ...]:
        path = os.path.join(folder, ".gitignore")
        if not self.respect_gitignore or not os.path.isfile(path):
            return ignores
        self.ignore_files.add(path)
        try:
            with open(path, encoding="utf-8", errors="replace") as stream:
                lines = stream.read().splitlines()
            from pathspec import GitIgnoreSpec

            return (*ignores, _Ignore(folder, GitIgnoreSpec.from_lines(lines)))
        except (OSError, ValueError) as error:
            self.problem(os.path.relpath(path, self.root), f"cannot read the ignore file: {error}")
            return ignores

    def problem(self, path: str, message: str) -> None:
        self.problems.append(Problem(Place(path.replace(os.sep, "/"), 1, 1, 1, 1), message))

    def folder(self, start: str, ignores: tuple[_Ignore, ...]) -> None:
        waiting = [(start, ignores)]
        while waiting:
            relative, inherited = waiting.pop()
            absolute = os.path.join(self.root, relative) if relative else self.root
            self.folders.add(relative)
            own = self.with_gitignore(absolute, inherited)
            try:
                with os.scandir(absolute) as entries:
                    found = list(entries)
            except OSError as error:
                self.problem(relative or ".", f"cannot list the folder: {error.strerror or error}")
                continue
            for entry in found:
                path = f"{relative}/{entry.name}" if relative else entry.name
                try:
                    if entry.is_dir(follow_symlinks=False):
                        if not self.skipped_folder(entry, path, own):
                            waiting.append((path, own))
                    elif entry.name.endswith(".py") and self.wanted_file(entry, path, own):
                        self.files.add(path)
                except OSError as error:
                    self.problem(path, f"cannot look at the file: {error.strerror or error}")

    def skipped_folder(self, entry: os.DirEntry[str], path: str, ignores: tuple[_Ignore, ...]) -> bool:
        return (
            entry.name.startswith(".")
            or entry.name in SKIPPED_FOLDERS
            or path in BUILD_FOLDERS
            or entry.name.endswith(".egg-info")
            or os.path.exists(os.path.join(entry.path, "pyvenv.cfg"))
            or matches(path, self.exclude)
            or _ignored(entry.path, ignores, is_folder=True)
        )

    def wanted_file(self, entry: os.DirEntry[str], path: str, ignores: tuple[_Ignore, ...]) -> bool:
        if entry.is_symlink() and _inside(os.path.realpath(entry.path), self.root):
            return False  # its target is listed under its own name
        if not entry.is_symlink() and not entry.is_file():
            return False  # a pipe or device named like a module would block the reader
        if entry.is_symlink() and not os.path.isfile(entry.path):
            return False
        return not matches(path, self.exclude) and not _ignored(entry.path, ignores, is_folder=False)


def _inside(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)


def _ignored(path: str, ignores: tuple[_Ignore, ...], *, is_folder: bool) -> bool:
    """The deepest .gitignore that says something about ``path`` decides, as git does."""
    for ignore in reversed(ignores):
        relative = os.path.relpath(path, ignore.base).replace(os.sep, "/")
        verdict = ignore.spec.check_file(relative + "/" if is_folder else relative).include
        if verdict is not None:
            return verdict
    return False
