"""What the tool takes to be true about a project; a false belief is the commonest cause of a false finding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sessionlint.facts.shape import Call
from sessionlint.findings import Beliefs
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Scope

if TYPE_CHECKING:
    from sessionlint.effects.analysis import Analysis


def beliefs_of(analysis: Analysis) -> Beliefs:
    """Session factories, providers, units of work, repositories, models, entry points and versions of a project."""
    classes = [c for c in analysis.table.classes.values() if not c.module.is_test]
    return Beliefs(
        tuple(sorted(_factories(analysis, classes))),
        tuple(sorted(_shared_sessions(analysis))),
        tuple(sorted(f.qualname for f in analysis.providers.values())),
        tuple(sorted(c.name for c in classes if analysis.engine.is_unit_class(c))),
        tuple(sorted(c.name for c in classes if analysis.is_repository(c) or _works_as_repository(analysis, c))),
        tuple(sorted(c.name for c in analysis.tables.models.values() if not c.module.is_test)),
        sum(1 for k in analysis.entries.kinds.values() if k != "test"),
        tuple(_versions(analysis)),
    )


def _versions(analysis: Analysis) -> Iterator[str]:
    """The versions to judge by; nothing of a library that is neither declared nor imported."""
    used = {b.module.partition(".")[0] for m in analysis.table.modules.values() for b in m.facts.imports}
    for name, version in analysis.settings.versions.items():
        if version.spec or version.exact or name in used:
            yield str(version)


def _factories(analysis: Analysis, classes: list[sym.Class]) -> set[str]:
    """What opens sessions: globals, attributes and results of functions."""
    found = {name for name, value in _made_globals(analysis) if isinstance(value, v.Factory)}
    for cls in classes:
        for attr in analysis.infer.classes.assigned(cls):
            if analysis.makes_factory(cls, attr):
                found.add(f"{cls.name}.{attr}")
    for function in analysis.functions:
        if function.key not in analysis.providers and isinstance(analysis.infer.returns(function), v.Factory):
            found.add(f"{function.qualname}()")
    return found


def _shared_sessions(analysis: Analysis) -> set[str]:
    """The session that an extension keeps for each request: ``db.session``."""
    return {
        f"{name}.session"
        for name, value in _made_globals(analysis)
        if isinstance(value, v.ExternalObject) and isinstance(analysis.infer.attribute(value, "session"), v.Session)
    }


def _made_globals(analysis: Analysis) -> Iterator[tuple[str, v.Value]]:
    """(name, value) of module globals that a call makes, tests left out."""
    for module in analysis.table.modules.values():
        for name, assigned in () if module.is_test else module.assigned.items():
            for expr, function in assigned:
                if isinstance(expr, Call):
                    yield name, analysis.infer.expr(expr, Scope(module, function))


def _works_as_repository(analysis: Analysis, cls: sym.Class) -> bool:
    """A repository by name that keeps a factory and opens a session per call, or works on a shared session."""
    if not analysis.is_repository_name(cls):
        return False
    kept = (analysis.infer.classes.attribute_type(cls, attr) for attr in analysis.infer.classes.assigned(cls))
    if any(isinstance(value, v.Factory) for value in kept):
        return True
    return any(o.kind == "global" for m in cls.methods.values() for o in analysis.result(m).summary.touches)
