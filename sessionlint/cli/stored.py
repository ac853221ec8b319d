"""Keep what a check printed and print it again while nothing that it read has changed.

Kept per command line, working directory and terminal; valid while every folder listed, every file read, the
configuration and the tool itself have the same modification time and size. Imports only ``os``-like modules:
this is the whole cost of an unchanged run.
"""

from __future__ import annotations

import binascii
import marshal
import os
import sys
import time
from collections.abc import Iterable
from typing import NamedTuple

from sessionlint.source.root import find_root

FOLDER = ".sessionlint_cache"
SECONDS = "\0SECONDS\0"
_MAGIC = b"sessionlint-report-1\n"
_KEPT = 16
_ENVIRONMENT = (
    "NO_COLOR",
    "FORCE_COLOR",
    "TERM",
    "GITHUB_ACTIONS",
    "GITHUB_WORKSPACE",
    "SESSIONLINT_DEBUG",
    "PYTHONIOENCODING",
    "LC_ALL",
    "LANG",
)

Stamp = tuple[int, int, int]
Key = tuple[int, str, str, tuple[str, ...], tuple[str, ...], bool]

_asked: list[str] = []  # the command line that this process is answering


class Answer(NamedTuple):
    """What a check wrote; ``stderr`` holds ``SECONDS`` where the time goes."""

    stdout: str
    stderr: str
    code: int


def find(words: list[str]) -> Answer | None:
    """The stored answer to this command line, if everything it rests on is unchanged."""
    _asked[:] = words
    if not _worth_a_look(words):
        return None
    key = _key(words)
    path = os.path.join(_root_of(words), FOLDER, _name(key))
    try:
        with open(path, "rb") as stream:
            raw = stream.read()
    except OSError:
        return None
    start = len(_MAGIC) + 4
    if not raw.startswith(_MAGIC) or binascii.crc32(raw[start:]).to_bytes(4, "big") != raw[len(_MAGIC) : start]:
        return None
    try:
        kept_key, watched, stdout, stderr, code = marshal.loads(memoryview(raw)[start:])
    except (ValueError, EOFError, TypeError):
        return None
    if kept_key != key or any(_stamp(watched_path) != stamp for watched_path, stamp in watched):
        return None
    return Answer(stdout, stderr, code)


def replay(answer: Answer) -> int:
    """Print a stored answer; gives the exit code."""
    sys.stdout.write(answer.stdout)
    sys.stdout.flush()
    sys.stderr.write(answer.stderr.replace(SECONDS, "0.0"))
    return answer.code


def keep(root: str, watched: Iterable[str], started_ns: int, answer: Answer) -> None:
    """Store the answer to the command line that ``find`` was asked about.

    ``watched`` are absolute paths of all files and folders that the answer rests on, present or not; ``started_ns`` is
    the time (``time.time_ns``) at which the first of them was read. Raises ``OSError`` when the folder is unwritable.
    """
    if not _worth_a_look(_asked) or _root_of(_asked) != root:
        return
    from sessionlint.cache import prepare_folder, write_atomically

    folder = os.path.join(root, FOLDER)
    prepare_folder(folder)
    stamps = [(path, _stamp(path)) for path in sorted({*watched, *_tool_files()})]
    if any(_too_fresh(stamp, started_ns) for _path, stamp in stamps):
        return  # written in the same tick as it was read: a later change could go unseen
    key = _key(_asked)
    payload = marshal.dumps((key, stamps, answer.stdout, answer.stderr, answer.code))
    write_atomically(os.path.join(folder, _name(key)), _MAGIC, payload)
    _forget_old(folder)


def _worth_a_look(words: list[str]) -> bool:
    return not any(word in ("--no-cache", "--help", "-h", "--verbose", "-v") for word in words)


def _root_of(words: list[str]) -> str:
    """The root a check with these words would have: that of the first word that is a path, else of here.

    A wrong guess (an option's value that is also a path) only means that no answer is found.
    """
    for word in words[1:] if words[:1] == ["check"] else words:
        if not word.startswith("-") and os.path.exists(word):
            return find_root(word)
    return find_root(".")


def _key(words: list[str]) -> Key:
    return (
        sys.hexversion,
        sys.implementation.name,
        os.getcwd(),
        tuple(words),
        tuple(os.environ.get(name, "") for name in _ENVIRONMENT),
        sys.stdout.isatty(),
    )


def _name(key: Key) -> str:
    return f"report-{binascii.crc32(repr(key).encode('utf-8', 'backslashreplace')):08x}.bin"


def _stamp(path: str) -> Stamp:
    try:
        stat = os.stat(path)
    except OSError:
        return (0, -1, 0)
    is_folder = (stat.st_mode & 0o170000) == 0o040000
    return (stat.st_mtime_ns, 0 if is_folder else stat.st_size, stat.st_mode)


def _too_fresh(stamp: Stamp, started_ns: int) -> bool:
    coarse = stamp[0] % 1_000_000_000 == 0
    return stamp[0] > started_ns - (2_000_000_000 if coarse else 20_000_000)


def _tool_files() -> list[str]:
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    found: list[str] = []
    for folder, folders, files in os.walk(package):
        folders[:] = [name for name in folders if name != "__pycache__"]
        found.extend(os.path.join(folder, name) for name in files)
    return found


def _forget_old(folder: str) -> None:
    names = [name for name in os.listdir(folder) if name.startswith("report-")]
    if len(names) > _KEPT:
        by_age = sorted(names, key=lambda name: _stamp(os.path.join(folder, name))[0])
        for name in by_age[: len(names) - _KEPT]:
            os.unlink(os.path.join(folder, name))


def now_ns() -> int:
    """The clock that file times are compared with."""
    return time.time_ns()
