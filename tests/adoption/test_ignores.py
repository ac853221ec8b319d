"""``check --add-ignore``: comments that silence what they should, in files that mean the same as before."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from sessionlint.source.ignores import CannotIgnore, with_ignores
from tests.adoption.conftest import REPOSITORY


def test_every_finding_gets_a_comment(cli, project, write):
    write({"app/last.py": REPOSITORY.rstrip("\n")})
    ran = cli("check", "--add-ignore", "moves to the unit of work")
    assert ran.code == 0
    assert "added suppressions of 2 findings to 2 files" in ran.stderr
    comment = "        # sessionlint: ignore[SES201] -- moves to the unit of work\n        await self._db.commit()"
    assert Path("app/users.py").read_text().endswith(comment + "\n")
    assert Path("app/last.py").read_text().endswith(comment)
    again = cli("check")
    assert again.code == 0
    assert "2 findings suppressed" in again.stderr


def test_a_reason_is_needed(cli, project):
    before = Path("app/users.py").read_text()
    assert cli("check", "--add-ignore", " ").code == 2
    assert Path("app/users.py").read_text() == before


def test_encoding_and_line_ends_survive(cli, project, write):
    raw = ("# -*- coding: latin-1 -*-\r\n# \xe9\r\n" + REPOSITORY.replace("\n", "\r\n")).encode("latin-1")
    write({"app/users.py": b"\xef\xbb\xbf" + REPOSITORY.encode(), "app/latin.py": raw})
    assert cli("check", "--add-ignore", "later").code == 0
    assert Path("app/users.py").read_bytes().startswith(b"\xef\xbb\xbffrom")
    new = Path("app/latin.py").read_bytes()
    assert new.count(b"\n") == new.count(b"\r\n") and b"# \xe9\r\n" in new
    write({"app/latin.py": raw})
    ran = cli("check", "--add-ignore", "позже")
    assert ran.code == 1
    assert "app/latin.py: no comment was added" in ran.stderr
    assert Path("app/latin.py").read_bytes() == raw


LONG = "x = " + "very_long_name_" * 5 + "()"

TEXTS = {
    "trailing": ("a()\nb()\n", {2: ["SES201"]}, "a()\nb()  # sessionlint: ignore[SES201] -- why\n"),
    "two codes": ("a()\n", {1: ["SES301", "SES201"]}, "a()  # sessionlint: ignore[SES201, SES301] -- why\n"),
    "beside a comment": ("a()  # hm\n", {1: ["SES201"]}, "a()  # hm  # sessionlint: ignore[SES201] -- why\n"),
    "too long a line": (
        f"if y:\n    {LONG}\n",
        {2: ["SES201"]},
        f"if y:\n    # sessionlint: ignore[SES201] -- why\n    {LONG}\n",
    ),
    "a line inside a string": (
        'if y:\n    f("""\n    text\n    """, g())\n',
        {3: ["SES201"]},
        'if y:\n    # sessionlint: ignore[SES201] -- why\n    f("""\n    text\n    """, g())\n',
    ),
    "a continued line": (
        "a = b + \\\n    c()\n",
        {1: ["SES201"]},
        "# sessionlint: ignore[SES201] -- why\na = b + \\\n    c()\n",
    ),
    "inside brackets": (
        "f(\n    a(),\n)\n",
        {2: ["SES201"]},
        "f(\n    a(),  # sessionlint: ignore[SES201] -- why\n)\n",
    ),
    "a form feed": ("a()\n\x0cb()\n", {2: ["SES201"]}, "a()\n\x0cb()  # sessionlint: ignore[SES201] -- why\n"),
    "no newline at the end": ("a()", {1: ["SES201"]}, "a()  # sessionlint: ignore[SES201] -- why"),
}


@pytest.mark.parametrize("title", TEXTS)
def test_where_the_comment_stands(title):
    text, wanted, expected = TEXTS[title]
    assert with_ignores(text, wanted, "why") == expected
    assert ast.dump(ast.parse(expected)) == ast.dump(ast.parse(text))


def test_what_is_no_python_is_left_alone():
    with pytest.raises(CannotIgnore):
        with_ignores("x = (\n", {1: ["SES201"]}, "why")
