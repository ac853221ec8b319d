"""What functions do to sessions: an abstract interpreter with summaries over the call graph.

Reading order: ``state`` (what is known at a point), ``observations`` and ``summary`` (what comes out),
``interpreter`` (control flow), ``calls``, ``scopes``, ``sinks`` (what calls and blocks do), ``conditions``,
``catalog`` (facts about the library), ``analysis`` (the whole project).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sessionlint.effects.analysis import Analysis

if TYPE_CHECKING:
    from sessionlint.config.settings import AnalysisSettings
    from sessionlint.facts.shape import FileFacts

__all__ = ["Analysis", "analyse"]


def analyse(facts: Sequence[FileFacts], settings: AnalysisSettings) -> Analysis:
    """Analyse a project from the facts of its files. Nothing is computed before it is asked for."""
    return Analysis(facts, settings)
