"""Where a check's report goes: standard output or a file, notes to stderr, a table for GitHub's step summary.

Hands reporters what they may know (``Context``). Must not decide what is reported or which exit code is given.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from sessionlint.cli.app import UsageProblem

if TYPE_CHECKING:
    from sessionlint.cli.project import Target
    from sessionlint.findings import Report
    from sessionlint.report.context import Context, RuleText
    from sessionlint.run import Outcome, Request

TEXT_FORMATS = ("full", "concise", "grouped")
"""Formats for people: they get the closing lines on stderr."""


def wants_colour() -> bool:
    """FORCE_COLOR and NO_COLOR (no-color.org) before what the terminal says."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def context_of(wanted: Request, outcome: Outcome, *, full_path: bool, to_file: bool) -> Context:
    """What the reporters may know about this run."""
    from sessionlint.report.context import Context
    from sessionlint.source.read import lines_of
    from sessionlint.version import VERSION

    @lru_cache(maxsize=64)
    def lines(file: str) -> list[str]:
        return lines_of(outcome.project.sources.get(file, b""))

    return Context(
        root=wanted.root,
        cwd=os.path.realpath("."),
        lines=lines,
        colour=wants_colour() and not to_file,
        full_path=full_path,
        version=VERSION,
        workspace=os.environ.get("GITHUB_WORKSPACE", ""),
        repository=_repository(wanted.root),
        rules=rule_texts,
    )


def _repository(root: str) -> str:
    """The folder of the git repository around the project, else the project's own."""
    folder = root
    while not os.path.exists(os.path.join(folder, ".git")):
        if folder == os.path.dirname(folder):
            return root
        folder = os.path.dirname(folder)
    return folder


def rule_texts() -> Sequence[RuleText]:
    """What reports may say about each rule."""
    from sessionlint.cli.explain import page
    from sessionlint.report.context import RuleText
    from sessionlint.rules import registry

    return [
        RuleText(rule.code, rule.name, rule.severity, rule.summary, page(rule), rule.when_many)
        for rule in registry.all_rules()
    ]


def findings_text(report: Report, output_format: str, context: Context, *, statistics: bool) -> str:
    """The report as text; counts per rule take its place where ``statistics`` and a format for people ask for them."""
    if statistics and output_format in TEXT_FORMATS:
        from sessionlint.report import closing

        return closing.statistics(report)
    from sessionlint.report import render

    return render(output_format, report, context)


def write_file(path: str, text: str) -> None:
    """Write the report to the file of ``--output-file``. Raises ``UsageProblem``."""
    try:
        with open(path, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream:
            stream.write(text)
    except OSError as error:
        raise UsageProblem(f"cannot write {path}: {error.strerror or error}") from error


def notes(outcome: Outcome, target: Target, context: Context, seconds: str, *, quiet: bool, verbose: bool) -> str:
    """Everything for stderr: problems always, the closing lines unless quiet."""
    from sessionlint.report import closing

    report = outcome.report
    lines: list[str] = []
    if (not quiet and target.loaded.file is None) or verbose:
        lines.append(closing.believed(report.beliefs))
        lines.extend(filter(None, [closing.unknown(report.beliefs)]))
    lines.extend(f"warning: {warning}" for warning in outcome.warnings)
    for problem in report.problems:
        where = f"{problem.place.file}: " if problem.place.file else ""
        lines.append(f"warning: {where}{problem.message}")
        if problem.next_step:
            lines.append(f"  {problem.next_step}")
    if verbose:
        lines.extend(f"unresolved: {one.place} {one.call}: {one.reason}" for one in report.unresolved)
    if not quiet:
        lines.append(closing.found(report))
        lines.extend(closing.many(report, context))
        lines.append(closing.checked(report, seconds))
    return "".join(line + "\n" for line in lines)


def write_step_summary(report: Report, context: Context) -> None:
    """Append the table to the page that GitHub shows for a step, where there is one."""
    from sessionlint.report import github

    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    try:
        with open(path, "a", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(github.step_summary(report, context))
    except OSError as error:
        sys.stderr.write(f"warning: cannot write the step summary: {error.strerror or error}\n")
