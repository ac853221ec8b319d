"""``check --diff-base``: introduced, fixed and pre-existing, with the work tree left alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.adoption.conftest import CLEAN, PROJECT, REPOSITORY

OTHER = REPOSITORY.replace("UserRepository", "OtherRepository")


@pytest.fixture(autouse=True)
def history(project, git, commit):
    git("init", "-q", "-b", "main")
    (project / ".gitignore").write_text(".sessionlint_cache/\n")
    commit("start")
    return project


def difference(cli, *words):
    ran = cli("check", "--diff-base", *words, "--output-format", "json")
    document = json.loads(ran.stdout)
    parts = (document["findings"], document["difference"]["fixed"], document["difference"]["preexisting"])
    return ran.code, *([one["file"] for one in part] for part in parts)


def test_nothing_changed(cli):
    assert difference(cli, "HEAD") == (0, [], [], ["app/users.py"])
    assert "Found nothing new. 0 fixed, 1 there before, since" in cli("check", "--diff-base", "HEAD").stderr


def test_introduced_and_fixed(cli, write, git):
    write({"app/users.py": CLEAN, "app/other.py": OTHER})
    before = git("status", "--porcelain")
    assert difference(cli, "main") == (1, ["app/other.py"], ["app/users.py"], [])
    assert git("status", "--porcelain") == before
    assert git("worktree", "list").count("\n") == 1


def test_moved_lines_and_renamed_files_are_not_new(cli, write, git):
    git("mv", "app/users.py", "app/people.py")
    text = Path("app/people.py").read_text()
    write({"app/people.py": "# moved\n" + text})
    assert difference(cli, "HEAD") == (0, [], [], ["app/people.py"])
    assert difference(cli, "HEAD", "app/people.py") == (0, [], [], ["app/people.py"])


def test_the_branch_is_compared_with_where_it_left(cli, write, git, commit):
    git("checkout", "-q", "-b", "feature")
    write({"app/other.py": OTHER})
    commit("a fault")
    git("checkout", "-q", "main")
    write({"app/users.py": CLEAN})
    commit("main goes on")
    git("checkout", "-q", "feature")
    assert difference(cli, "main") == (1, ["app/other.py"], [], ["app/users.py"])
    assert "where this branch left main" in cli("check", "--diff-base", "main").stderr


def test_a_finding_whose_cause_changed_elsewhere(cli, write, commit):
    """The session's type is known only through another file: the whole base is analysed, not the changed file."""
    write({"app/users.py": REPOSITORY.replace("from sqlalchemy.ext.asyncio", "from app.db")})
    write({"app/db.py": "class AsyncSession:\n    def add(self, x): ...\n    async def commit(self): ...\n"})
    commit("own session")
    write({"app/db.py": "from sqlalchemy.ext.asyncio import AsyncSession\n"})
    assert difference(cli, "HEAD") == (1, ["app/users.py"], [], [])


def test_a_project_below_the_repository(cli, project, write, commit, monkeypatch):
    write({f"backend/{name}": text for name, text in PROJECT.items()})
    commit("a project in a folder")
    write({"backend/app/other.py": OTHER})
    monkeypatch.chdir(project / "backend")
    assert difference(cli, "HEAD") == (1, ["app/other.py"], [], ["app/users.py"])


def test_a_project_that_did_not_exist_then(cli, project, write, git, monkeypatch):
    write({f"backend/{name}": text for name, text in PROJECT.items()})
    monkeypatch.chdir(project / "backend")
    assert difference(cli, "HEAD") == (1, ["app/users.py"], [], [])


@pytest.mark.parametrize("name", ["nowhere", "-x", ""])
def test_no_such_revision(cli, name):
    ran = cli("check", f"--diff-base={name}")
    assert ran.code == 2
    assert ran.stderr.startswith("error: --diff-base: ") and "Traceback" not in ran.stderr


def test_outside_a_repository(cli, history):
    import shutil

    shutil.rmtree(history / ".git")
    ran = cli("check", "--diff-base", "main")
    assert ran.code == 2
    assert "is in no git repository" in ran.stderr


def test_sarif_tells_the_states(cli, write):
    write({"app/users.py": CLEAN, "app/other.py": OTHER})
    results = json.loads(cli("check", "--diff-base", "HEAD", "--output-format", "sarif").stdout)["runs"][0]["results"]
    assert sorted(one["baselineState"] for one in results) == ["absent", "new"]
