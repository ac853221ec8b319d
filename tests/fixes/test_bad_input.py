"""What must be left byte-identical, and is said to be: bad files, read-only ones, those that change under the run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sessionlint.cli.project import locate, request
from sessionlint.fixes import disk
from sessionlint.repair import Order, Repaired, VerifyFailsBefore, run
from tests.fixes.project import sessionlint, write

FACTORY = """\
from contextlib import asynccontextmanager

from app.store import Uploads, maker


@asynccontextmanager
async def uploads():
    async with maker() as db:
        yield Uploads(db)
"""
STORE = """\
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

maker = async_sessionmaker(create_async_engine("sqlite+aiosqlite://"), expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Upload(Base):
    __tablename__ = "uploads"
    id: Mapped[int] = mapped_column(primary_key=True)


class Uploads:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def purge(self) -> None:
        await self._db.execute(delete(Upload))
"""
MAIN = """\
import asyncio

from app.services import uploads


async def main() -> None:
    async with uploads() as store:
        await store.purge()


if __name__ == "__main__":
    asyncio.run(main())
"""
COMMIT = "        yield Uploads(db)\n        await db.commit()\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {"pyproject.toml": "", "app/services.py": FACTORY, "app/store.py": STORE, "app/main.py": MAIN}
    return write(tmp_path, files)


def repaired(root: Path, **words: object) -> Repaired:
    wanted = request(locate([str(root)]))
    from dataclasses import replace

    return run(Order(replace(wanted, use_cache=False), **words))  # type: ignore[arg-type]


def text(root: Path) -> str:
    return (root / "app/services.py").read_bytes().decode("utf-8-sig")


def test_the_repair_is_written_and_the_mode_kept(project: Path) -> None:
    os.chmod(project / "app/services.py", 0o754)
    repaired(project)
    assert text(project).endswith(COMMIT)
    assert (project / "app/services.py").stat().st_mode & 0o777 == 0o754
    assert not list(project.rglob(".sessionlint-*"))


def crlf(source: str) -> bytes:
    return source.replace("\n", "\r\n").encode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(crlf(FACTORY), crlf(FACTORY + "        await db.commit()\n"), id="crlf"),
        pytest.param(
            b"\xef\xbb\xbf" + FACTORY.encode(),
            b"\xef\xbb\xbf" + (FACTORY + "        await db.commit()\n").encode(),
            id="byte order mark",
        ),
        pytest.param(
            ("# coding: cp1251\n# выгрузки\n" + FACTORY).encode("cp1251"),
            ("# coding: cp1251\n# выгрузки\n" + FACTORY + "        await db.commit()\n").encode("cp1251"),
            id="cp1251",
        ),
        pytest.param(
            FACTORY.rstrip("\n").encode(),
            (FACTORY + "        await db.commit()").encode(),
            id="no newline at the end",
        ),
        pytest.param(
            FACTORY.replace("    ", "\t").encode(),
            (FACTORY + "        await db.commit()\n").replace("    ", "\t").encode(),
            id="tabs",
        ),
    ],
)
def test_bytes_that_are_kept(project: Path, before: bytes, after: bytes) -> None:
    (project / "app/services.py").write_bytes(before)
    repaired(project)
    assert (project / "app/services.py").read_bytes() == after
    assert not repaired(project).outcome.changed


def mixed(path: Path) -> None:
    path.write_bytes(FACTORY.encode().replace(b"\n", b"\r\n", 3))


def read_only(path: Path) -> None:
    path.chmod(0o444)


def outside(path: Path) -> None:
    other = path.parents[2] / f"{path.parents[1].name}-elsewhere.py"
    path.rename(other)
    path.symlink_to(other)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        pytest.param(mixed, "line endings are mixed", id="mixed"),
        pytest.param(read_only, "read-only", id="read-only"),
        pytest.param(outside, "outside the project", id="outside"),
    ],
)
def test_files_left_alone(project: Path, spoil: Callable[[Path], None], said: str) -> None:
    path = project / "app/services.py"
    spoil(path)
    before = path.read_bytes()
    done = sessionlint(project, "fix", "--no-cache")
    assert path.read_bytes() == before
    assert done.returncode == 1
    assert f"app/services.py: {'its ' if 'mixed' in said else 'it '}" in done.stderr and said in done.stderr


def test_a_file_that_does_not_parse_stands_in_nobodys_way(project: Path) -> None:
    broken = project / "app/broken.py"
    broken.write_text("def f(:\n")
    done = sessionlint(project, "fix", "--no-cache")
    assert broken.read_text() == "def f(:\n"
    assert text(project).endswith(COMMIT)
    assert "app/broken.py: it cannot be parsed" in done.stderr


def test_a_file_that_changed_meanwhile_is_not_touched(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = disk.changed_meanwhile
    path = project / "app/services.py"

    def changes(root: str, expected: dict[str, bytes]) -> tuple[str, ...]:
        if "mine" not in path.read_text():
            path.write_text(FACTORY + "# mine\n")
        return looked(root, expected)

    monkeypatch.setattr(disk, "changed_meanwhile", changes)
    done = repaired(project)
    assert path.read_text() == FACTORY + "# mine\n"
    assert ("app/services.py", "it changed while it was being worked on") in done.untouched


def test_a_disk_that_fails_half_way_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"a.py": "a = 1\n", "b.py": "b = 1\n"})
    real = os.replace

    def fails(source: str, target: str) -> None:
        if str(target).endswith("b.py"):
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", fails)
    old, new = {"a.py": b"a = 1\n", "b.py": b"b = 1\n"}, {"a.py": b"a = 2\n", "b.py": b"b = 2\n"}
    with pytest.raises(disk.NotWritten, match="No space left"):
        disk.write(str(tmp_path), old, new)
    assert {f.name: f.read_bytes() for f in tmp_path.iterdir()} == old


def test_diff_writes_nothing(project: Path) -> None:
    done = sessionlint(project, "fix", "--diff", "--no-cache")
    assert done.returncode == 1
    assert done.stdout.splitlines()[:2] == ["--- a/app/services.py", "+++ b/app/services.py"]
    assert "+        await db.commit()" in done.stdout
    assert "Would repair 1 finding in 1 file, none left." in done.stderr
    assert text(project) == FACTORY


def test_the_exit_code_says_whether_findings_are_left(project: Path) -> None:
    assert sessionlint(project, "fix", "--no-cache", "--select", "SES201").returncode == 0
    assert text(project) == FACTORY
    assert sessionlint(project, "fix", "--no-cache").returncode == 0
    again = sessionlint(project, "fix", "--no-cache")
    assert (again.returncode, again.stderr) == (0, "Nothing to repair.\n")


def test_verify_undoes_what_the_command_refuses(project: Path) -> None:
    done = repaired(project, verify="! grep -q 'db.commit' app/services.py")
    assert text(project) == FACTORY
    assert "fails with exit code 1" in done.outcome.refused[0].reason


def test_verify_keeps_what_the_command_accepts(project: Path) -> None:
    repaired(project, verify="python3 -m compileall -q app")
    assert text(project).endswith(COMMIT)


def test_verify_that_fails_before_anything_was_done(project: Path) -> None:
    with pytest.raises(VerifyFailsBefore, match="before anything was changed"):
        repaired(project, verify="exit 3")
    assert sessionlint(project, "fix", "--verify", "exit 3").returncode == 2
    assert text(project) == FACTORY


def test_check_marks_what_can_be_repaired(project: Path) -> None:
    found = sessionlint(project, "check", "--no-cache", "--output-format", "concise")
    assert "SES321 [*]" in found.stdout
    assert "[*] 1 may be repaired by sessionlint fix." in found.stderr
    (project / "app/services.py").write_text(
        FACTORY.replace("        yield Uploads(db)\n", "        yield Uploads(db)\n" * 2)
    )
    found = sessionlint(project, "check", "--no-cache", "--output-format", "concise")
    assert "SES321 `" in found.stdout
