"""The one place that writes source files: which may be written, all of them or none, by temporary file and rename.

A file that changed since it was read is never overwritten.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Mapping

_WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


class NotWritten(Exception):
    """Nothing was changed (what had been was put back); ``file`` is the one that failed."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = file
        self.reason = reason


def closed(root: str, file: str) -> str:
    """Why a file must be left alone; empty where it may be written."""
    path = os.path.join(root, file)
    real = os.path.realpath(path)
    if not (real + os.sep).startswith(os.path.realpath(root).rstrip(os.sep) + os.sep):
        return "it lies outside the project"
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return f"it cannot be read: {error.strerror or error}"
    folder = os.path.dirname(real)
    if not os.access(path, os.W_OK) or not os.access(folder, os.W_OK):
        return "it is read-only"
    if not mode & _WRITABLE and os.stat(folder).st_mode & _WRITABLE:
        # root may write everything, so the mode decides; where the folder is marked too, it is a tree that was copied
        # from a read-only place, and says nothing about this file
        return "it is read-only"
    return ""


def changed_meanwhile(root: str, expected: Mapping[str, bytes]) -> tuple[str, ...]:
    """Files whose bytes are not those that were analysed."""
    return tuple(file for file, source in sorted(expected.items()) if _bytes(os.path.join(root, file)) != source)


def _bytes(path: str) -> bytes | None:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError:
        return None


def write(root: str, old: Mapping[str, bytes], new: Mapping[str, bytes]) -> None:
    """Write ``new`` over ``old``, mode kept. Raises ``NotWritten`` with everything as it was."""
    stale = changed_meanwhile(root, {file: old[file] for file in new})
    if stale:
        raise NotWritten(stale[0], "it changed while it was being worked on")
    written: list[str] = []
    try:
        for file in sorted(new):
            _replace(os.path.realpath(os.path.join(root, file)), new[file])
            written.append(file)
    except OSError as error:
        for done in written:
            with contextlib.suppress(OSError):
                _replace(os.path.realpath(os.path.join(root, done)), old[done])
        raise NotWritten(file, error.strerror or str(error)) from error


def _replace(path: str, source: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".sessionlint-")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(source)
            stream.flush()
            os.fsync(stream.fileno())
        _keep_mode(path, temporary)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _keep_mode(path: str, temporary: str) -> None:
    """The mode and, where permitted, the owner of the old file on the new one."""
    known = os.stat(path)
    os.chmod(temporary, stat.S_IMODE(known.st_mode))
    if hasattr(os, "chown"):
        with contextlib.suppress(OSError):
            os.chown(temporary, known.st_uid, known.st_gid)
