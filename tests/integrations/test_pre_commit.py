"""The hooks under the real pre-commit: installed into its own environment from this tree, on real commits."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.adoption.conftest import CLEAN, MODELS, PROJECT, REPOSITORY
from tests.adoption.test_touching import DB, ROUTES, SERVICE, STORE
from tests.fixes.test_bad_input import FACTORY, MAIN
from tests.fixes.test_bad_input import STORE as STORE_OF_UPLOADS

ROOT = Path(__file__).parents[2]
SHIPPED = ("sessionlint", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", ".pre-commit-hooks.yaml")
TOUCHED = {"pyproject.toml": "", "app/models.py": MODELS, "app/db.py": DB, "app/service.py": SERVICE}


def run(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "PYTHONPATH"))}
    given = {
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_AUTHOR_NAME": "A Developer",
        "GIT_AUTHOR_EMAIL": "developer@example.org",
        "GIT_COMMITTER_NAME": "A Developer",
        "GIT_COMMITTER_EMAIL": "developer@example.org",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, env={**kept, **given, **environment})


def done(folder: Path, *words: str, **environment: str) -> str:
    ran = run(folder, *words, **environment)
    assert ran.returncode == 0, f"{' '.join(words)}\n{ran.stdout}{ran.stderr}"
    return ran.stdout


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """This working tree as a repository of its own, committed or not, and its revision."""
    folder = tmp_path_factory.mktemp("hooks")
    for name in SHIPPED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    done(folder, "git", "init", "-q")
    done(folder, "git", "add", "-A")
    done(folder, "git", "commit", "-qm", "this tree")
    return folder, done(folder, "git", "rev-parse", "HEAD").strip()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("pre-commit-home"))


Commit = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def repository(tmp_path: Path, hooks: tuple[Path, str], home: str) -> Iterator[Commit]:
    """Write files and commit them with the hooks of ``ids`` installed; gives what git and pre-commit said."""
    source, revision = hooks
    done(tmp_path, "git", "init", "-q")

    def commit(files: dict[str, str], *ids: str, words: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        listed = "".join(f"      - id: {one}\n" for one in ids)
        config = f"repos:\n  - repo: {source}\n    rev: {revision}\n    hooks:\n{listed}"
        if ids:
            (tmp_path / ".pre-commit-config.yaml").write_text(config)
            done(tmp_path, "pre-commit", "install", PRE_COMMIT_HOME=home)
        done(tmp_path, "git", "add", "-A")
        return run(tmp_path, "git", "commit", "-m", "a change", *words, PRE_COMMIT_HOME=home)

    yield commit


def test_the_whole_project(repository, tmp_path):
    ignore = {".gitignore": ".sessionlint_cache/\n"}
    ran = repository({**PROJECT, **ignore, "app/users.py": CLEAN}, "sessionlint")
    assert ran.returncode == 0, ran.stdout + ran.stderr

    ran = repository({"app/users.py": REPOSITORY})  # a fault
    assert ran.returncode == 1
    assert "SES201" in ran.stderr + ran.stdout and "app/users.py:12:" in ran.stderr + ran.stdout

    cli = [sys.executable, "-m", "sessionlint"]
    run(tmp_path, *cli, "baseline", PYTHONPATH=str(ROOT))
    options = '[tool.sessionlint]\nbaseline = "sessionlint-baseline.json"\n'
    ran = repository({"pyproject.toml": options})  # accepted, and the configuration changed by the same commit
    assert ran.returncode == 0, ran.stdout + ran.stderr

    ran = repository({"app/users.py": "# moved\n\n\n" + REPOSITORY})
    assert ran.returncode == 0, ran.stdout + ran.stderr

    ran = repository({"pyproject.toml": "[tool.sessionlint]\n"})  # only the configuration
    assert ran.returncode == 1
    assert "SES201" in ran.stdout + ran.stderr

    ran = repository({"pyproject.toml": "[tool.sessionlint]\ningore = []\n"})
    assert "did you mean `ignore`?" in ran.stdout + ran.stderr

    ran = repository({"README.md": "nothing to do with Python", "pyproject.toml": options})
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_changed_files_and_the_paths_through_them(repository):
    files = {**TOUCHED, "app/store.py": STORE.replace("db.add(User(name=name))", "pass"), "app/main.py": "x = 1\n"}
    main = ROUTES + "\n\nif __name__ == '__main__':\n    import asyncio\n\n    asyncio.run(main())\n"
    old = {"app/users.py": REPOSITORY, ".gitignore": ".sessionlint_cache/\n", "app/main.py": main}
    ran = repository({**files, **old}, "sessionlint-changed", words=("--no-verify",))
    assert ran.returncode == 0

    ran = repository({"app/other.py": "x = 1\n"})
    assert ran.returncode == 0, "an old fault in another file is no reason to stop: " + ran.stdout + ran.stderr

    ran = repository({"app/store.py": STORE})
    said = ran.stdout + ran.stderr
    assert ran.returncode == 1
    assert "app/main.py:7:" in said and "SES301" in said, "the place is elsewhere, a step is in the staged file"
    assert "SES201" not in said


def test_repairs_stop_the_commit_until_they_are_staged(repository, tmp_path):
    files = {"pyproject.toml": "", "app/store.py": STORE_OF_UPLOADS, "app/services.py": FACTORY, "app/main.py": MAIN}
    ran = repository({**files, ".gitignore": ".sessionlint_cache/\n"}, "sessionlint-fix")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "files were modified by this hook" in ran.stdout + ran.stderr
    assert (tmp_path / "app/services.py").read_text() != FACTORY
    assert repository({}).returncode == 0


def test_the_configuration_of_the_same_commit_counts(repository):
    """A staged option decides about that very commit; ``sessionlint-changed`` then reports every file."""
    old = {
        **PROJECT,
        ".gitignore": ".sessionlint_cache/\n",
        "pyproject.toml": '[tool.sessionlint]\nignore = ["SES2"]\n',
    }
    assert repository(old, "sessionlint-changed").returncode == 0
    ran = repository({"pyproject.toml": "[tool.sessionlint]\n"})
    assert ran.returncode == 1
    assert "app/users.py:12:" in ran.stdout + ran.stderr


def test_a_hook_outside_a_repository(tmp_path):
    """What the hooks run works without git; pre-commit itself says that it does not."""
    for name, text in PROJECT.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    cli = [sys.executable, "-m", "sessionlint"]
    ran = run(tmp_path, *cli, "check", "--touching", "app/users.py", PYTHONPATH=str(ROOT))
    assert ran.returncode == 1 and "SES201" in ran.stdout
    assert run(tmp_path, "pre-commit", "run", "sessionlint").returncode != 0


def test_the_manifest_is_valid():
    done(ROOT, "pre-commit", "validate-manifest", ".pre-commit-hooks.yaml")
