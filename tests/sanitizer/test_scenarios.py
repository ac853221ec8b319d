"""What the sanitizer meets in each scenario, on both databases: exactly the marked lines."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("aiosqlite")

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from sessionlint.runtime.sanitizer.options import SanitizerOptions
from sessionlint.runtime.sanitizer.sanitizer import Sanitizer

HERE = Path(__file__).parent
OPTIONS = SanitizerOptions(
    root=HERE.parent.parent,
    is_test=lambda file: False,
    max_transaction_ms=60_000,
    allowed_session_files=("tests/sanitizer/factory.py",),
)
_MARK = re.compile(r"# (SES\d{3})(?: (\w+))?$")
Marks = set[tuple[str, str, int]]


def names() -> list[str]:
    lines = (HERE / "scenarios.py").read_text(encoding="utf-8").split("# ---- nothing to say")[1]
    found = re.findall(r"^async def (\w+)\(\) -> None:", lines, re.MULTILINE)
    assert len(found) > 30
    return found


def marks_of(name: str, program: Callable[[], object]) -> Marks:
    source, first = inspect.getsourcelines(program)
    marks = {
        (code[1], "scenarios.py", first + offset)
        for offset, line in enumerate(source)
        if (code := _MARK.search(line.rstrip()))
    }
    for other in ("scenarios.py", "layers.py"):
        for number, line in enumerate((HERE / other).read_text(encoding="utf-8").splitlines(), 1):
            code = _MARK.search(line)
            if code and code[2] == name:
                marks.add((code[1], other, number))
    return marks


async def run(program: Callable[[], object], url: str, sanitizer: Sanitizer) -> None:
    layers = importlib.import_module("tests.sanitizer.layers")
    engine = create_async_engine(url)
    sync_url = make_url(url)
    sync_url = sync_url.set(drivername="sqlite" if "sqlite" in url else "postgresql+psycopg")
    sync_engine = create_engine(sync_url)
    layers.open_session.configure(bind=engine)
    layers.sync_session.configure(bind=sync_engine)
    async with engine.begin() as connection:
        await connection.run_sync(layers.Base.metadata.drop_all)
        await connection.run_sync(layers.Base.metadata.create_all)
    with sanitizer:
        result = program()
        if inspect.isawaitable(result):
            await result
    await engine.dispose()
    sync_engine.dispose()


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
@pytest.mark.parametrize("name", names())
def test_exactly_the_marked_lines_are_met(name: str, backend: str, databases: Callable[[str], str]) -> None:
    program = getattr(importlib.import_module("tests.sanitizer.scenarios"), name)
    expected = marks_of(name, program)
    options = OPTIONS
    if any(code == "SES590" for code, _, _ in expected):
        # On a busy machine every wait is long: only what is asked about has a short limit.
        options = replace(options, max_transaction_ms=300, max_foreign_wait_ms=60_000)
    sanitizer = Sanitizer(options)
    asyncio.run(run(program, databases(backend), sanitizer))
    met = {(one.code, one.spot.file.rpartition("/")[2], one.spot.line) for one in sanitizer.violations}
    assert met == expected, "\n" + "\n".join(one.render() for one in sanitizer.violations)


def test_every_mark_is_used() -> None:
    known = set(names())
    for file in ("scenarios.py", "layers.py"):
        for line in (HERE / file).read_text(encoding="utf-8").splitlines():
            mark = _MARK.search(line)
            if mark and mark[2]:
                assert mark[2] in known, line


def test_everything_is_put_back() -> None:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
    from sqlalchemy.orm import Session, sessionmaker

    watched = [(Session, "__init__"), (Session, "__exit__"), (AsyncSession, "__aexit__"), (AsyncSession, "close")]
    watched += [(sessionmaker, "__init__"), (async_sessionmaker, "__init__")]
    if "httpx" in sys.modules:
        watched.append((sys.modules["httpx"].AsyncClient, "send"))
    watched.append((importlib.import_module("fastapi.routing"), "format_sse_event"))
    before = [vars(owner).get(name) for owner, name in watched]
    with Sanitizer(OPTIONS):
        assert [vars(owner).get(name) for owner, name in watched] != before
    assert [vars(owner).get(name) for owner, name in watched] == before


def test_a_sanitizer_that_is_on_cannot_be_switched_on() -> None:
    with Sanitizer(OPTIONS) as sanitizer, pytest.raises(RuntimeError, match="on already"):
        sanitizer.start()
