"""Rules of other packages: entry points of the group ``sessionlint.rules``, each a module written like a file of ours.

The module's name gives code and name (``acm101_no_session_in_views`` is ACM101); nothing is imported to learn them. Their
authors chose to run inside this tool; the code that is checked never is imported.
"""

from __future__ import annotations

import importlib
import re
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

from sessionlint.config.errors import ConfigErrors, ConfigProblem

GROUP = "sessionlint.rules"

_MODULE = re.compile(r"(?P<code>[a-z]{3}\d{3})_(?P<name>[a-z0-9_]+)\Z")
_NEEDED = ("SEVERITY", "DEFAULT", "BAD", "GOOD", "check")


@lru_cache(maxsize=1)
def installed() -> dict[str, EntryPoint]:
    """Code to entry point of every installed rule. Raises ``ConfigErrors`` where one cannot be a rule."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        code, _name = code_and_name(point.module)
        if code in found and found[code].module != point.module:
            raise _problem(f"{code} is the code of two installed rules: {found[code].module} and {point.module}")
        found[code] = point
    return found


def code_and_name(module: str) -> tuple[str, str]:
    """``ACM101`` and ``no-session-in-views`` of a module name. Raises ``ConfigErrors`` for a name of another shape."""
    match = _MODULE.match(module.rpartition(".")[2])
    if match is None:
        raise _problem(f"the rule module {module} must be called like acm101_what_is_wrong")
    if match["code"].startswith("ses"):
        raise _problem(f"the rule module {module} uses the prefix SES, which is sessionlint's own")
    return match["code"].upper(), match["name"].replace("_", "-")


def load(module: str) -> ModuleType:
    """The module of an installed rule. Raises ``ConfigErrors``: a rule that fails to load never leaves a run green."""
    try:
        loaded = importlib.import_module(module)
    except Exception as error:
        raise _problem(f"the rule module {module} cannot be loaded: {type(error).__name__}: {error}") from error
    missing = [name for name in _NEEDED if not hasattr(loaded, name)]
    if missing:
        raise _problem(f"the rule module {module} lacks {', '.join(missing)}")
    return loaded


def _problem(message: str) -> ConfigErrors:
    return ConfigErrors([ConfigProblem("", 0, 0, 0, message, "", "")])
