"""A `commit()`, `rollback()` or `flush()` on something that may be a session and could not be resolved.

## What it does

Reports `x.commit()`, `x.rollback()` and `x.flush()` where nothing is known about `x` and its name reads like a session
(`db`, `session`, `uow`). Off by default: it says what the analysis does not see, not what is wrong.

## Why is this bad

What cannot be resolved is left out of every other rule: no finding there means nothing. `sessionlint show unresolved`
lists the calls that a session was handed to and that could not be followed; this rule lists the other half.

## Instead

Annotate the parameter or the attribute (`db: AsyncSession`), or name the factory or provider in the configuration.

## Fix safety

No fix.

## Options

- `session-factories`, `session-providers`, `unit-of-work-classes`: what the project calls its own.

## Symptom at run time

None.

## References

- https://docs.sqlalchemy.org/en/20/orm/session_api.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.facts.shape import Attribute
from sessionlint.findings import Severity
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Scope
from sessionlint.rules.base import Draft

SEVERITY = Severity.INFO
DEFAULT = False

_ENDS = frozenset({"commit", "rollback", "flush"})
_LOOKS_LIKE_ONE = re.compile(r"(^|_)(db|dbs|sess|session|uow|unit_of_work)(_|$)", re.IGNORECASE)

BAD = (
    """
# --- app/orders.py ---
from sqlalchemy import text


def save(db, state):
    db.execute(text("insert into orders (state) values (:state)"), {"state": state})
    db.commit()  # SES006
""",
)

GOOD = (
    """
# --- app/orders.py ---
import sqlite3

from sqlalchemy import text
from sqlalchemy.orm import Session


def save(db: Session, state: str) -> None:
    db.execute(text("insert into orders (state) values (:state)"), {"state": state})
    db.commit()


def save_elsewhere(consumer, state):
    consumer.commit()


def save_in_file(path: str) -> None:
    db = sqlite3.connect(path)
    db.commit()
""",
)


def check(analysis: Analysis) -> Iterator[Draft]:
    """Yield a draft for every place that breaks the rule."""
    for function in analysis.functions:
        for call, _ in analysis.session_calls.sites(function):
            if not isinstance(call.func, Attribute) or call.func.attr not in _ENDS:
                continue
            name = sym.last_name(call.func.value) or ""
            receiver = analysis.infer.expr(call.func.value, Scope(function.module, function))
            if isinstance(receiver, v.Unknown) and _LOOKS_LIKE_ONE.search(name):
                text = sym.dotted_text(call.func.value) or name
                yield Draft(
                    function,
                    call.loc,
                    f"`{text}.{call.func.attr}()`: what `{text}` is could not be determined",
                    "annotate it",
                    "left out of every other rule",
                )
