"""``sessionlint check``: report findings. Heavy imports live inside the function."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from sessionlint.cli import CLEAN, FINDINGS, INTERNAL, adoption, output, stored
from sessionlint.cli.app import UsageProblem
from sessionlint.config.settings import options

if TYPE_CHECKING:
    from sessionlint.cli.project import Target
    from sessionlint.run import Outcome, Request

_Words = Optional[list[str]]  # noqa: UP045  # typer reads this at run time
_Text = Optional[str]  # noqa: UP045
_Flag = Optional[bool]  # noqa: UP045
_Number = Optional[int]  # noqa: UP045
_CHOICES = next(row.choices for row in options() if row.name == "output-format")
_FORMATS = "One of " + ", ".join(_CHOICES) + "."


def command(
    paths: Annotated[_Words, typer.Argument(help="Report only what lies here; all is analysed.")] = None,
    select: Annotated[_Words, typer.Option(help="Codes, prefixes or names to run instead of the default.")] = None,
    ignore: Annotated[_Words, typer.Option(help="Codes, prefixes or names not to run.")] = None,
    extend_select: Annotated[_Words, typer.Option(help="Codes, prefixes or names to run in addition.")] = None,
    output_format: Annotated[_Text, typer.Option(help=_FORMATS, autocompletion=lambda: list(_CHOICES))] = None,
    output_file: Annotated[_Text, typer.Option("--output-file", "-o", help="Write the report there.")] = None,
    fail_on: Annotated[_Text, typer.Option(help="Least severity that fails: info, warning or error.")] = None,
    config: Annotated[_Text, typer.Option(help="Configuration file to use.")] = None,
    isolated: Annotated[bool, typer.Option("--isolated", help="Use no configuration file.")] = False,
    baseline: Annotated[
        _Flag, typer.Option("--baseline/--no-baseline", help="Leave out what the baseline file accepts.")
    ] = None,
    accept_new: Annotated[bool, typer.Option("--accept-new", help="Add new findings to the baseline.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Drop baseline entries that are found no more.")] = False,
    diff_base: Annotated[_Text, typer.Option(help="Report only what is new since this git revision.")] = None,
    touching: Annotated[
        bool, typer.Option("--touching", help="Report too what has a step of its path in PATHS.")
    ] = False,
    add_ignore: Annotated[
        _Text, typer.Option(metavar="REASON", help="Write a suppression beside each finding.")
    ] = None,
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
    from sessionlint.cli.project import choice, locate, locate_touched, request, rule_words
    from sessionlint.run import NothingToCheck, check
    from sessionlint.selection import CommandLine
    from sessionlint.version import VERSION

    if version:
        sys.stdout.write(f"sessionlint {VERSION}\n")
        return CLEAN
    started_ns = stored.now_ns()
    progress = Progress()
    if add_ignore is not None and not add_ignore.strip():
        raise UsageProblem('--add-ignore needs a reason: --add-ignore="moves to the unit of work in #123"')
    target = locate_touched(paths, config, isolated) if touching else locate(paths, config, isolated)
    with_baseline = _uses_baseline(baseline, target, changes_it=accept_new or prune)
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
        touching=touching,
        use_cache=not no_cache,
        progress=progress,
    )
    try:
        outcome = check(wanted)
    except NothingToCheck as nothing:
        raise UsageProblem(str(nothing)) from nothing
    said: list[str] = []
    if diff_base is not None:
        progress("comparing")
        outcome = adoption.since(outcome, wanted, diff_base)
    if with_baseline:
        step = adoption.against_baseline(outcome, wanted, accept_new=accept_new, prune=prune)
        outcome, said = step.outcome, [*step.said]
    if add_ignore is not None:
        step = adoption.add_ignores(outcome, wanted, add_ignore.strip())
        outcome, said = step.outcome, [*said, *step.said]
    progress.clear()
    chosen = wanted.settings.output_format
    context = output.context_of(wanted, outcome, full_path=full_path, to_file=output_file is not None)
    stdout = output.findings_text(outcome.report, chosen, context, statistics=statistics)
    if output_file is not None:
        output.write_file(output_file, stdout)
        stdout = ""
    to_people = chosen in output.TEXT_FORMATS or output_file is not None
    notes = "".join(line + "\n" for line in said) + output.notes(
        outcome, target, context, stored.SECONDS, quiet=quiet or not to_people, verbose=verbose and to_people
    )
    code = CLEAN if exit_zero else _exit_code(outcome, wanted.settings.fail_on)
    has_effects = accept_new or prune or output_file is not None or add_ignore is not None or touching
    if _may_keep(wanted, outcome) and not has_effects and diff_base is None:
        watched = [adoption.baseline_path(wanted)] if with_baseline else []
        _keep(stored.Answer(stdout, notes, code), wanted, outcome, target, started_ns, watched)
    sys.stdout.write(stdout)
    sys.stdout.flush()
    sys.stderr.write(notes.replace(stored.SECONDS, f"{outcome.report.summary.seconds:.1f}"))
    if chosen == "github":
        output.write_step_summary(outcome.report, context)
    return code


def _uses_baseline(given: bool | None, target: Target, *, changes_it: bool) -> bool:
    """Whether findings are compared with the baseline file: by the command line, else by the option."""
    if given is False and changes_it:
        raise UsageProblem("--no-baseline cannot be combined with --accept-new or --prune")
    return bool(target.loaded.settings.baseline) or changes_it if given is None else given


def _format_of_the_place(target: Target) -> str | None:
    """``github`` inside a GitHub workflow, unless the project has chosen."""
    chosen = "output-format" in target.loaded.given
    return "github" if os.environ.get("GITHUB_ACTIONS") == "true" and not chosen else None


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


def _installed() -> list[str]:
    """What tells that rules of other packages came, went or changed."""
    from sessionlint.rules import registry

    folders = [folder for folder in sys.path if folder.endswith(("site-packages", "dist-packages"))]
    return [*folders, *registry.installed_files()]


def _keep(
    answer: stored.Answer, wanted: Request, outcome: Outcome, target: Target, started_ns: int, more: list[str]
) -> None:
    from sessionlint.config.versions import LOCK_FILES

    root = wanted.root
    listing = outcome.project.listing
    watched = [os.path.join(root, one) for one in (*listing.files, *listing.folders, *LOCK_FILES)]
    watched += [root, *listing.ignore_files, *more, *_installed()]
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
