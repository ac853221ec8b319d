"""Finds, proves and repairs wrong SQLAlchemy session and commit usage across a whole project.

The public API. Names load on first use, because a cached ``check`` must not pay for the analyser.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionlint import version

if TYPE_CHECKING:
    from pathlib import Path

    from sessionlint.findings import Finding, Report, Severity

__version__ = version.VERSION

__all__ = ["Finding", "Report", "Severity", "__version__", "analyze"]


def analyze(root: Path) -> Report:
    """Analyse the project at ``root`` with its own configuration and return the report.

    Raises ``sessionlint.run.NothingToCheck`` where there is no Python file, and
    ``sessionlint.config.errors.ConfigErrors`` where the configuration is wrong. User code is read, never imported.
    """
    from sessionlint.api import report_on

    return report_on(root)


def __getattr__(name: str) -> object:
    if name in {"Finding", "Report", "Severity"}:
        from sessionlint import findings

        return getattr(findings, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
