"""A file that cannot be read as Python is not analysed, and neither is what other files call in it.

## What it does

Reports a file with a syntax error, with bytes that are not valid in its declared encoding, or with a nesting too deep
to be parsed. There is one finding per file, at the place where parsing stopped; the rest of the run goes on.

## Why is this bad

The commit that is missing may stand in this file. A run that passed over it in silence would say "clean" about code
which nobody has looked at. Calls into the file stay unresolved, so findings in other files may be missing too.

## Instead

Repair the file. If it is not meant to be Python (a template, a test fixture), exclude it.

## Fix safety

There is no fix.

## Options

- `exclude`: files and folders that are not part of the project.

## Symptom at run time

`SyntaxError`, `IndentationError`, `TabError` or `UnicodeDecodeError` at import.

## References

- https://docs.python.org/3/reference/lexical_analysis.html#encoding-declarations
- https://docs.python.org/3/library/exceptions.html#SyntaxError
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft

SEVERITY = Severity.ERROR
DEFAULT = True

BAD = (
    """
# --- app/orders.py ---
import logging

logging.info("orders")
print "Python 2"  # SES001
""",
    """
# --- app/orders.py ---
async def place(db):
    db.add(1)
    return )  # SES001
""",
)

GOOD = (
    """
# --- app/orders.py ---
async def place(db) -> None:
    print("saved")
""",
    """
# --- app/empty.py ---
""",
    """
# --- app/names.py ---
# -*- coding: utf-8 -*-
имя = "заказ"
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    yield from ()  # reported by the runner, which alone sees files that cannot be parsed
