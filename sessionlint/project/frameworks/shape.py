"""The one shape in which every framework states what it calls and how long it keeps what it makes.

Facts only; who reads them is ``entrypoints`` (what is called from outside) and ``lifetimes`` (what is kept).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: route, task, command, event, background or lifespan: see ``EntryPoints.kinds``
Kind = str
#: an argument of a call: its position or its keyword
Argument = int | str


@dataclass(frozen=True, slots=True)
class Framework:
    """What one framework calls.

    Names of decorators and calls are last components, or the last two joined by a dot where one would say too little.
    """

    #: top-level packages the names belong to
    packages: frozenset[str]
    #: decorator -> what it makes of the function
    decorators: Mapping[str, Kind] = field(default_factory=dict)
    #: base class -> method -> kind
    methods: Mapping[str, Mapping[str, Kind]] = field(default_factory=dict)
    #: call -> argument -> kind of the functions in it (in a list, a tuple or a dict, too)
    calls: Mapping[str, Mapping[Argument, Kind]] = field(default_factory=dict)
    #: class attributes of the project by which the framework finds functions -> kind
    attributes: Mapping[str, Kind] = field(default_factory=dict)
    #: decorators and calls that make a function a dependency: called for its value, by a container
    provides: frozenset[str] = frozenset()
    #: calls whose first argument is built once and kept for the process
    keeps: frozenset[str] = frozenset()
    #: calls whose first argument is built anew for each use
    renews: frozenset[str] = frozenset()
    #: classes whose objects live as long as the process and keep what is stored in them by key (``app["db"] = ...``)
    applications: frozenset[str] = frozenset()
    #: base classes whose objects the framework makes once, when the application starts
    lasting: frozenset[str] = frozenset()


def belongs(framework: Framework, dotted: str) -> bool:
    """Whether a dotted name is the framework's."""
    return dotted.partition(".")[0] in framework.packages


def named(table: Mapping[str, object], dotted: str) -> str:
    """The entry a dotted name has in a table: by its last two components, else by its last; empty for none."""
    parts = [p.removesuffix("()") for p in dotted.split(".")]
    for key in (".".join(parts[-2:]), parts[-1]):
        if key in table:
            return key
    return ""
