"""dishka: provider methods and their scopes. ``Scope.APP`` is kept for the process, every other scope is not.

Source: https://dishka.readthedocs.io/en/stable/provider/provide.html and .../advanced/scopes.html
"""

from __future__ import annotations

from sessionlint.facts import shape as s
from sessionlint.project import symbols as sym
from sessionlint.project.frameworks.shape import Framework

DISHKA = Framework(packages=frozenset({"dishka"}), provides=frozenset({"provide"}))

#: scopes that last as long as the container of the process (``RUNTIME`` is above ``APP``)
_PROCESS = frozenset({"APP", "RUNTIME"})


def scope(call: s.Call) -> str:
    """The scope a ``provide(...)`` names: ``APP``, ``REQUEST`` ..., empty where the provider's own applies."""
    given = next((k.value for k in call.keywords if k.name == "scope"), None)
    return sym.last_name(given) or "" if given is not None else ""


def is_process(name: str) -> bool:
    """Whether a scope by this name lasts as long as the process."""
    return name in _PROCESS


def is_process_long(call: s.Call) -> bool:
    """Whether what a ``provide(...)`` makes is kept for the process."""
    return is_process(scope(call))
