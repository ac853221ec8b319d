"""Replace a file in one step: a reader sees the old content or the new, never half of it."""

from __future__ import annotations

import contextlib
import os
import tempfile


def replace_file(path: str, content: bytes) -> None:
    """Write ``content`` to ``path`` (a symbolic link keeps pointing to its target), keeping the file's permissions.

    Raises ``OSError``; the file is then unchanged.
    """
    target = os.path.realpath(path)
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(target), prefix=".sessionlint-", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        os.chmod(temporary, _mode(target))
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _mode(path: str) -> int:
    try:
        return os.stat(path).st_mode & 0o7777
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
