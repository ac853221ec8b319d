"""Whether objects stay loaded over a commit, as far as the project's factories say so."""

from __future__ import annotations

from sessionlint.facts import shape as s
from sessionlint.fixes.program import Program
from sessionlint.project import values as v
from sessionlint.project.constructions import factories, keyword


def keeps_objects(program: Program) -> bool:
    """Whether every factory of asynchronous sessions has ``expire_on_commit=False``, and there is one."""
    found = [
        keyword(one.call, "expire_on_commit")
        for one in factories(program.analysis.infer)
        if isinstance(one.made, v.Factory) and one.made.is_async
    ]
    return bool(found) and all(isinstance(given, s.Constant) and given.value is False for given in found)
