"""Who called: the frames of the project that lead to an event, continued through SQLAlchemy's greenlets.

Inside an event of an async engine the stack ends at the root of a greenlet; the frames that await it belong to the
parent greenlet. Classification is cached per code object, because a stack is read at every statement.
"""

from __future__ import annotations

import ast
import asyncio
import asyncio.runners
import contextlib
import functools
import importlib
import linecache
import sys
from collections.abc import Iterator
from inspect import CO_ASYNC_GENERATOR, CO_GENERATOR
from pathlib import Path
from types import CodeType, FrameType
from typing import NamedTuple

from greenlet import getcurrent

from .violations import Spot

_INSTALLED = ("/site-packages/", "/dist-packages/", "/node_modules/", "/.venv/", "/venv/", "/.tox/", "/.nox/")
_LOOP = frozenset(module.__file__ for module in (asyncio.events, asyncio.base_events, asyncio.runners))


class Site(NamedTuple):
    """A frame of the project. ``code`` tells functions apart whatever they are called."""

    spot: Spot
    code: CodeType
    owner: str

    @property
    def is_generator(self) -> bool:
        return bool(self.code.co_flags & (CO_GENERATOR | CO_ASYNC_GENERATOR))

    @property
    def is_async_generator(self) -> bool:
        return bool(self.code.co_flags & CO_ASYNC_GENERATOR)

    @property
    def is_module(self) -> bool:
        return self.code.co_name == "<module>"


class Stack(NamedTuple):
    """``sites`` innermost first; ``near`` of them are called by each other without a foreign frame between.

    ``direct``: nothing foreign stands between the event and the innermost site, which therefore caused it.
    """

    sites: tuple[Site, ...] = ()
    near: int = 0
    direct: bool = False

    @property
    def chain(self) -> tuple[Site, ...]:
        return self.sites[: self.near]

    @property
    def cause(self) -> Site | None:
        return self.sites[0] if self.direct and self.sites else None


class _Place(NamedTuple):
    """What a code object is: ``file`` is set for the project's own, ``transparent`` frames are looked through."""

    file: str
    transparent: bool


class StackReader:
    """Reads stacks for one project root."""

    def __init__(self, root: Path) -> None:
        self._root = str(root.resolve()).replace("\\", "/").rstrip("/") + "/"
        # By identity: equal functions on the same line of two files are equal code objects.
        self._places: dict[int, tuple[CodeType, _Place]] = {}
        self._transparent = _transparent_folders()

    def current(self, start: FrameType | None = None) -> Stack:
        """The stack of whoever is running, from ``start`` (default: the caller of this method) outwards."""
        return self.of(_frames(start or sys._getframe(1)))

    def of(self, frames: Iterator[FrameType]) -> Stack:
        sites: list[Site] = []
        near = -1
        direct = True
        for frame in frames:
            place = self._place(frame.f_code)
            if place.file:
                sites.append(self.site(frame, place.file))
            elif frame.f_code.co_filename in _LOOP:
                break  # whoever runs the event loop has called no task
            elif not place.transparent:
                direct = direct and bool(sites)
                near = len(sites) if sites and near < 0 else near
        return Stack(tuple(sites), len(sites) if near < 0 else near, direct)

    def site(self, frame: FrameType, file: str = "") -> Site:
        code = frame.f_code
        function, owner = _names(frame)
        return Site(Spot(file or self._place(code).file, frame.f_lineno or code.co_firstlineno, function), code, owner)

    def is_project(self, code: CodeType) -> bool:
        return bool(self._place(code).file)

    def is_transparent(self, code: CodeType) -> bool:
        return self._place(code).transparent

    def absolute(self, file: str) -> str:
        return self._root + file

    def _place(self, code: CodeType) -> _Place:
        known = self._places.get(id(code))
        if known is None:
            known = self._places[id(code)] = (code, self._classified(code.co_filename.replace("\\", "/")))
        return known[1]

    def _classified(self, path: str) -> _Place:
        if path.startswith("<") or any(path.startswith(prefix) for prefix in self._transparent):
            return _Place("", True)
        if not path.startswith("/") and ":" not in path[:3]:
            path = str(Path(path).resolve()).replace("\\", "/")
        if not path.startswith(self._root) or any(mark in path for mark in _INSTALLED):
            return _Place("", False)
        return _Place(path[len(self._root) :], False)


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    greenlet = getcurrent()
    while True:
        while frame is not None:
            yield frame
            frame = frame.f_back
        parent = greenlet.parent
        if parent is None:
            return
        greenlet, frame = parent, parent.gr_frame


def library_frames(start: FrameType | None = None) -> Iterator[FrameType]:
    """All frames of the running greenlet and its parents, innermost first."""
    return _frames(start or sys._getframe(1))


@functools.cache
def _transparent_folders() -> tuple[str, ...]:
    """What stands between two functions of the user without being a caller: SQLAlchemy, contextlib, this runtime."""
    files = [Path(__file__).resolve().parent.parent, Path(contextlib.__file__).resolve()]
    for name in ("sqlalchemy", "functools", "sqlmodel"):
        with contextlib.suppress(ImportError):
            origin = importlib.import_module(name).__file__
            if origin:
                path = Path(origin).resolve()
                files.append(path.parent if path.name == "__init__.py" else path)
    return tuple(str(path).replace("\\", "/") for path in files)


def _names(frame: FrameType) -> tuple[str, str]:
    """(qualified name inside the file, name of the class that defines the method or an empty text)."""
    code = frame.f_code
    if code.co_name == "<module>":
        return "", ""
    if sys.version_info >= (3, 11):
        full: str = code.co_qualname
    else:
        full = _qualified(code)
    parts = full.replace(".<locals>", "\0").split(".")
    # A function nested in a method belongs to the class as much as the method does.
    owner = ""
    for part in parts[:-1]:
        if not part.endswith("\0"):
            owner = part
        elif owner:
            break
    return full.replace(".<locals>", ""), owner


def _qualified(code: CodeType) -> str:
    """Python 3.10 does not keep the qualified name; it is read from the source, once per file."""
    return _names_of_file(code.co_filename).get((code.co_firstlineno, code.co_name), code.co_name)


@functools.cache
def _names_of_file(path: str) -> dict[tuple[int, str], str]:
    names: dict[tuple[int, str], str] = {}

    def enter(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                first = min([child.lineno, *(decorator.lineno for decorator in child.decorator_list)])
                names[first, child.name] = prefix + child.name
                enter(child, f"{prefix}{child.name}.<locals>.")
            elif isinstance(child, ast.ClassDef):
                enter(child, f"{prefix}{child.name}.")
            else:
                enter(child, prefix)

    try:
        enter(ast.parse("".join(linecache.getlines(path))), "")
    except (SyntaxError, ValueError, RecursionError):
        pass  # plain names still say which function it is
    return names
