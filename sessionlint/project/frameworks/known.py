"""All frameworks whose facts are known, and the questions asked of them together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sessionlint.project.frameworks.aiogram import AIOGRAM
from sessionlint.project.frameworks.aiohttp import AIOHTTP
from sessionlint.project.frameworks.apscheduler import APSCHEDULER
from sessionlint.project.frameworks.arq import ARQ
from sessionlint.project.frameworks.celery import CELERY
from sessionlint.project.frameworks.dependency_injector import DEPENDENCY_INJECTOR
from sessionlint.project.frameworks.dishka import DISHKA
from sessionlint.project.frameworks.dramatiq import DRAMATIQ
from sessionlint.project.frameworks.litestar import LITESTAR
from sessionlint.project.frameworks.shape import Argument, Framework, Kind, belongs, named
from sessionlint.project.frameworks.starlette import STARLETTE
from sessionlint.project.frameworks.taskiq import TASKIQ
from sessionlint.project.frameworks.typer import TYPER

FRAMEWORKS: tuple[Framework, ...] = (
    AIOGRAM, AIOHTTP, APSCHEDULER, ARQ, CELERY, DEPENDENCY_INJECTOR, DISHKA, DRAMATIQ, LITESTAR, STARLETTE, TASKIQ,
    TYPER,
)  # fmt: skip

#: last components of every call that any framework knows: asked before anything is resolved
CALLS = frozenset(key.rpartition(".")[2] for f in FRAMEWORKS for key in f.calls)


def decorator_kind(dotted: str) -> Kind:
    """What a decorator by this outside name makes of a function; empty for nothing known."""
    for framework in FRAMEWORKS:
        if belongs(framework, dotted):
            key = named(framework.decorators, dotted)
            if key:
                return framework.decorators[key]
    return ""


def method_kind(bases: Iterable[str], method: str) -> Kind:
    """What a method is to the outside classes its class derives from; empty for nothing known."""
    for dotted in bases:
        for framework in FRAMEWORKS:
            if belongs(framework, dotted):
                kind = framework.methods.get(dotted.rpartition(".")[2], {}).get(method)
                if kind:
                    return kind
    return ""


def call_arguments(dotted: str) -> Iterator[tuple[Argument, Kind]]:
    """(argument, kind of the functions in it) of a call by this outside name."""
    for framework in FRAMEWORKS:
        if belongs(framework, dotted):
            key = named(framework.calls, dotted)
            if key:
                yield from framework.calls[key].items()
                return


def attributes(packages: frozenset[str]) -> dict[str, Kind]:
    """Class attributes that name functions, in a file that imports these packages."""
    return {name: kind for f in FRAMEWORKS if f.packages & packages for name, kind in f.attributes.items()}


def provides(dotted: str) -> bool:
    """Whether what is decorated with or handed to this is called by a container for its value."""
    last = dotted.rpartition(".")[2]
    return any(belongs(f, dotted) and last in f.provides for f in FRAMEWORKS)


def is_application(dotted: str) -> bool:
    """Whether objects of this outside class are the application, which keeps what is stored in it by key."""
    return any(belongs(f, dotted) and named(dict.fromkeys(f.applications), dotted) for f in FRAMEWORKS)


def lasts(dotted: str) -> bool:
    """Whether objects of classes below this outside class are made once for the application."""
    return any(belongs(f, dotted) and dotted.rpartition(".")[2] in f.lasting for f in FRAMEWORKS)


def lifetime(dotted: str) -> str:
    """``process`` or ``use``: how long a container keeps what this call is told to build; empty where unknown."""
    last = dotted.rpartition(".")[2]
    for framework in FRAMEWORKS:
        if belongs(framework, dotted):
            if last in framework.keeps:
                return "process"
            if last in framework.renews:
                return "use"
    return ""
