"""The pytest plugin, on small projects in a pytest of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("aiosqlite")

FILES = {
    "shop/__init__.py": "",
    "shop/db.py": """
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

engine = create_engine("sqlite://")
open_session = sessionmaker(engine)


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)


Base.metadata.create_all(engine)
""",
    "shop/repo.py": """
from shop.db import Item


class ItemRepository:
    def __init__(self, db):
        self._db = db

    def save(self):
        self._db.add(Item())
        self._db.commit()


def forget(open_session):
    with open_session() as db:
        db.add(Item())
""",
    "conftest.py": "import shop.db\n",
    "test_shop.py": """
import pytest
from shop.db import open_session
from shop.repo import ItemRepository, forget


def test_save():
    with open_session() as db:
        ItemRepository(db).save()


def test_save_again():
    with open_session() as db:
        ItemRepository(db).save()


def test_fine():
    with open_session.begin() as db:
        pass


@pytest.mark.sessionlint_allow("SES301")
def test_forget():
    forget(open_session)
""",
    "pytest.ini": "[pytest]\n",
    "pyproject.toml": "[tool.sessionlint]\n",
}
SAVE = "SES201 shop/repo.py::ItemRepository.save | self._db.commit()"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def ran(project: Path, *words: str) -> tuple[int, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:asyncio", "-p", "no:anyio", *words],
        cwd=project, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_without_the_option_nothing_is_watched(project: Path) -> None:
    code, said = ran(project)
    assert code == 0
    assert "sessionlint sanitizer" not in said


def test_every_test_that_meets_a_violation_fails(project: Path) -> None:
    code, said = ran(project, "--sessionlint-sanitize")
    assert code == 1
    assert "2 failed, 2 passed" in said
    assert "shop/repo.py:11: SES201 [commit-in-repository] `ItemRepository.save` commits a session" in said
    assert "met 2 times, first in test_shop.py::test_save" in said


def test_report_only(project: Path) -> None:
    code, said = ran(project, "--sessionlint-sanitize=report")
    assert code == 0
    assert "4 passed" in said
    assert "shop/repo.py:11: SES201" in said
    assert "1 new, 0 known" in said


def test_the_mark_allows_only_what_it_names(project: Path) -> None:
    text = (project / "test_shop.py").read_text(encoding="utf-8")
    (project / "test_shop.py").write_text(text.replace('"SES301"', '"SES101"'), encoding="utf-8")
    code, said = ran(project, "--sessionlint-sanitize", "-k", "forget")
    assert code == 1
    assert "shop/repo.py:16: SES301" in said


def test_a_mark_with_an_unknown_code_is_an_error(project: Path) -> None:
    text = (project / "test_shop.py").read_text(encoding="utf-8")
    (project / "test_shop.py").write_text(text.replace('"SES301"', '"SES999"'), encoding="utf-8")
    code, said = ran(project, "--sessionlint-sanitize", "-k", "forget")
    assert code != 0
    assert "unknown codes: SES999" in said


def test_the_todo_file_takes_over_what_is_known(project: Path) -> None:
    code, said = ran(project, "--sessionlint-sanitize", "--sessionlint-todo=todo.txt", "--sessionlint-update-todo")
    assert code == 0
    assert "1 places written" in said
    assert SAVE in (project / "todo.txt").read_text(encoding="utf-8").splitlines()

    repo = project / "shop/repo.py"
    repo.write_text("# lines move\n\n" + repo.read_text(encoding="utf-8"), encoding="utf-8")
    code, said = ran(project, "--sessionlint-sanitize", "--sessionlint-todo=todo.txt")
    assert code == 0
    assert "0 new, 1 known (todo.txt)" in said

    (project / "test_shop.py").write_text("def test_nothing(): pass\n", encoding="utf-8")
    code, said = ran(project, "--sessionlint-sanitize", "--sessionlint-todo=todo.txt")
    assert code == 0
    assert "1 entries were not met" in said
    assert SAVE in said


def test_a_part_of_the_tests_says_nothing_about_stale_entries(project: Path) -> None:
    (project / "todo.txt").write_text(f"{SAVE}\n", encoding="utf-8")
    code, said = ran(project, "--sessionlint-sanitize", "--sessionlint-todo=todo.txt", "-k", "fine")
    assert code == 0
    assert "not met" not in said


def test_a_broken_todo_file_is_one_clear_error(project: Path) -> None:
    (project / "todo.txt").write_text("# fine\nSES201 nonsense\n", encoding="utf-8")
    code, said = ran(project, "--sessionlint-sanitize", "--sessionlint-todo=todo.txt")
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "todo.txt:2: expected `CODE path/to/file.py::function | statement`" in said
    assert "Traceback" not in said


def test_a_suppression_comment_counts_at_run_time(project: Path) -> None:
    repo = project / "shop/repo.py"
    repo.write_text(
        repo.read_text(encoding="utf-8").replace(
            "self._db.commit()", "self._db.commit()  # sessionlint: ignore[SES201] -- known"
        ),
        encoding="utf-8",
    )
    code, said = ran(project, "--sessionlint-sanitize")
    assert code == 0, said


def test_a_faulty_configuration_is_one_clear_error(project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool.sessionlint]\nrepository-clases = []\n", encoding="utf-8")
    code, said = ran(project, "--sessionlint-sanitize")
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "did you mean `repository-classes`?" in said


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("--sessionlint-max-transaction-ms=0", "max_transaction_ms must be more than 0"),
        ("--sessionlint-max-commits=0", "max_commits_per_request must be at least 1"),
        ("--sessionlint-update-todo", "needs --sessionlint-todo=FILE"),
    ],
)
def test_an_impossible_option_is_one_clear_error(project: Path, word: str, message: str) -> None:
    code, said = ran(project, "--sessionlint-sanitize", word)
    assert code == pytest.ExitCode.USAGE_ERROR
    assert message in said


def test_processes_of_xdist_report_to_one(project: Path) -> None:
    pytest.importorskip("xdist")
    code, said = ran(project, "--sessionlint-sanitize=report", "-n", "2", "--sessionlint-json=out.json")
    assert code == 0, said
    (found,) = json.loads((project / "out.json").read_text(encoding="utf-8"))["findings"]
    assert (found["code"], found["file"], found["line"], found["count"]) == ("SES201", "shop/repo.py", 11, 2)


def test_the_fixture_gives_the_sanitizer(project: Path) -> None:
    (project / "test_fixture.py").write_text(
        "def test_it(db_sanitizer):\n    assert db_sanitizer.violations == []\n", encoding="utf-8"
    )
    assert "1 skipped" in ran(project, "test_fixture.py")[1]
    assert "1 passed" in ran(project, "test_fixture.py", "--sessionlint-sanitize")[1]


_MODULES = """
import sys, pytest
class Look:
    def pytest_sessionfinish(self):
        heavy = ("sessionlint", "sqlalchemy", "libcst", "typer", "rich")
        print("LOADED", sorted(name for name in sys.modules if name.startswith(heavy) and not name.startswith("rich_")))
pytest.main(["-q", "-p", "no:cacheprovider", "test_nothing.py"], plugins=[Look()])
"""


def test_loading_the_plugin_loads_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "test_nothing.py").write_text("def test_nothing(): pass\n", encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", _MODULES], cwd=tmp_path, capture_output=True, text=True, check=False)
    loaded = next(line for line in done.stdout.splitlines() if "LOADED" in line)
    expected = [
        "sessionlint",
        "sessionlint.integrations",
        "sessionlint.integrations.pytest_plugin",
        "sessionlint.version",
    ]
    assert loaded.partition("LOADED ")[2] == str(expected)


def test_a_script_runs_under_the_sanitizer(project: Path, run_script: Callable[..., tuple[int, str]]) -> None:
    (project / "script.py").write_text(
        "from shop.db import open_session\nfrom shop.repo import forget\nforget(open_session)\nprint('done')\n",
        encoding="utf-8",
    )
    code, said = run_script(project, "script.py")
    assert code == 1
    assert "done" in said
    assert "shop/repo.py:16: SES301" in said
    assert run_script(project, "missing.py")[0] == 2
    with (project / "script.py").open("a", encoding="utf-8") as script:
        script.write("raise LookupError\n")
    code, said = run_script(project, "script.py")
    assert code == 1
    assert "LookupError" in said
    assert "shop/repo.py:16: SES301" in said


@pytest.fixture
def run_script() -> Callable[..., tuple[int, str]]:
    def run(folder: Path, *words: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "sessionlint.runtime.sanitizer", *words]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout + done.stderr

    return run
