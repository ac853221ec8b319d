"""``sessionlint check``: report findings. Heavy imports live inside the function."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from sessionlint.cli import CLEAN, FINDINGS, INTERNAL, stored
from sessionlint.cli.app import UsageProblem

if TYPE_CHECKING:
    from sessionlint.cli.project import Target
    from sessionlint.findings import Report
    from sessionlint.report.context import Context
    from sessionlint.run import Outcome, Request

_Words = Optional[list[str]]  # noqa: UP045  # typer reads this at run time
_Text = Optional[str]  # noqa: UP045
_Number = Optional[int]  # noqa: UP045


def command(
    paths: Annotated[_Words, typer.Argument(help="Report only what lies here; all is analysed.")] = None,
    select: Annotated[_Words, typer.Option(help="Codes, prefixes or names to run instead of the default.")] = None,
    ignore: Annotated[_Words, typer.Option(help="Codes, prefixes or names not to run.")] = None,
    extend_select: Annotated[_Words, typer.Option(help="Codes, prefixes or names to run in addition.")] = None,
    output_format: Annotated[_Text, typer.Option(help="full, concise, json or github.")] = None,
    fail_on: Annotated[_Text, typer.Option(help="Least severity that fails: info, warning or error.")] = None,
    config: Annotated[_Text, typer.Option(help="Configuration file to use.")] = None,
    isolated: Annotated[bool, typer.Option("--isolated", help="Use no configuration file.")] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Neither read nor write the cache.")] = False,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Exit 0 even with findings.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print findings only.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say what is believed and unresolved.")] = False,
    statistics: Annotated[bool, typer.Option("--statistics", help="Print the number of findings per rule.")] = False,
    full_path: Annotated[bool, typer.Option("--full-path", help="Show every step of how a finding came.")] = False,
    jobs: Annotated[_Number, typer.Option(min=0, help="Processes that read files; 0: one per processor.")] = None,
    version: Annotated[bool, typer.Option("--version", "-V", help="Print the version.")] = False,
) -> int:
    """Report findings in the project around PATHS (or here)."""
    from dataclasses import replace

    from sessionlint.cli.progress import Progress
    from sessionlint.cli.project import choice, locate, request, rule_words
    from sessionlint.run import NothingToCheck, check
    from sessionlint.selection import CommandLine
    from sessionlint.version import VERSION

    if version:
        sys.stdout.write(f"sessionlint {VERSION}\n")
        return CLEAN
    started_ns = stored.now_ns()
    progress = Progress()
    target = locate(paths, config, isolated)
    wanted = request(
        target,
        output_format=choice("--output-format", "output_format", output_format or _format_of_the_place(target)),
        fail_on=choice("--fail-on", "fail_on", fail_on),
        jobs=jobs,
    )
    wanted = replace(
        wanted,
        command_line=CommandLine(
            rule_words("--select", select, target.known),
            rule_words("--ignore", ignore, target.known),
            rule_words("--extend-select", extend_select, target.known),
        ),
        use_cache=not no_cache,
        progress=progress,
    )
    try:
        outcome = check(wanted)
    except NothingToCheck as nothing:
        raise UsageProblem(str(nothing)) from nothing
    progress.clear()
    context = _context(wanted, outcome, full_path)
    text = wanted.settings.output_format in ("full", "concise")
    stdout = _findings_text(outcome.report, wanted.settings.output_format, context, statistics)
    notes = _notes(outcome, target, quiet=quiet or not text, verbose=verbose and text)
    code = CLEAN if exit_zero else _exit_code(outcome, wanted.settings.fail_on)
    answer = stored.Answer(stdout, notes, code)
    if _may_keep(wanted, outcome):
        _keep(answer, wanted, outcome, target, started_ns)
    sys.stdout.write(stdout)
    sys.stdout.flush()
    sys.stderr.write(notes.replace(stored.SECONDS, f"{outcome.report.summary.seconds:.1f}"))
    if wanted.settings.output_format == "github":
        _write_step_summary(outcome.report, context)
    return code


def _format_of_the_place(target: Target) -> str | None:
    """``github`` inside a GitHub workflow, unless the project has chosen."""
    chosen = "output-format" in target.loaded.given
    return "github" if os.environ.get("GITHUB_ACTIONS") == "true" and not chosen else None


def wants_colour() -> bool:
    """FORCE_COLOR and NO_COLOR (no-color.org) before what the terminal says."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def _context(wanted: Request, outcome: Outcome, full_path: bool) -> Context:
    from functools import lru_cache

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
        colour=wants_colour(),
        full_path=full_path,
        version=VERSION,
        workspace=os.environ.get("GITHUB_WORKSPACE", ""),
    )


def _findings_text(report: Report, output_format: str, context: Context, statistics: bool) -> str:
    if statistics and output_format in ("full", "concise"):
        from sessionlint.report import closing

        return closing.statistics(report)
    if output_format == "full":
        from sessionlint.report import full

        return full.render(report, context)
    if output_format == "concise":
        from sessionlint.report import concise

        return concise.render(report, context)
    if output_format == "json":
        from sessionlint.report import json_

        return json_.render(report, context)
    from sessionlint.report import github

    return github.render(report, context)


def _notes(outcome: Outcome, target: Target, *, quiet: bool, verbose: bool) -> str:
    """Everything for stderr: problems always, the closing lines unless quiet."""
    from sessionlint.report import closing

    report = outcome.report
    lines: list[str] = []
    if (not quiet and target.loaded.file is None) or verbose:
        lines.append(closing.believed(report.beliefs))
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
        lines.append(closing.checked(report, stored.SECONDS))
    return "".join(line + "\n" for line in lines)


def _exit_code(outcome: Outcome, fail_on: str) -> int:
    """A rule that raised never leaves a run green, but findings outrank it: they are what the user asked for."""
    from sessionlint.findings import Severity

    least = Severity(fail_on).rank
    if any(one.severity.rank >= least for one in outcome.report.findings):
        return FINDINGS
    return INTERNAL if outcome.crashed else CLEAN


def _may_keep(wanted: Request, outcome: Outcome) -> bool:
    """Not after a fault of ours, not where printing has a second effect, not outside the usual cache folder."""
    usual = wanted.settings.cache_dir == stored.FOLDER and wanted.settings.output_format != "github"
    return wanted.use_cache and usual and not outcome.crashed and not outcome.warnings


def _keep(answer: stored.Answer, wanted: Request, outcome: Outcome, target: Target, started_ns: int) -> None:
    from sessionlint.config.versions import LOCK_FILES

    root = wanted.root
    listing = outcome.project.listing
    watched = [os.path.join(root, one) for one in (*listing.files, *listing.folders, *LOCK_FILES)]
    watched += [root, *listing.ignore_files]
    folder = root
    while True:  # a configuration or lock file above the root may appear later
        watched += [os.path.join(folder, name) for name in ("pyproject.toml", "sessionlint.toml", *LOCK_FILES)]
        if folder == os.path.dirname(folder):
            break
        folder = os.path.dirname(folder)
    requirements = os.path.join(root, "requirements")
    if os.path.isdir(requirements):
        watched += [requirements, *(os.path.join(requirements, name) for name in os.listdir(requirements))]
    watched += [os.path.join(root, name) for name in os.listdir(root) if name.endswith((".txt", ".cfg"))]
    if target.loaded.file is not None:
        watched.append(os.path.abspath(target.loaded.file))
    try:
        stored.keep(root, [one.rstrip("/") for one in watched], started_ns, answer)
    except OSError:
        pass  # the facts cache has said that the folder cannot be written


def _write_step_summary(report: Report, context: Context) -> None:
    from sessionlint.report import github

    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    try:
        with open(path, "a", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(github.step_summary(report, context))
    except OSError as error:
        sys.stderr.write(f"warning: cannot write the step summary: {error.strerror or error}\n")
