"""What each framework calls in a project: routes, tasks, commands, events, lifespans, and what containers keep."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessionlint.facts import FileFacts, extract
from sessionlint.project import symbols as sym
from sessionlint.project.frameworks import known
from sessionlint.project.frameworks.entrypoints import EntryPoints
from sessionlint.project.infer import Inference
from sessionlint.project.lifetimes import Lifetimes

FOLDER = Path(__file__).parent / "frameworks"
PROGRAMS = sorted(FOLDER.glob("*.txt"))


def inference(text: str) -> Inference:
    facts = extract("app/main.py", text.encode())
    assert isinstance(facts, FileFacts)
    return Inference(sym.SymbolTable([facts]))


def marked(text: str) -> dict[str, str]:
    """Function to kind, by the ``# kind`` at the end of the line that defines it; ``# -`` says it is none."""
    infer = inference(text)
    lines = text.split("\n")
    found = {}
    for function in infer.table.all_functions():
        code, _, mark = lines[function.facts.loc.line - 1].partition("  # ")
        assert "def " in code, f"line {function.facts.loc.line} is no definition: {code}"
        assert mark, f"`{function.qualname}` has no mark"
        found[function.qualname] = mark.strip()
    return found


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.stem)
def test_entry_points_are_the_marked_ones(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    infer = inference(text)
    entries = EntryPoints(infer)
    got = {}
    for function in infer.table.all_functions():
        kind = "dependency" if function.key in entries.dependencies else entries.kind(function)
        got[function.qualname] = kind or "-"
    assert got == marked(text)


def test_every_framework_has_a_program() -> None:
    names = {next(iter(sorted(f.packages))) for f in known.FRAMEWORKS}
    texts = [path.read_text(encoding="utf-8") for path in PROGRAMS]
    for framework in known.FRAMEWORKS:
        assert any(f"from {p}" in t or f"import {p}" in t for p in framework.packages for t in texts), (
            framework.packages
        )
    assert len(names) == len(known.FRAMEWORKS)


def test_a_name_of_another_package_means_nothing() -> None:
    assert known.decorator_kind("celery.Celery.task") == "task"
    assert known.decorator_kind("ourlib.Celery.task") == ""
    assert known.method_kind(["ourlib.BaseMiddleware"], "__call__") == ""
    assert not list(known.call_arguments("ourlib.Route"))


@pytest.mark.parametrize(
    ("how", "kept"),
    [
        ("providers.Singleton(Service)", True),
        ("providers.ThreadSafeSingleton(Service)", True),
        ("providers.Factory(Service)", False),
        ("providers.ThreadLocalSingleton(Service)", False),
    ],
)
def test_what_a_container_keeps(how: str, kept: bool) -> None:
    infer = inference(
        f"""
from dependency_injector import containers, providers

class Service:
    def __init__(self):
        self.x = 1

class Container(containers.DeclarativeContainer):
    service = {how}
"""
    )
    assert (Lifetimes(infer).process_long("app/main.py::Service") is not None) == kept


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ("    @provide(scope=Scope.APP)\n    def service(self): return Service()", True),
        ("    scope = Scope.APP\n    @provide\n    def service(self): return Service()", True),
        ("    @provide(scope=Scope.REQUEST)\n    def service(self): return Service()", False),
        ("    scope = Scope.APP\n    @provide(scope=Scope.REQUEST)\n    def service(self): return Service()", False),
        ("    service = provide(Service, scope=Scope.APP)", True),
        ("    service = provide(Service, scope=Scope.REQUEST)", False),
    ],
)
def test_what_dishka_keeps(body: str, kept: bool) -> None:
    infer = inference(
        f"from dishka import Provider, Scope, provide\n\nclass Service: ...\n\nclass Services(Provider):\n{body}\n"
    )
    assert (Lifetimes(infer).process_long("app/main.py::Service") is not None) == kept
