"""Every project in ``migrate/`` becomes what its file says or is refused, and answers and stores the same."""

from __future__ import annotations

import ast
import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextvars import ContextVar
from pathlib import Path

import pytest

from sessionlint.config.settings import AnalysisSettings
from sessionlint.config.versions import VersionRange
from sessionlint.extraction import with_deep_stack
from sessionlint.fixes.engine import Means, Outcome, repair
from sessionlint.fixes.migrate.unit_of_work import propose
from sessionlint.fixes.program import Program
from sessionlint.fixes.streams.stream_entries import StreamEntry
from tests.fixes.project import programmed, read_case, run_check, sessionlint, write

_FOLDER = Path(__file__).parent / "migrate"
EACH = pytest.mark.parametrize("name", sorted(p.stem for p in _FOLDER.glob("*.txt")))


def migrated(files: dict[str, str], fastapi: str | None = None) -> Outcome:
    """Migrate every entry in memory, of a project that uses a certain version of FastAPI."""
    settings = AnalysisSettings(versions={"fastapi": VersionRange("fastapi", exact=fastapi)} if fastapi else {})
    sources = {file: text.encode() for file, text in files.items()}

    def every(_entry: StreamEntry) -> bool:
        return True

    def analysed(state: Mapping[str, bytes]) -> Program:
        return programmed(state, settings)

    means = Means(analysed, lambda _finding: False, unsafe=True, propose=lambda program: propose(program, every))
    return with_deep_stack(lambda: repair(analysed(sources), means))


@EACH
def test_migration(name: str, tmp_path: Path) -> None:
    case = read_case((_FOLDER / f"{name}.txt").read_text(encoding="utf-8"))
    fastapi = case.options.get("fastapi", [None])[0]
    outcome = migrated(case.before, fastapi)
    got = {file: source.decode() for file, source in outcome.after.sources.items()}
    for file, text in {**case.before, **case.after}.items():
        assert got[file] == text, file
        ast.parse(text, file)
    had, has = (Counter(f.code for f in p.findings) for p in (outcome.before, outcome.after))
    assert not has - had, "new findings: " + "; ".join(f"{f.place} {f.code}" for f in outcome.after.findings)
    said = [refusal.reason for refusal in outcome.refused]
    wanted = case.options.get("refuses", [])
    assert len(said) == len(wanted) and all(any(w in one for one in said) for w in wanted), said
    assert all(refusal.trace for refusal in outcome.refused), "a refusal names a place"
    assert not migrated(got, fastapi).changed, "a second run changes something"
    if case.check:
        assert case.after, "only what changes needs to be run"
        for folder, files in (("before", case.before), ("after", got)):
            ran = run_check(tmp_path / folder, files, case.check)
            assert ran.returncode == 0, f"{folder}:\n{ran.stdout}{ran.stderr}"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    case = read_case((_FOLDER / "session_of_its_own.txt").read_text(encoding="utf-8"))
    return write(tmp_path, {**case.before, "pyproject.toml": '[project]\nname = "app"\n'})


def test_diff_writes_nothing(project: Path) -> None:
    before = (project / "app/routes.py").read_bytes()
    ran = sessionlint(project, "migrate", "unit-of-work", "--diff")
    assert ran.returncode == 1 and "+        async with SSEUnitOfWork(maker" in ran.stdout, ran.stderr
    assert (project / "app/routes.py").read_bytes() == before


def test_an_entry_is_chosen_by_name(project: Path) -> None:
    ran = sessionlint(project, "migrate", "unit-of-work", "--entry", "app/routes.py:chat")
    assert ran.returncode == 0 and "Migrated 1 entry in 1 file, refused 0." in ran.stderr, ran.stderr
    again = sessionlint(project, "migrate", "unit-of-work")
    assert again.returncode == 0 and "Migrated no entries in 0 files, refused 0." in again.stderr, again.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("unit-of-works",), "`unit-of-works` is no migration; did you mean `unit-of-work`?"),
        (
            ("unit-of-work", "--shape", "contextvar"),
            "`--shape contextvar` is not offered: a generator shares",
        ),
        (("unit-of-work", "--shape", "implicit"), "`implicit` is no shape; expected explicit"),
        (("unit-of-work", "--entry", "chat"), "`chat` is no entry: expected PATH:FUNC"),
        (("unit-of-work", "--entry", "app/none.py:chat"), "no such file: `app/none.py`"),
        (("unit-of-work", "--entry", "app/routes.py:save"), "no streaming entry `app/routes.py:save`"),
    ],
)
def test_bad_input_is_one_clear_error(project: Path, words: tuple[str, ...], message: str) -> None:
    before = (project / "app/routes.py").read_bytes()
    ran = sessionlint(project, "migrate", *words)
    assert ran.returncode == 2 and message in ran.stderr, ran.stderr
    assert (project / "app/routes.py").read_bytes() == before


def test_a_context_variable_cannot_carry_the_unit_of_a_stream() -> None:
    """Why there is no such shape: streams that one task reads in turn see each other's unit, and none can put it back
    when another task closes it."""
    current: ContextVar[str] = ContextVar("current")
    committed: list[tuple[str, str]] = []

    async def stream(name: str) -> AsyncGenerator[str, None]:
        token = current.set(name)
        try:
            yield name
            committed.append((name, current.get()))
            yield name
        finally:
            current.reset(token)

    async def read() -> None:
        one, other = stream("one"), stream("other")
        await anext(one)
        await anext(other)
        await anext(one)
        with pytest.raises(ValueError, match="different Context"):
            await asyncio.create_task(one.aclose())

    asyncio.run(read())
    assert committed == [("one", "other")]
