"""Which layer commits by this project's policy (`commit-owner`), and which layer a function belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Scope

if TYPE_CHECKING:
    from sessionlint.effects.analysis import Analysis

_STORE_FOLDERS = frozenset({"repositories", "repository", "repos", "crud", "dao", "daos"})
_SERVICE_FOLDERS = frozenset({"services", "service", "usecases", "use_cases", "use_case", "usecase"})
_SERVICE_CLASSES = ("Service", "UseCase", "Interactor")


def layer(analysis: Analysis, function: sym.Function) -> str:
    """``repository`` or ``service``, by the class around the function, else by its folders; empty for neither."""
    current: sym.Function | None = function
    while current is not None and current.owner is None:
        current = current.parent
    if current is not None and current.owner is not None:
        if analysis.is_repository_name(current.owner):
            return "repository"
        if current.owner.name.endswith(_SERVICE_CLASSES):
            return "service"
    parts = set(function.module.dotted.split("."))
    if parts & _STORE_FOLDERS:
        return "repository"
    return "service" if parts & _SERVICE_FOLDERS else ""


def may_commit(analysis: Analysis, function: sym.Function) -> bool:
    """Whether the policy lets this function end the transaction of a session it was handed.

    With ``boundary``, the default, no layer below the boundary may. With ``service`` everything but the repository
    layer may; with ``repository`` everything but the service layer.
    """
    owner = analysis.settings.commit_owner
    if owner == "boundary":
        return False
    return layer(analysis, function) != ("repository" if owner == "service" else "service")


def opened_around(analysis: Analysis, function: sym.Function, name: str) -> bool:
    """Whether a captured session is one that an enclosing function opened: its own helper, whatever it does to it."""
    if name in function.parameters:
        return False
    outer = function.parent
    while outer is not None:
        if name in outer.parameters:
            return False
        if name in outer.bindings:
            held = v.options_of(analysis.infer.name(name, Scope(outer.module, outer)))
            sessions = [o.origin for o in held if isinstance(o, v.Session)]
            return bool(sessions) and all(origin is not None and origin.kind == "local" for origin in sessions)
        outer = outer.parent
    return False
