"""The analysis as a function: what ``sessionlint.analyze`` does, without a command line."""

from __future__ import annotations

from pathlib import Path

from sessionlint.config.load import load
from sessionlint.findings import Report
from sessionlint.rules import registry
from sessionlint.run import Request, check
from sessionlint.selection import CommandLine
from sessionlint.verdicts import OWN_RULES


def report_on(
    root: Path,
    *,
    use_cache: bool = False,
    command_line: CommandLine | None = None,
    extra_rules: tuple[registry.Rule, ...] = (),
) -> Report:
    """Analyse the project at ``root`` with its own configuration; ``command_line`` selects rules on top of it.

    ``extra_rules`` run besides the registered ones.

    Raises ``NothingToCheck`` where there is no Python file and ``ConfigErrors`` where the configuration is wrong.
    """
    known = {**dict(OWN_RULES), **registry.codes_and_names()}
    loaded = load(root, known)
    asked = command_line or CommandLine()
    request = Request(str(root), loaded.settings, command_line=asked, use_cache=use_cache, extra_rules=extra_rules)
    return check(request).report
