"""What docs/runtime names exists: tests, proofs, public names, metric series, pages."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

import sessionlint.runtime as runtime
from sessionlint.runtime import PrometheusMetrics

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
