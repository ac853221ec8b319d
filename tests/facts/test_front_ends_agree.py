"""Both front ends give the same tree for the same bytes, to the last position, so facts do not depend on which ran."""

from __future__ import annotations

import ast
import sysconfig
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from sessionlint.facts import from_ast, from_cst
from sessionlint.facts.syntax_problem import SyntaxProblem
from tests.facts.generated_programs import PROGRAMS
from tests.facts.syntax_snippets import NEWER, SNIPPETS
from tests.facts.tree_difference import first_difference

_ROOT = Path(__file__).parents[2]
_STDLIB = Path(sysconfig.get_paths()["stdlib"])
_STDLIB_SAMPLE = 150
_MOST_SAMPLED_BYTES = 60_000
_LARGE = ("argparse.py", "typing.py", "asyncio/base_events.py", "dataclasses.py")


def _own_files() -> list[Path]:
    folders = (_ROOT / "sessionlint", _ROOT / "tests", _ROOT / "fixtures", _ROOT / "bench")
    return sorted(path for folder in folders for path in folder.rglob("*.py") if path.is_file())


def _stdlib_files() -> list[Path]:
    """Every n-th file of the standard library, always the same ones, and some large ones."""
    skipped = {"site-packages", "test", "tests", "lib2to3", "idlelib", "turtledemo", "__pycache__"}
    candidates = [
        path
        for path in sorted(_STDLIB.rglob("*.py"))
        if not skipped & set(path.relative_to(_STDLIB).parts) and path.stat().st_size <= _MOST_SAMPLED_BYTES
    ]
    step = max(1, len(candidates) // _STDLIB_SAMPLE)
    return [*candidates[::step][:_STDLIB_SAMPLE], *(_STDLIB / name for name in _LARGE)]


def _agree(source: bytes) -> None:
    difference = first_difference(from_ast.parse(source), from_cst.parse(source))
    assert difference is None, difference


def _name(path: Path) -> str:
    return str(path.relative_to(_STDLIB if path.is_relative_to(_STDLIB) else _ROOT))


@pytest.mark.parametrize("path", _own_files(), ids=_name)
def test_on_our_own_files(path: Path):
    source = path.read_bytes()
    try:
        from_ast.parse(source)
    except SyntaxProblem:
        pytest.skip("written for a newer interpreter, or broken on purpose")
    _agree(source)


@pytest.mark.parametrize("path", _stdlib_files(), ids=_name)
def test_on_the_standard_library(path: Path):
    _agree(path.read_bytes())


@pytest.mark.parametrize("program", SNIPPETS)
def test_on_every_syntax(program: str):
    source = program.encode()
    lowered = from_cst.parse(source)
    try:
        expected = from_ast.parse(source)
    except SyntaxProblem:
        assert program in NEWER
        # What the interpreter cannot parse must still be a tree it can walk, and print.
        assert ast.unparse(lowered)
        return
    difference = first_difference(expected, lowered)
    assert difference is None, difference


@pytest.mark.parametrize("program", SNIPPETS)
def test_on_every_syntax_without_line_end_and_with_windows_ones(program: str):
    for source in (
        program.encode(),
        (program + "\n").replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + program.encode(),
    ):
        try:
            expected = from_ast.parse(source)
        except SyntaxProblem:
            continue
        difference = first_difference(expected, from_cst.parse(source))
        assert difference is None, difference


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(program=PROGRAMS)
def test_on_generated_programs(program: str):
    source = program.encode()
    try:
        expected = from_ast.parse(source)
    except SyntaxProblem:
        # A generated program may be refused (f-strings nested in themselves before 3.12); then nothing may crash.
        with pytest.raises(SyntaxProblem):
            from_ast.parse(source)
        return
    difference = first_difference(expected, from_cst.parse(source))
    assert difference is None, f"{difference}\n{program}"


def test_newer_syntax_becomes_its_nearest_older_form():
    statements = from_cst.parse(b"try: a\nexcept B, C: d\n").body
    assert isinstance(statements[0], ast.Try)
    assert isinstance(statements[0].handlers[0].type, ast.Tuple)

    (alias,) = from_cst.parse(b"type X[T] = list[T]\n").body
    assert type(alias).__name__ == ("TypeAlias" if hasattr(ast, "TypeAlias") else "Assign")

    (text,) = from_cst.parse(b"f'{a['b']}'\n").body
    assert ast.unparse(text)
