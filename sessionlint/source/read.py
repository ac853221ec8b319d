"""Read a source file's bytes and decode them the way Python does (PEP 263, byte order mark).

Faults are values with a place, so that one bad file is one finding. Must not parse.
"""

from __future__ import annotations

import codecs
import os
import re
from typing import NamedTuple

_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_BLANK = re.compile(rb"^[ \t\f]*(?:#[^\r\n]*)?\r?\n?$")


class ReadProblem(NamedTuple):
    """Why a file could not be read or decoded; 1-based line and column."""

    path: str
    line: int
    column: int
    message: str


def read(root: str, file: str) -> bytes | ReadProblem:
    """The bytes of ``file`` (relative to ``root``)."""
    try:
        with open(os.path.join(root, file), "rb") as stream:
            return stream.read()
    except OSError as error:
        return ReadProblem(file, 1, 1, f"cannot be read: {error.strerror or error}")
    except MemoryError:
        return ReadProblem(file, 1, 1, "cannot be read: too large for memory")


def declared_encoding(source: bytes) -> str:
    """The encoding that the byte order mark or the coding comment names; ``utf-8`` when neither does."""
    if source.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    for line in source[:1024].splitlines(keepends=True)[:2]:
        match = _COOKIE.match(line)
        if match:
            return match[1].decode("ascii", "replace")
        if not _BLANK.match(line):
            break
    return "utf-8"


def decode(file: str, source: bytes) -> str | ReadProblem:
    """The text of a file, newlines kept."""
    encoding = declared_encoding(source)
    try:
        return source.decode(encoding)
    except LookupError:
        return ReadProblem(file, 1, 1, f"unknown encoding `{encoding}`")
    except UnicodeDecodeError as error:
        before = source[: error.start]
        line_start = max(before.rfind(b"\n"), before.rfind(b"\r")) + 1
        column = len(before[line_start:].decode(encoding, "replace")) + 1
        line = len(re.findall(rb"\r\n|\r|\n", before)) + 1
        return ReadProblem(file, line, column, f"byte 0x{source[error.start]:02x} is not {encoding}: {error.reason}")
    except (ValueError, AttributeError) as error:  # codecs that are no text encodings (``rot13``, ``hex``)
        return ReadProblem(file, 1, 1, f"encoding `{encoding}` cannot be used: {error}")


def lines_of(source: bytes) -> list[str]:
    """The lines of a file for showing, without line ends; undecodable bytes are replaced.

    Lines end where Python's own tokenizer ends them: not at form feeds or Unicode separators.
    """
    try:
        text = source.decode(declared_encoding(source), "replace")
    except (LookupError, ValueError, AttributeError):
        text = source.decode("utf-8", "replace")
    return re.split(r"\r\n|\r|\n", text)
