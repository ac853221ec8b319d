"""Replaces methods and functions for a while and puts them back exactly; for the few things that have no event."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

Replacement = Callable[[Callable[..., Any]], Callable[..., Any]]
Owner = type | ModuleType


class Patches:
    """What one sanitizer has replaced."""

    def __init__(self) -> None:
        self._done: dict[tuple[Owner, str], tuple[bool, Any]] = {}

    def replace(self, owner: Owner, name: str, replacement: Replacement) -> None:
        """Put ``replacement(original)`` in the place of ``owner.name``; a second call for it changes nothing."""
        if (owner, name) in self._done:
            return
        own = name in vars(owner)
        self._done[owner, name] = (own, vars(owner).get(name))
        setattr(owner, name, replacement(getattr(owner, name)))

    def undo(self) -> None:
        for (owner, name), (own, original) in reversed(self._done.items()):
            if own:
                setattr(owner, name, original)
            else:
                delattr(owner, name)
        self._done.clear()
