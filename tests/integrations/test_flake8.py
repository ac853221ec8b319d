"""The plugin under the real flake8, as a process: single, parallel, standard input, options, and beside ruff."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.adoption.conftest import MODELS, PROJECT, REPOSITORY

Ran = subprocess.CompletedProcess


@pytest.fixture
def project(write):
    return write({**PROJECT, ".flake8": "[flake8]\nmax-line-length = 120\nselect = SES\n"})


@pytest.fixture
def flake8(project: Path) -> Callable[..., Ran[str]]:
    def run(*words: str, stdin: str | None = None) -> Ran[str]:
        ran = subprocess.run(
            [sys.executable, "-m", "flake8", *words], cwd=project, input=stdin, capture_output=True, text=True
        )
        assert "Traceback" not in ran.stdout + ran.stderr
        return ran

    return run


FINDING = "app/users.py:12:15: SES201 `UserRepository.save` commits"


def test_findings_of_the_whole_project(flake8):
    ran = flake8("app")
    assert ran.returncode == 1
    assert ran.stdout.startswith(FINDING)
    assert ran.stderr == ""
    assert flake8("app/models.py").stdout == ""


@pytest.mark.parametrize("jobs", ["1", "4"])
def test_parallel_and_single_say_the_same(flake8, write, jobs):
    write({f"app/repo{number}.py": REPOSITORY for number in range(12)})
    ran = flake8("--jobs", jobs, ".")
    places = sorted(line.split(": ")[0] for line in ran.stdout.splitlines())
    assert len(places) == 13
    assert places[0] == "./app/repo0.py:12:15"


def test_the_project_is_analysed_once(project, monkeypatch):
    """Not once per file: the class keeps what ``parse_options`` found."""
    import argparse

    from sessionlint import run
    from sessionlint.integrations.flake8 import Plugin

    runs = []
    real = run.check
    monkeypatch.setattr(run, "check", lambda request: runs.append(1) or real(request))
    options = argparse.Namespace(
        filenames=["app"],
        sessionlint_config="",
        sessionlint_select=[],
        sessionlint_ignore=[],
        sessionlint_isolated=False,
        sessionlint_no_cache=True,
    )
    Plugin.parse_options(options)
    import ast

    for name, text in PROJECT.items():
        if name.endswith(".py"):
            list(Plugin(ast.parse(text), name, text.splitlines(keepends=True)).run())
    assert runs == [1]


def test_a_buffer_counts_as_it_is(flake8, project):
    changed = "# a new line\n" + REPOSITORY
    ran = flake8("--stdin-display-name", "app/users.py", "-", stdin=changed)
    assert ran.stdout.startswith("app/users.py:13:15: SES201")
    ran = flake8("--stdin-display-name", "app/users.py", "-", stdin=REPOSITORY)
    assert ran.stdout.startswith(FINDING)
    assert flake8("--stdin-display-name", "app/users.py", "-", stdin=REPOSITORY.replace("commit", "flush")).stdout == ""
    assert flake8("-", stdin=REPOSITORY).stdout.startswith("stdin:12:15: SES201")
    assert flake8("--stdin-display-name", "app/new.py", "-", stdin=REPOSITORY).stdout.startswith("app/new.py:12:15")


def test_noqa_is_flake8s_own(flake8, write):
    write({"app/users.py": REPOSITORY.replace("commit()", "commit()  # noqa: SES201")})
    assert flake8("app").stdout == ""
    assert "SES201" in flake8("--disable-noqa", "app").stdout
    write({"app/users.py": REPOSITORY.replace("commit()", "commit()  # noqa")})
    assert flake8("app").stdout == ""
    write({"app/users.py": REPOSITORY.replace("commit()", "commit()  # sessionlint: ignore[SES201] -- why")})
    assert flake8("--disable-noqa", "app").stdout == ""


def test_options(flake8, write):
    assert flake8("--sessionlint-ignore", "SES2", "app").stdout == ""
    assert flake8("--sessionlint-select", "SES3", "app").stdout == ""
    assert flake8("--extend-ignore", "SES2", "app").stdout == ""
    write({"own.toml": 'commit-owner = "repository"\n'})
    assert "SES201" not in flake8("--sessionlint-config", "own.toml", "app").stdout
    write({"pyproject.toml": '[tool.sessionlint]\nignore = ["SES2"]\n'})
    assert flake8("app").stdout == ""
    assert "SES201" in flake8("--sessionlint-isolated", "--sessionlint-no-cache", "app").stdout
    listed = flake8("--help").stdout
    names = [word for word in listed.split() if word.startswith("--sessionlint-")]
    assert len(set(names)) == 5


def test_bad_options_are_one_message(flake8, write):
    ran = flake8("--sessionlint-select", "SES999", "app")
    assert ran.returncode == 1
    assert "unknown rule `SES999` in --sessionlint-select" in ran.stdout
    assert "no such configuration file" in flake8("--sessionlint-config", "nowhere.toml", "app").stdout
    write({"pyproject.toml": "[tool.sessionlint]\ningore = []\n"})
    assert "did you mean `ignore`?" in flake8("app").stdout


def test_files_that_are_no_python(flake8, write):
    write({"app/broken.py": "x = (\n", "app/latin.py": b"# -*- coding: latin-1 -*-\nname = '\xe9'\n"})
    ran = flake8("--select", "SES,E9", "app")
    assert "app/broken.py:1:" in ran.stdout and "E999" in ran.stdout
    assert FINDING in ran.stdout
    assert "latin" not in ran.stdout


def test_ruff_keeps_our_comments(project, write):
    write(
        {
            "pyproject.toml": '[tool.ruff.lint]\nselect = ["RUF100", "RUF102"]\nexternal = ["SES"]\n',
            "app/users.py": REPOSITORY.replace("commit()", "commit()  # noqa: SES201"),
        }
    )
    words = [sys.executable, "-m", "ruff", "check", "--no-cache", "app"]
    ran = subprocess.run(words, cwd=project, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout
    write({"pyproject.toml": '[tool.ruff.lint]\nselect = ["RUF100", "RUF102"]\n'})
    ran = subprocess.run(words, cwd=project, capture_output=True, text=True)
    assert ran.returncode == 1, "without lint.external ruff complains, or this test could not fail"


def test_models_alone_are_clean(flake8):
    assert "SES" not in flake8("--stdin-display-name", "app/models.py", "-", stdin=MODELS).stdout
