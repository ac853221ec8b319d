"""The catalogue of library calls: reads ``catalog.toml`` once and answers by name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import tomli

from sessionlint.effects.sending import Publishers


@dataclass(frozen=True, slots=True)
class Effect:
    """What one method does: see the head of ``catalog.toml`` for the words."""

    effect: str
    kind: str = ""
    flushes: bool = False
    argument: int = -1


@dataclass(frozen=True, slots=True)
class Catalog:
    session: dict[str, Effect]
    transaction: dict[str, Effect]
    query: dict[str, Effect]
    sinks: dict[str, tuple[str, ...]]
    slow: dict[str, tuple[str, ...]]
    publishers: Publishers

    @property
    def harmless(self) -> tuple[str, ...]:
        return self.sinks["harmless"]

    def sink(self, dotted: str) -> str | None:
        """What kind of elsewhere an outside callable runs its arguments in: task, background, concurrent ...

        ``dotted`` is the outside callable's path; for objects of outside classes the class's path and the method.
        """
        last = dotted.rpartition(".")[2]
        for kind in ("concurrent", "stream"):
            if any(dotted == n or last == n or dotted.endswith(f".{n}") for n in self.sinks[kind]):
                return kind
        for name in self.sinks["background"]:
            if dotted == name or dotted.endswith(f".{name}"):
                if last != "add_task" or "BackgroundTasks" in dotted or "background" in dotted.lower():
                    return "background"
        if last in self.sinks["group"] and ("TaskGroup" in dotted or last == "start_soon"):
            return "group"
        if any(dotted == n or (last == n and "." not in n) for n in self.sinks["task"]):
            return "task"
        if any(dotted == n or (last == n and "." not in n) for n in self.sinks["thread"]):
            return "thread"
        return None

    def is_queue(self, method: str) -> bool:
        """Whether a method name hands work to a queue (Celery, Dramatiq, taskiq, arq, APScheduler)."""
        return method in self.sinks["queue"]

    def is_harmless(self, dotted: str) -> bool:
        """Whether an outside call is known to leave the sessions it can reach alone."""
        return dotted.startswith(self.harmless) and _under(dotted, self.sinks["harmless"])


def _under(dotted: str, names: tuple[str, ...]) -> bool:
    """Whether a dotted path is one of ``names`` or lies below one."""
    return any(dotted == n or dotted.startswith(f"{n}.") for n in names)


@lru_cache(maxsize=1)
def load() -> Catalog:
    """The catalogue that comes with the tool."""
    data = tomli.loads((Path(__file__).parent / "catalog.toml").read_text(encoding="utf-8"))

    def effects(table: str) -> dict[str, Effect]:
        return {name: Effect(**entry) for name, entry in data[table].items()}

    return Catalog(
        effects("session"),
        effects("transaction"),
        effects("query"),
        {kind: tuple(names) for kind, names in data["sinks"].items()},
        {library: tuple(words) for library, words in data["slow"].items()},
        Publishers({package: tuple(words) for package, words in data["publishers"].items()}),
    )
