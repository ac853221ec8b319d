"""What a change introduced and fixed: the same check on an earlier revision, compared by fingerprint.

The earlier files go to a temporary folder; git's work tree and index are not touched. Files that git sees as renamed
keep the identity of their findings. Must not print.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace

from sessionlint.findings import Difference, Finding
from sessionlint.run import NothingToCheck, Outcome, Request, check
from sessionlint.source.revision import Revision, find_revision, renames, write_files
from sessionlint.verdicts import with_fingerprints

_READ = (".py", ".toml", ".lock", ".txt", ".cfg", ".gitignore")
"""Ends of the names of files that an analysis reads."""


def compared(outcome: Outcome, request: Request, name: str) -> Outcome:
    """``outcome`` with its findings split by what a revision had. Raises ``source.revision.RevisionProblem``."""
    revision = find_revision(request.root, name)
    before = _findings_of(revision, request)
    now = outcome.report
    had = {one.fingerprint for one in before}
    have = {one.fingerprint for one in (*now.findings, *now.suppressed)}
    difference = Difference(
        revision.shown,
        fixed=tuple(one for one in before if one.fingerprint not in have),
        preexisting=tuple(one for one in now.findings if one.fingerprint in had),
    )
    introduced = tuple(one for one in now.findings if one.fingerprint not in had)
    return replace(outcome, report=replace(now, findings=introduced, difference=difference))


def _findings_of(revision: Revision, request: Request) -> list[Finding]:
    """The findings of the revision under today's options, identified by today's file names."""
    inside = os.path.relpath(request.root, revision.repository)
    with tempfile.TemporaryDirectory(prefix="sessionlint-base-") as folder:
        write_files(revision, folder, _READ)
        os.makedirs(os.path.join(folder, ".git"))  # so that .gitignore files count up to here and no further
        root = os.path.normpath(os.path.join(folder, inside))
        old_paths = _old_paths(request.paths, inside, renames(revision))
        paths = tuple(path for path in old_paths if os.path.exists(os.path.join(root, path)))
        if not os.path.isdir(root) or (request.paths and not paths):
            return []
        cache = os.path.join(request.root, request.settings.cache_dir, "base")
        earlier = replace(request, root=root, paths=paths, settings=replace(request.settings, cache_dir=cache))
        try:
            outcome = check(earlier)
        except NothingToCheck:
            return []
    renamed = _within(renames(revision), inside)
    return with_fingerprints(outcome.report.findings, outcome.project.sources, renamed)


def _within(renamed: dict[str, str], inside: str) -> dict[str, str]:
    """The same relative to the project root; files that crossed its border are left out."""
    prefix = "" if inside == "." else inside.replace(os.sep, "/") + "/"
    return {
        old.removeprefix(prefix): new.removeprefix(prefix)
        for old, new in renamed.items()
        if old.startswith(prefix) and new.startswith(prefix)
    }


def _old_paths(paths: tuple[str, ...], inside: str, renamed: dict[str, str]) -> list[str]:
    """What the named paths were called then; a folder is taken by its name."""
    back = {new: old for old, new in _within(renamed, inside).items()}
    return [back.get(path, path) for path in paths]
