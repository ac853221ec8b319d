"""``check --touching``: a finding counts by its place or by a step of its path."""

from __future__ import annotations

import pytest

from tests.adoption.conftest import MODELS

SERVICE = """\
from sqlalchemy.ext.asyncio import AsyncSession

from app.store import put


async def register(db: AsyncSession, name: str) -> None:
    await put(db, name)
"""
STORE = """\
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import User


async def put(db: AsyncSession, name: str) -> None:
    db.add(User(name=name))
"""
ROUTES = """\
from app.db import maker
from app.service import register


async def main() -> None:
    async with maker() as db:
        await register(db, "a")
"""
DB = """\
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

maker = async_sessionmaker(create_async_engine("sqlite+aiosqlite://"))
"""


@pytest.fixture(autouse=True)
def project(write):
    return write(
        {
            "pyproject.toml": "",
            "app/models.py": MODELS,
            "app/service.py": SERVICE,
            "app/store.py": STORE,
            "app/main.py": ROUTES + "\n\nif __name__ == '__main__':\n    import asyncio\n\n    asyncio.run(main())\n",
            "app/db.py": DB,
        }
    )


def found(cli, *words):
    return cli("check", "--select", "SES301", "--output-format", "concise", *words).stdout


def test_a_step_in_a_changed_file_counts(cli):
    everything = found(cli)
    assert everything.startswith("app/main.py:") and "SES301" in everything
    assert found(cli, "app/store.py") == ""
    assert found(cli, "--touching", "app/store.py") == everything
    assert found(cli, "--touching", "app/main.py") == everything
    assert found(cli, "--touching", "app/models.py") == ""


def test_other_files_change_nothing(cli, write):
    write({"README.md": "", "other.toml": ""})
    assert cli("check", "--touching", "README.md", "other.toml", "gone.py").code == 0
    assert cli("check", "--touching").code == 2


def test_changed_options_concern_every_file(cli, write, git, commit):
    write({"pyproject.toml": "[tool.sessionlint]\n"})
    git("init", "-q")
    commit()
    write({"pyproject.toml": "[project]\nversion = '2'\n\n[tool.sessionlint]\n"})
    assert cli("check", "--touching", "pyproject.toml").code == 0
    write({"pyproject.toml": "[tool.sessionlint]\nignore = ['SES2']\n"})
    assert cli("check", "--touching", "pyproject.toml").code == 1


def test_outside_a_repository_options_count_as_changed(cli, write):
    write({"sessionlint.toml": "select = ['SES301']\n"})
    assert cli("check", "--touching", "sessionlint.toml").code == 1
