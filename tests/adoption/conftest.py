"""A small project with real faults, and git as on a developer's machine."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

MODELS = """\
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
"""

REPOSITORY = """\
from sqlalchemy.ext.asyncio import AsyncSession

from app.models import User


class UserRepository:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def save(self, user: User) -> None:
        self._db.add(user)
        await self._db.commit()
"""

CLEAN = REPOSITORY.replace("commit()", "flush()")
PROJECT = {"pyproject.toml": "", "app/models.py": MODELS, "app/users.py": REPOSITORY}


@pytest.fixture
def project(write: Callable[..., Path]) -> Path:
    """The project, the working directory in it; one finding: SES201 in app/users.py."""
    return write(PROJECT)


Git = Callable[..., str]


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """Run git in the temporary project with nobody's configuration."""
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "A Developer")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "developer@example.org")

    def run(*words: str) -> str:
        ran = subprocess.run(["git", *words], cwd=tmp_path, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    return run


@pytest.fixture
def commit(git: Git) -> Callable[[str], None]:
    """Commit everything in the temporary project."""

    def run(message: str = "a change") -> None:
        git("add", "-A")
        git("commit", "-q", "--allow-empty", "-m", message)

    return run
