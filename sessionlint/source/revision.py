"""What git knows: the files of an earlier revision, and which files were renamed since.

Reads the object database only: the work tree, the index and the references stay as they are.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_REGULAR = (b"100644", b"100755")


class RevisionProblem(Exception):
    """git cannot give what was asked for; the message says why and what to do."""


class Revision(NamedTuple):
    """A commit to compare with. ``repository`` is the top folder of the work tree, ``shown`` the commit for people."""

    repository: str
    commit: str
    shown: str


def find_revision(folder: str, name: str) -> Revision:
    """The commit where the current one parted from ``name``; ``name`` itself where the two share no history.

    Raises ``RevisionProblem``.
    """
    if name.startswith("-") or not name:
        raise RevisionProblem(f"`{name}` is no revision")
    repository = _git(folder, "rev-parse", "--show-toplevel", why=f"{folder} is in no git repository").strip()
    hint = "in a shallow clone, fetch it first (GitHub Actions: `fetch-depth: 0`)"
    wanted = _git(
        folder, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", why=f"git knows no commit `{name}`; {hint}"
    ).strip()
    ran = _run(folder, "merge-base", wanted, "HEAD")
    commit = ran.stdout.decode("ascii", "replace").strip() if ran.returncode == 0 else wanted
    parted = f"{commit[:10]}, where this branch left {name}" if commit != wanted else f"{commit[:10]} ({name})"
    return Revision(os.path.realpath(repository), commit, parted)


def write_files(revision: Revision, folder: str, wanted: Sequence[str]) -> None:
    """Write the revision's files whose names end with one of ``wanted`` below ``folder``.

    Links and submodules are left out. Raises ``RevisionProblem`` and ``OSError``.
    """
    listed = list(_listed(revision, wanted))
    request = b"".join(name + b"\n" for name, _path in listed)
    ran = _run(revision.repository, "cat-file", "--batch", stdin=request)
    if ran.returncode != 0:
        raise RevisionProblem(f"git cannot read {revision.shown}: {ran.stderr.decode('utf-8', 'replace').strip()}")
    at = 0
    for _name, path in listed:
        head_end = ran.stdout.index(b"\n", at)
        size = int(ran.stdout[at:head_end].rsplit(b" ", 1)[1])
        content = ran.stdout[head_end + 1 : head_end + 1 + size]
        at = head_end + 1 + size + 1
        target = os.path.join(folder, os.fsdecode(path))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as stream:
            stream.write(content)


def _listed(revision: Revision, wanted: Sequence[str]) -> Iterator[tuple[bytes, bytes]]:
    """Object name and path of each file that is wanted."""
    ends = tuple(os.fsencode(end) for end in wanted)
    ran = _run(revision.repository, "ls-tree", "-r", "-z", "--full-tree", revision.commit)
    if ran.returncode != 0:
        raise RevisionProblem(f"git cannot list {revision.shown}: {ran.stderr.decode('utf-8', 'replace').strip()}")
    for row in ran.stdout.split(b"\0"):
        head, _tab, path = row.partition(b"\t")
        if path.endswith(ends) and b".." not in path.split(b"/"):
            mode, kind, name = head.split(b" ")
            if kind == b"blob" and mode in _REGULAR:
                yield name, path


def renames(revision: Revision) -> dict[str, str]:
    """Old path to new path (relative to the repository) of files that the work tree has under another name."""
    ran = _run(revision.repository, "diff", "--name-status", "-M", "-z", "--diff-filter=R", revision.commit)
    fields = ran.stdout.split(b"\0") if ran.returncode == 0 else []
    rows = zip(fields[1::3], fields[2::3], strict=False)
    return {os.fsdecode(old): os.fsdecode(new) for old, new in rows}


def committed(folder: str, name: str) -> bytes | None:
    """The content of a file in the last commit; None where there is no such file, commit or repository."""
    try:
        ran = _run(folder, "show", f"HEAD:./{name}")
    except RevisionProblem:
        return None
    return ran.stdout if ran.returncode == 0 else None


def _git(folder: str, *words: str, why: str) -> str:
    ran = _run(folder, *words)
    if ran.returncode != 0:
        raise RevisionProblem(why)
    return os.fsdecode(ran.stdout)


def _run(folder: str, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """``core.quotepath`` and colours do not matter with ``-z``; the optional index refresh would write."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        return subprocess.run(["git", *words], cwd=folder, input=stdin, capture_output=True, env=environment)
    except FileNotFoundError as error:
        raise RevisionProblem("git is not installed, and a comparison with a revision needs it") from error
