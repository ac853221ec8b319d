"""What functions do to sessions: an abstract interpreter with summaries over the call graph.

Reading order: ``state`` (what is known at a point), ``observations`` and ``summary`` (what comes out),
``interpreter`` (control flow) with ``handlers``, ``iteration``, ``scopes`` (statements) and ``calls``, ``sinks``,
``passing``, ``keeping`` (what calls do), ``conditions``, ``catalog`` (facts about the library), ``engine`` (all
functions), ``timeline`` and ``analysis`` (the whole project).
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
