"""Which rules have repairs, read from the fixers' files: asked by runs and commands that load no fixer."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=1)
def repairable() -> frozenset[str]:
    """Codes that some fixer knows, from the files alone."""
    codes: set[str] = set()
    for path in (Path(__file__).parent / "repairs").glob("[a-z]*.py"):
        for stmt in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(stmt, ast.Assign) and getattr(stmt.targets[0], "id", "") == "CODES":
                codes.update(ast.literal_eval(stmt.value))
    return frozenset(codes)
