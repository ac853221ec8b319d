"""Finding, checking and locating the options; all faults at once, with place and next step."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessionlint.config.errors import ConfigErrors
from sessionlint.config.load import load
from sessionlint.config.locate import Spot, locate
from sessionlint.config.settings import Settings, options

KNOWN = {"SES201": "commit-in-repository", "SES301": "write-without-commit"}


def test_no_configuration(tmp_path):
    loaded = load(tmp_path, KNOWN)
    assert loaded.settings == Settings()
    assert loaded.file is None


def test_nearest_upward(write):
    root = write(
        {
            "pyproject.toml": '[tool.sessionlint]\nignore = ["SES201"]\n',
            "inner/pyproject.toml": "[project]\nname = 'x'\n",
            "own/sessionlint.toml": 'select = ["SES3", "commit-in-repository", "ALL"]\n',
        }
    )
    assert load(root / "inner", KNOWN).settings.ignore == ("SES201",)
    assert load(root / "own", KNOWN).settings.select == ("SES3", "commit-in-repository", "ALL")
    assert load(root, KNOWN, isolated=True).settings == Settings()
    assert load(root, KNOWN, config=root / "own" / "sessionlint.toml").settings.select


def test_every_kind_of_value(write):
    root = write(
        {
            "sessionlint.toml": (
                'per-file-ignores = { "tests/**" = ["SES2"] }\n'
                'target = { fastapi = "0.128.0", sqlalchemy = ">=2,<2.1" }\n'
                'jobs = 3\ntests = true\ncommit-owner = "service"\ncache-dir = "x"\nslow-awaits = ["redis"]\n'
            )
        }
    )
    settings = load(root, KNOWN).settings
    assert settings.per_file_ignores == (("tests/**", ("SES2",)),)
    assert settings.target == (("fastapi", "0.128.0"), ("sqlalchemy", ">=2,<2.1"))
    assert (settings.jobs, settings.tests, settings.commit_owner) == (3, True, "service")


BAD = """\
[project]
name = "x"

[tool.sessionlint]
ingore = ["SES201"]
respect_gitignore = true
select = [
    "SES201",  # known
    "SES909",
]
jobs = -1
tests = "yes"
commit-owner = "repo"

[tool.sessionlint.target]
fastpi = "0.128.0"
"""


def test_all_faults_at_once(write):
    root = write({"pyproject.toml": BAD})
    with pytest.raises(ConfigErrors) as caught:
        load(root, KNOWN)
    places = [(one.line, one.column, one.message) for one in caught.value.problems]
    assert places == [
        (5, 1, "unknown option `ingore` in [tool.sessionlint]"),
        (6, 1, "unknown option `respect_gitignore` in [tool.sessionlint]"),
        (9, 5, "unknown rule `SES909` in `select`"),
        (11, 8, "`jobs` must be a whole number of at least 0"),
        (12, 9, "`tests` must be true or false"),
        (13, 16, "`repo` is no value of `commit-owner`"),
        (16, 1, "unknown library `fastpi` in `target`"),
    ]
    assert str(caught.value).startswith(
        "error: unknown option `ingore` in [tool.sessionlint]\n"
        " --> pyproject.toml:5:1\n"
        "  |\n"
        '5 | ingore = ["SES201"]\n'
        "  | ^^^^^^ did you mean `ignore`?\n"
    )
    assert "did you mean `respect-gitignore`?" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[tool.sessionlint\n", "invalid TOML"),
        (b"[tool.sessionlint]\nx = '\xff'\n", "not UTF-8"),
        (b"tool = 1\n[project]\nname = 'x'\n", None),
        (b"[tool]\nsessionlint = 1\n", "must be a table"),
    ],
)
def test_broken_files(write, content, message):
    root = write({"pyproject.toml": content})
    if message is None:
        assert load(root, KNOWN).file is None
        return
    with pytest.raises(ConfigErrors, match=message):
        load(root, KNOWN)


def test_a_byte_order_mark_and_windows_line_ends(write):
    root = write({"pyproject.toml": b"\xef\xbb\xbf[tool.sessionlint]\r\nx = 1\r\n"})
    with pytest.raises(ConfigErrors) as caught:
        load(root, KNOWN)
    assert (caught.value.problems[0].line, caught.value.problems[0].column) == (2, 1)


def test_positions():
    spots = locate('a = """\n]"""  # [\n"b.c".d = [1, {e = "x"}]\n[[t]]\nf = 2026-01-01 10:00:00\n[t.g]\nh = 1\n')
    assert spots.keys[("b.c", "d")] == Spot(3, 7, 1)
    assert spots.values[("b.c", "d", 1, "e")] == Spot(3, 20, 3)
    assert spots.values[("t", 0, "f")] == Spot(5, 5, 19)
    assert spots.values[("t", "g", "h")] == Spot(7, 5, 1)


def test_positions_of_real_files():
    import tomli

    text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    spots = locate(text)

    def walk(value, path):
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from walk(inner, (*path, key))
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                yield from walk(inner, (*path, index))
        else:
            yield path, value

    lines = text.splitlines()
    for path, value in walk(tomli.loads(text), ()):
        if isinstance(value, str) and "\n" not in value:
            spot = spots.values[path]
            assert value in lines[spot.line - 1][spot.column - 1 : spot.column - 1 + spot.length].replace('\\"', '"')


def test_every_option_has_a_documented_kind():
    for option in options():
        assert option.doc.endswith(".")
        assert not option.choices or option.default in option.choices
