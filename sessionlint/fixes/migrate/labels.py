"""Names for transactions: ``create_message`` from what is written, else from who writes; few and fixed."""

from __future__ import annotations

import re

from sessionlint.effects import Analysis
from sessionlint.effects.summary import Event
from sessionlint.facts.shape import Loc
from sessionlint.project import symbols as sym

_VERBS = {"insert": "create", "update": "update", "delete": "delete"}
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def label(analysis: Analysis, function: sym.Function, at: Loc) -> str:
    """The label of a commit at a place of a function: the last write before it and after the previous commit."""
    events = [e for e in analysis.result(function).events if (e.loc.line, e.loc.column) < (at.line, at.column)]
    for event in reversed(events):
        if event.kind in {"commit", "rollback"}:
            break
        callee = analysis.table.functions.get(event.callee)
        written = _written(event) or (_last_write(analysis, callee) if callee is not None else "")
        if written:
            return written
    outer = function
    while outer.parent is not None:
        outer = outer.parent
    return _snake(outer.name.strip("_")) or "commit"


def _last_write(analysis: Analysis, function: sym.Function) -> str:
    """What a called function writes, if it writes and leaves the commit to its caller."""
    events = analysis.result(function).events
    if any(e.kind == "commit" for e in events):
        return ""
    written = [text for e in events if (text := _written(e))]
    if written:
        return written[-1]
    return _snake(function.name.strip("_")) if any(e.kind == "write" for e in events) else ""


def _written(event: Event) -> str:
    verb, _, model = event.text.partition(" ")
    if event.kind == "write" and verb in _VERBS and model.isidentifier():
        return f"{_VERBS[verb]}_{_snake(model)}"
    return ""


def _snake(name: str) -> str:
    return _WORD.sub("_", name).lower()
