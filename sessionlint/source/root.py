"""Find the project root of a path.

Runs before a stored report is printed, so it must import nothing beyond ``os``.
"""

from __future__ import annotations

import os

MARKERS = ("pyproject.toml", "sessionlint.toml", ".git", "setup.py", "setup.cfg")


def find_root(start: str) -> str:
    """The nearest folder at or above ``start`` with a project marker; the folder of ``start`` when there is none."""
    folder = os.path.realpath(start)
    if not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    first = folder
    while True:
        if any(os.path.exists(os.path.join(folder, marker)) for marker in MARKERS):
            return folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return first
        folder = parent
