"""Type aliases a file already has for a dependency (``DBSession = Annotated[AsyncSession, Depends(get_db)]``)."""

from __future__ import annotations

from sessionlint.fixes.program import Program
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Scope


def alias_of(program: Program, module: sym.Module, provider: sym.Function, scope: str = "") -> str:
    """The name under which a file knows ``Annotated[Session, Depends(provider)]``; empty if it has none."""
    infer = program.analysis.infer
    for name in sorted({*module.imports, *module.assigned}):
        value = infer.name(name, Scope(module))
        if not isinstance(value, v.Annotated) or value.dependency.scope != scope or not value.dependency.use_cache:
            continue
        target = value.dependency.target
        if isinstance(target, v.FunctionRef) and target.function is provider:
            return name
    return ""
