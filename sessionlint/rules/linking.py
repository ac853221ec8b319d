"""Whether a new row refers to another new row: compares what a foreign key was given with what the key was given.

Shared by the rules about insert order; says nothing about sessions or places.
"""

from __future__ import annotations

from collections.abc import Iterator

from sessionlint.effects.objects import OPAQUE, Pending, Term
from sessionlint.findings import Step
from sessionlint.project.tables import Reference, Tables
from sessionlint.rules.base import step


def linked(tables: Tables, child: Pending, parent: Pending) -> Reference | None:
    """The foreign key by which ``child`` refers to this very ``parent``, as far as can be told."""
    if child.model is None or parent.model is None:
        return None
    return next((r for r in tables.between(child.model, parent.model) if _refers(tables, r, child, parent)), None)


def _refers(tables: Tables, reference: Reference, child: Pending, parent: Pending) -> bool:
    if reference.key.lenient or parent.model is None:
        return False
    model = tables.model(parent.model)
    pairs = zip(reference.key.columns, reference.key.referred, strict=False)
    return all(_same(child, own, parent, model.attribute_of(there), model.sets_own) for own, there in pairs)


def _same(child: Pending, own: str, parent: Pending, there: str, sets_own: frozenset[str]) -> bool:
    """Whether one foreign-key column holds the value of the parent's column."""
    value = child.value(own)
    if value is None:
        return child.partly and _unknown(parent, there)
    if value == ("literal", "None"):
        return False
    key = parent.value(there)
    if value == (*parent.identity, there):
        return parent.partly or key is not None or bool(sets_own & {there, "*"})
    if key is None:
        return parent.partly and value == OPAQUE
    return key == value and value != OPAQUE


def _unknown(parent: Pending, there: str) -> bool:
    key = parent.value(there)
    return (key is None and parent.partly) or key == OPAQUE


def pending_steps(pending: Pending, text: str = "") -> tuple[Step, ...]:
    """How an object got into its session."""
    name = pending.model.name if pending.model is not None else "object"
    calls = tuple(step(*link) for link in pending.chain)
    return (*calls, step(pending.path, pending.loc, text or f"{pending.kind} {name}"))


def pairs(batch: tuple[Pending, ...]) -> Iterator[tuple[Pending, Pending]]:
    """(child, parent) candidates among objects flushed together that meet here, not already in one callee."""
    for child in batch:
        for parent in batch:
            if child is parent or child.kind != "insert" or parent.kind != "insert":
                continue
            if child.chain and parent.chain and child.chain[0][:2] == parent.chain[0][:2]:
                continue
            yield child, parent


__all__ = ["Term", "linked", "pairs", "pending_steps"]
