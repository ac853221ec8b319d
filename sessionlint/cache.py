"""Keep the facts of each file between runs, in one shard under the cache folder, keyed by content.

A cache may be stale, corrupt, hostile or unwritable: each of these means only that facts are made again. Must not
decide what is extracted.
"""

from __future__ import annotations

import binascii
import gc
import io
import marshal
import os
import pickle
import sys
import tempfile
from hashlib import blake2b
from typing import Any

_MAGIC = b"sessionlint-facts-1\n"
_TRUSTED = ("sessionlint.facts", "sessionlint.findings")


def tool_stamp() -> bytes:
    """Identity of this tool and interpreter: any edit of the package's own files changes it."""
    package = os.path.dirname(os.path.abspath(__file__))
    digest = blake2b(digest_size=16)
    digest.update(f"{sys.implementation.name} {sys.hexversion} {pickle.HIGHEST_PROTOCOL}".encode())
    waiting = [package]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in sorted(entries, key=lambda one: one.name):
                if entry.is_dir(follow_symlinks=False):
                    if entry.name != "__pycache__":
                        waiting.append(entry.path)
                else:
                    stat = entry.stat()
                    digest.update(f"{entry.path} {stat.st_mtime_ns} {stat.st_size}\n".encode("utf-8", "surrogatepass"))
    return digest.digest()


def content_key(file: str, source: bytes) -> bytes:
    """The key of a file's facts: its path (facts carry it) and its bytes."""
    digest = blake2b(file.encode("utf-8", "surrogatepass"), digest_size=16)
    digest.update(b"\0")
    digest.update(source)
    return digest.digest()


def pack(value: object) -> bytes:
    """One file's facts as bytes."""
    return pickle.dumps(value, protocol=5)


class _Reader(pickle.Unpickler):
    """Loads plain data made of this tool's own classes and nothing else: a repository can carry a forged cache."""

    def find_class(self, module: str, name: str) -> Any:
        if module in _TRUSTED or module.startswith("sessionlint.facts."):
            found = super().find_class(module, name) if "." not in name else None
            if isinstance(found, type) and found.__module__ == module:
                return found
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a cache")


def unpack(blob: bytes) -> object:
    """The value of ``pack``. Raises ``pickle.UnpicklingError`` (or what a corrupt pickle raises)."""
    return _Reader(io.BytesIO(blob)).load()


class FactsCache:
    """The shard of one project. ``warning`` says why it cannot be used, once, for the user."""

    def __init__(self, folder: str, stamp: bytes) -> None:
        self.folder = folder
        self.path = os.path.join(folder, "facts.bin")
        self.warning = ""
        self._stamp = stamp
        self._blobs: dict[bytes, bytes] = self._load()
        self._used: dict[bytes, bytes] = {}
        self._changed = False

    def get(self, key: bytes) -> object | None:
        """The facts kept under ``key``; None when there are none that can be read."""
        blob = self._blobs.get(key)
        if blob is None:
            return None
        try:
            value = unpack(blob)
        except Exception:  # whatever a corrupt pickle raises, the file is simply extracted again
            return None
        self._used[key] = blob
        return value

    def put(self, key: bytes, blob: bytes) -> None:
        """Keep ``blob`` for the next run."""
        self._used[key] = blob
        self._changed = True

    def save(self) -> None:
        """Write what this run used; entries of files that are gone are dropped."""
        if not self._changed and len(self._used) == len(self._blobs):
            return
        try:
            prepare_folder(self.folder)
            write_atomically(self.path, _MAGIC, marshal.dumps((self._stamp, self._used)))
        except OSError as error:
            self.warning = f"the cache {self.folder} cannot be written ({error.strerror or error}); --no-cache is quiet"

    def _load(self) -> dict[bytes, bytes]:
        payload = read_checked(self.path, _MAGIC)
        if payload is None:
            return {}
        enabled = gc.isenabled()
        gc.disable()
        try:
            stamp, blobs = marshal.loads(payload)
            return blobs if stamp == self._stamp and isinstance(blobs, dict) else {}
        except (ValueError, EOFError, TypeError):
            return {}
        finally:
            if enabled:
                gc.enable()


def prepare_folder(folder: str) -> None:
    """Make the cache folder, with a .gitignore that keeps it out of every repository. Raises ``OSError``."""
    os.makedirs(folder, exist_ok=True)
    ignore = os.path.join(folder, ".gitignore")
    if not os.path.exists(ignore):
        with open(ignore, "w", encoding="utf-8") as stream:
            stream.write("*\n")


def write_atomically(path: str, magic: bytes, payload: bytes) -> None:
    """Write magic, checksum and payload by temporary file and rename. Raises ``OSError``."""
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix="tmp-")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(magic + binascii.crc32(payload).to_bytes(4, "big"))
            stream.write(payload)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def read_checked(path: str, magic: bytes) -> bytes | None:
    """The payload of a file written by ``write_atomically``; None when it is absent or damaged."""
    try:
        with open(path, "rb") as stream:
            raw = stream.read()
    except OSError:
        return None
    start = len(magic) + 4
    if not raw.startswith(magic) or binascii.crc32(raw[start:]).to_bytes(4, "big") != raw[len(magic) : start]:
        return None
    return raw[start:]
