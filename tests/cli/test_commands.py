"""The other commands: ``explain``, ``rules``, ``show``, ``trace``, ``init``."""

from __future__ import annotations

import json

import pytest
import tomli


@pytest.fixture(autouse=True)
def project(write):
    return write({"pyproject.toml": "", "app.py": "def save(db):\n    db.commit()\n"})


@pytest.mark.parametrize("asked", ["SES201", "ses201", "commit-in-repository"])
def test_explain(cli, asked):
    ran = cli("explain", asked)
    assert ran.code == 0
    title, _, status, *_ = ran.stdout.splitlines()
    assert title == "# commit-in-repository (SES201)"
    assert status == "error, on by default; `sessionlint fix` knows repairs"


def test_explain_an_error_text(cli):
    ran = cli("explain", "sqlalchemy.exc.MissingGreenlet: greenlet_spawn has not been called")
    assert ran.code == 0
    assert "SES201" in ran.stdout


def test_explain_nothing_known(cli):
    ran = cli("explain", "commit-in-repo")
    assert ran.code == 2
    assert "did you mean `commit-in-repository`?" in ran.stderr


def test_rules(cli):
    assert cli("rules").stdout == "SES201  commit-in-repository  error    on   fix  Says something.\n"
    assert json.loads(cli("rules", "--output-format", "json").stdout)[0]["code"] == "SES201"


def test_show(cli, write):
    assert "session factories (1)\n  maker\n" in cli("show").stdout
    assert cli("show", "models").stdout == "models (1)\n  User\n"
    assert cli("show", "unresolved").stdout == (
        "1 call of `save()`: import it by name, and it can be followed\n  app.py:1:1 save(db): no such function\n"
    )
    assert cli("show", "entrypoints").stdout == "route      app.main  app.py:1:1\n"
    write({"tests/test_x.py": "", "bad.py": "x ="})
    assert cli("show", "files").stdout.splitlines() == [
        "app.py: analysed and reported",
        "bad.py: cannot be parsed: invalid syntax",
        "tests/test_x.py: analysed, not reported (test)",
    ]
    ran = cli("show", "model")
    assert ran.code == 2
    assert "did you mean `models`?" in ran.stderr


def test_show_config_is_valid_configuration(cli, write):
    write({"pyproject.toml": '[tool.sessionlint]\nselect = ["SES2"]\ntarget = { fastapi = "0.128.0" }\n'})
    shown = cli("show", "config").stdout
    parsed = tomli.loads(shown)
    assert parsed["select"] == ["SES2"]
    assert parsed["target"] == {"fastapi": "0.128.0"}
    assert "(set)\nselect = " in shown
    write({"sessionlint.toml": shown.replace('baseline = ""\n', "")})
    assert cli("check").code == 1


def test_trace(cli):
    assert cli("trace", "--all").stdout == "route      app.main  app.py:1:1\n"
    assert cli("trace", "main").stdout == "app.py:1:1    commit: db.commit()\n"
    ran = cli("trace", "app.mian")
    assert ran.code == 2
    assert "did you mean `app.main`?" in ran.stderr
    assert cli("trace").code == 2


RUFF = {
    "a section": ("[tool.ruff.lint]  # ours\nselect = ['E']\n", ["SES"]),
    "its own codes": ("[tool.ruff.lint]\nexternal = [\n  'V',\n]\n", ["SES", "V"]),
    "already told": ('[tool.ruff.lint]\nexternal = ["SES"]\n', ["SES"]),
    "no lint section": ("[tool.ruff]\nline-length = 100\n", ["SES"]),
    "dotted keys": ("[tool.ruff]\nlint.select = ['E']\n\n[tool.other]\nx = 1\n", ["SES"]),
    "an empty list": ("[tool.ruff.lint]\nexternal = []\n", ["SES"]),
}


@pytest.mark.parametrize("title", RUFF)
def test_init_tells_ruff(cli, project, title):
    before, external = RUFF[title]
    (project / "pyproject.toml").write_text("# kept\n[project]\nname = 'x'\n" + before)
    assert cli("init").code == 0
    text = (project / "pyproject.toml").read_text()
    parsed = tomli.loads(text)
    assert parsed["tool"]["ruff"]["lint"]["external"] == external
    assert parsed["tool"]["sessionlint"] == {}
    assert text.startswith("# kept\n")
    assert "# Found by itself: get_db\n" in text


RUFF_FILES = {
    "a section": "line-length = 100\n\n[lint]\nselect = ['E']\n",
    "its own codes": "[lint]\nexternal = ['V']\n",
    "no lint section": "line-length = 100\n",
    "dotted keys": "lint.select = ['E']\n\n[format]\nquote-style = 'single'\n",
    "a table below": "[lint.per-file-ignores]\n'x' = ['E']\n",
    "nothing": "",
}


@pytest.mark.parametrize("title", RUFF_FILES)
@pytest.mark.parametrize("name", ["ruff.toml", ".ruff.toml"])
def test_init_tells_ruffs_own_file(cli, project, title, name):
    (project / name).write_text(RUFF_FILES[title])
    ran = cli("init")
    assert ran.code == 0, ran.stderr
    after, before = (tomli.loads(text) for text in ((project / name).read_text(), RUFF_FILES[title]))
    assert "SES" in after["lint"]["external"]
    assert {key: value for key, value in after.items() if key != "lint"}.items() <= before.items()
    assert f"told ruff in {name}" in ran.stderr


def test_init_without_ruff_or_file(cli, project):
    (project / "pyproject.toml").unlink()
    (project / "setup.py").write_text("")
    assert cli("init").code == 0
    assert tomli.loads((project / "pyproject.toml").read_text()) == {"tool": {"sessionlint": {}}}
    before = (project / "pyproject.toml").read_bytes()
    ran = cli("init")
    assert ran.code == 2
    assert "already" in ran.stderr
    assert (project / "pyproject.toml").read_bytes() == before


def test_what_init_writes_is_accepted(cli, project):
    cli("init")
    path = project / "pyproject.toml"
    lines = path.read_text().splitlines()
    options = [line[2:] for line in lines if line.startswith("# ") and " = " in line and not line.startswith("# base")]
    path.write_text("[tool.sessionlint]\n" + "\n".join(options) + "\n")
    assert cli("check").code == 1


def test_init_keeps_line_ends(cli, project):
    (project / "pyproject.toml").write_bytes(b"[project]\r\nname = 'x'\r\n")
    cli("init")
    raw = (project / "pyproject.toml").read_bytes()
    assert raw.count(b"\n") == raw.count(b"\r\n")
