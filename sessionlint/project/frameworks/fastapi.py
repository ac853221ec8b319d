"""When FastAPI ends a dependency with ``yield``: the one table of facts that rules consult, by version.

The code after the ``yield`` of a dependency runs

| FastAPI | default scope | ``scope="function"`` | background tasks |
|---|---|---|---|
| up to 0.105 | after the response was sent | not available | run before it |
| 0.106 - 0.117 | before the response is sent | not available | run after it |
| 0.118 - 0.120 | after the response was sent | not available | run before it |
| 0.121 and later | after the response was sent | before the response is sent | run before it (default scope) |

A path operation that yields (0.134 and later; events from 0.135 on) is the sending of its response: the default scope
ends after its last chunk, ``scope="function"`` before its first.

Sources: the release notes of 0.106.0, 0.118.0 and 0.121.0 (https://fastapi.tiangolo.com/release-notes/), "Dependencies
with yield and ..." in https://fastapi.tiangolo.com/advanced/advanced-dependencies/, and the pull requests
https://github.com/fastapi/fastapi/pull/10831 (0.106), https://github.com/fastapi/fastapi/pull/14099 (0.118) and
https://github.com/fastapi/fastapi/pull/14262 (0.121, ``scope``). The cache key of a dependency is its callable, its
security scopes and, since 0.121, its ``scope``; ``use_cache=False`` leaves it out of the cache
(``fastapi/dependencies/models.py``, ``Dependant.cache_key``).
"""

from __future__ import annotations

from dataclasses import dataclass

from sessionlint.config.versions import VersionRange

#: versions, [low, high), that run the exit code before the response is sent; all others run it after
EARLY = ("0.106", "0.118")
#: the first version that knows ``Depends(..., scope="function")``
SCOPES_SINCE = "0.121"
_FIRST, _END = "0", "999"


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """What is known about the FastAPI in use: whether it may end dependencies early (before the response), or late.

    ``text`` names the version for messages; ``other`` says that the declared range also admits the other behaviour.
    """

    early: bool
    late: bool
    text: str
    other: str = ""
    scopes: bool = True


def lifecycle(version: VersionRange | None) -> Lifecycle:
    """The facts for a version or range; for an undeclared one both behaviours are possible."""
    if version is None or (version.exact is None and version.spec is None):
        return Lifecycle(True, True, "FastAPI (version not declared)")
    early = version.admits(*EARLY)
    late = version.admits(_FIRST, EARLY[0]) or version.admits(EARLY[1], _END)
    text = f"FastAPI {version.exact or version.spec}"
    other = ""
    if version.exact is not None and early != late:
        declared_early = version.declared_admits(*EARLY)
        declared_late = version.declared_admits(_FIRST, EARLY[0]) or version.declared_admits(EARLY[1], _END)
        if late and declared_early:
            other = f"the declared range {version.spec} also admits 0.106-0.117"
        elif early and declared_late:
            other = f"the declared range {version.spec} also admits 0.118 and later"
    elif early and late:
        other = f"{version.spec} admits 0.106-0.117 as well as later versions"
    return Lifecycle(early, late, text, other, version.admits(SCOPES_SINCE, _END))
