"""What docs/runtime names exists: tests, proofs, public names, metric series, pages; and its first program runs."""

from __future__ import annotations

import ast
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from pydantic import BaseModel
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

import sessionlint.runtime as runtime
from sessionlint.runtime import PrometheusMetrics
from sessionlint.runtime.database import session_factory
from sessionlint.runtime.open_units import OPEN_UNITS
from tests.runtime.conftest import Database

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "runtime").glob("*.md"))
ids = [page.name for page in PAGES]


def _functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_named_tests_and_proofs_exist(page: Path):
    text = page.read_text()
    for name, function in re.findall(r"`(\w+\.py)(?:::(\w+))?`", text):
        path = ROOT / "tests" / "runtime" / name
        if not path.is_file():
            path = ROOT / "bench" / name
        assert path.is_file(), name
        assert not function or function in _functions(path), function
    for folder in re.findall(r"`proofs/(\w+)`", text):
        assert (ROOT / "tests" / "proofs" / folder).is_dir(), folder
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_code_imports_what_there_is(page: Path):
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        tree = ast.parse(f"async def block():\n{_indented(block)}")
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "sessionlint.runtime":
                for alias in node.names:
                    assert hasattr(runtime, alias.name), alias.name


def _indented(block: str) -> str:
    return "".join(f"    {line}\n" for line in block.splitlines())


def test_every_series_is_documented():
    page = (ROOT / "docs" / "runtime" / "metrics.md").read_text()
    registry = CollectorRegistry()
    PrometheusMetrics(registry)
    for family in registry.collect():
        assert f"`{family.name}`" in page or f"`{family.name}_total`" in page, family.name


def test_the_errata_are_complete():
    page = (ROOT / "docs" / "runtime" / "migration.md").read_text()
    rows = re.findall(r"^\| (G\d+) \|.*\| ([^|]+) \|$", page, re.MULTILINE)
    assert [number for number, _proof in rows] == [f"G{number}" for number in range(1, 24)]
    assert all("`" in proof for _number, proof in rows)


def test_public_names_load_and_are_listed_once():
    source = ast.parse(Path(runtime.__file__).read_text())
    typed = [
        alias.name
        for node in ast.walk(source)
        if isinstance(node, ast.ImportFrom) and node.level == 1
        for alias in node.names
    ]
    assert sorted(typed) == sorted(runtime.__all__)
    for name in runtime.__all__:
        assert getattr(runtime, name) is not None


def test_files_can_be_copied():
    """No import of sessionlint but by relative ones within the folder."""
    folder = Path(runtime.__file__).parent
    for path in folder.rglob("*.py"):
        depth = len(path.relative_to(folder).parts)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert not any(alias.name.split(".")[0] == "sessionlint" for alias in node.names), path
            elif isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] != "sessionlint" or node.level, path
                assert node.level <= depth, path


class Base(DeclarativeBase):
    pass


class Message(Base):
    __tablename__ = "quick_start_messages"

    id: Mapped[int] = mapped_column(primary_key=True)
    chat_id: Mapped[str]
    role: Mapped[str]
    content: Mapped[str]


class NewMessage(BaseModel):
    text: str


async def llm(text: str) -> AsyncIterator[str]:
    for word in text.split():
        if word == "boom":
            raise ConnectionError("the model is gone")
        yield word


@pytest.fixture
def quick_start(database: Database) -> Iterator[dict[str, Any]]:
    """The names that the first program of the page defines, run as it stands but for the address of its database."""
    page = (ROOT / "docs" / "runtime" / "README.md").read_text()
    code = page.partition("```python\n")[2].partition("```")[0]
    address = 'url="postgresql+asyncpg://..."'
    assert address in code
    code = code.replace(address, f"url={database.settings.url!r}")
    # FastAPI looks annotations up in the module.
    module = ModuleType("quick_start")
    module.__dict__.update(NewMessage=NewMessage, Message=Message, llm=llm)
    exec(compile(code, "docs/runtime/README.md", "exec"), module.__dict__)
    yield module.__dict__
    OPEN_UNITS.reopen()
    session_factory.configure(bind=None)


@pytest.mark.asyncio
async def test_the_program_on_the_first_page(quick_start: dict[str, Any], database: Database):
    async with database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    app = quick_start["app"]
    transport = httpx.ASGITransport(app=app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        answer = await client.post("/chats/1/messages", json={"text": "two words"})
        assert answer.text == 'data: {"piece": "two"}\n\ndata: {"piece": "words"}\n\nevent: end\ndata: \n\n'
        failed = await client.post("/chats/2/messages", json={"text": "then boom"})
        assert failed.text == 'data: {"piece": "then"}\n\nevent: error\ndata: {"error": "internal"}\n\n'
        assert (await client.get("/health/ready")).status_code == 200
    rows = database.rows("SELECT chat_id, role, content FROM quick_start_messages ORDER BY id")
    assert rows == [("1", "user", "two words"), ("1", "assistant", "twowords"), ("2", "user", "then boom")]
    if database.server is not None:
        assert database.rows("SELECT 1 FROM pg_stat_activity WHERE application_name = 'chat'") == [], "all given back"
