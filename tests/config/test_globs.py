"""Globs as users of ruff and git expect them."""

import pytest

from sessionlint.config.globs import matches


@pytest.mark.parametrize(
    ("path", "glob", "answer"),
    [
        ("app/db.py", "db.py", True),
        ("app/db.py", "app", True),
        ("my_app/db.py", "app", False),
        ("app/db.py", "app/*.py", True),
        ("app/deep/db.py", "app/*.py", False),
        ("app/deep/db.py", "app/**/*.py", True),
        ("app/db.py", "app/**/*.py", True),
        ("app/db.py", "**/db.py", True),
        ("db.py", "**/db.py", True),
        ("x/app/db.py", "app/db.py", False),
        ("app/db.py", "./app/", True),
        ("app/a1.py", "a[0-9].py", True),
        ("app/ab.py", "a[!0-9].py", True),
        ("app/[x.py", "[x.py", True),
        ("app/a+b.py", "a+b.py", True),
    ],
)
def test_matches(path, glob, answer):
    assert matches(path, [glob]) is answer
