"""All fixers, found by file: every module of ``repairs`` with a ``propose``. There is no second list."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sessionlint.findings import Finding
from sessionlint.fixes.edits import Group, Refusal
from sessionlint.fixes.program import Program

Proposals = Iterator[Group | Refusal]


@dataclass(frozen=True, slots=True)
class Fixer:
    """One fixer: ``codes`` whose findings it repairs, ``order`` among the fixers, lower first."""

    name: str
    codes: tuple[str, ...]
    order: int
    summary: str
    propose: Callable[[Program, Sequence[Finding]], Proposals]


@lru_cache(maxsize=1)
def all_fixers() -> tuple[Fixer, ...]:
    """Every fixer in the order in which repairs are made."""
    found = [_load(path.stem) for path in sorted((Path(__file__).parent / "repairs").glob("[a-z]*.py"))]
    return tuple(sorted((f for f in found if f is not None), key=lambda f: (f.order, f.name)))


def _load(name: str) -> Fixer | None:
    module = importlib.import_module(f"sessionlint.fixes.repairs.{name}")
    if not hasattr(module, "propose"):
        return None  # a piece that several fixers share
    summary = (module.__doc__ or "").strip().split("\n", 1)[0]
    return Fixer(name, module.CODES, getattr(module, "ORDER", 50), summary, module.propose)
