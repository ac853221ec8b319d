"""`sessionlint scaffold` writes files that stand on their own, and never writes over others unasked."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ..conftest import Ran

Cli = Callable[..., Ran]

PROGRAM = """
import asyncio, importlib, pkgutil, sys


class Nowhere:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "sessionlint":
            raise ImportError("sessionlint is not installed here")


sys.meta_path.insert(0, Nowhere())
import app.infrastructure.runtime as runtime

names = [module.name for module in pkgutil.walk_packages(runtime.__path__, runtime.__name__ + ".")]
for name in names:
    importlib.import_module(name)

from sqlalchemy import text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from app.infrastructure.runtime import SSEUnitOfWork


async def main():
    engine = create_async_engine("sqlite+aiosqlite:///kept.db")
    maker = async_sessionmaker(engine, expire_on_commit=False)
    async with engine.begin() as connection:
        await connection.execute(text("create table rows (name text)"))
    async with SSEUnitOfWork(maker) as uow:
        await uow.session.execute(text("insert into rows values ('kept')"))
        await uow.commit("keep")
    async with SSEUnitOfWork(maker) as uow:
        await uow.session.execute(text("insert into rows values ('dropped')"))
        await uow.rollback()
    async with engine.connect() as connection:
        rows = list((await connection.execute(text("select name from rows"))).scalars())
    await engine.dispose()
    assert rows == ["kept"], rows
    assert not [name for name in sys.modules if name.partition(".")[0] == "sessionlint"]


asyncio.run(main())
print(len(names), "modules")
"""


def test_the_runtime_runs_where_sessionlint_cannot_be_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    pytest.importorskip("aiosqlite")
    monkeypatch.chdir(tmp_path)
    ran = cli("scaffold", "runtime", "app/infrastructure/runtime")
    assert ran.code == 0, ran.stderr
    assert "app/infrastructure/runtime/unit_of_work.py" in ran.stdout
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout.split()[0]) >= 10


def test_the_runtime_is_formatted_and_names_its_own_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    monkeypatch.chdir(tmp_path)
    cli("scaffold", "runtime", "src/app/runtime")
    folder = tmp_path / "src/app/runtime"
    checked = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--check", "--isolated", "--line-length", "120", "."],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout
    texts = {path: path.read_text(encoding="utf-8") for path in folder.rglob("*.py")}
    assert texts
    assert not [path for path, text in texts.items() if "sessionlint.runtime" in text]
    assert not (folder / "sanitizer").exists()
    assert not (folder / "diagnose").exists()


def test_monitoring_is_complete_and_readable(tmp_path: Path, cli: Cli) -> None:
    assert cli("scaffold", "monitoring", tmp_path / "monitoring").code == 0
    names = {path.name for path in (tmp_path / "monitoring").iterdir()}
    assert names == {"db_alerts.yml", "db_alerts_test.yml", "db_dashboard.json", "db_runbook.md"}
    dashboard = json.loads((tmp_path / "monitoring/db_dashboard.json").read_text(encoding="utf-8"))
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids)) > 10


def test_nothing_is_written_over_unasked(tmp_path: Path, cli: Cli) -> None:
    folder = tmp_path / "monitoring"
    cli("scaffold", "monitoring", folder)
    (folder / "db_alerts.yml").write_text("mine", encoding="utf-8")
    (folder / "db_runbook.md").unlink()
    ran = cli("scaffold", "monitoring", folder)
    assert ran.code == 2
    assert "db_alerts.yml" in ran.stderr
    assert "--force" in ran.stderr
    assert not (folder / "db_runbook.md").exists()
    assert (folder / "db_alerts.yml").read_text(encoding="utf-8") == "mine"
    ran = cli("scaffold", "monitoring", folder, "--force")
    assert ran.code == 0
    assert "1 written, 1 replaced, 2 unchanged" in ran.stderr
    assert "0 written, 0 replaced, 4 unchanged" in cli("scaffold", "monitoring", folder).stderr


@pytest.mark.parametrize(
    ("what", "path", "message"),
    [
        ("monitorin", "m", "did you mean `monitoring`?"),
        ("runtime", "not-a-package", "cannot be imported as a package"),
        ("monitoring", "file.txt", "is a file; name a folder"),
    ],
)
def test_what_cannot_be_written(
    what: str, path: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.txt").touch()
    ran = cli("scaffold", what, path)
    assert ran.code == 2
    assert message in ran.stderr
