"""The analysis as a function: what ``sessionlint.analyze`` does, without a command line."""

from __future__ import annotations

from pathlib import Path

from sessionlint.config.load import load
from sessionlint.findings import Report
from sessionlint.rules import registry
from sessionlint.run import Request, check
from sessionlint.verdicts import OWN_RULES


def report_on(root: Path, *, use_cache: bool = False) -> Report:
    """Analyse the project at ``root`` with its own configuration.

    Raises ``NothingToCheck`` where there is no Python file and ``ConfigErrors`` where the configuration is wrong.
    """
    known = {**dict(OWN_RULES), **registry.codes_and_names()}
    loaded = load(root, known)
    return check(Request(str(root), loaded.settings, use_cache=use_cache)).report
