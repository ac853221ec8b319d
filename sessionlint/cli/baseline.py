"""``sessionlint baseline``: accept today's findings, so that ``check --baseline`` reports only new ones."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Optional

import typer

from sessionlint.cli import CLEAN, FINDINGS
from sessionlint.cli.app import UsageProblem


def command(
    path: Annotated[Optional[str], typer.Argument(help="The project, if not here.")] = None,  # noqa: UP045
    accept_new: Annotated[bool, typer.Option("--accept-new", help="Add new findings to an existing file.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Drop entries that are found no more.")] = False,
    config: Annotated[Optional[str], typer.Option(help="Configuration file to use.")] = None,  # noqa: UP045
    isolated: Annotated[bool, typer.Option("--isolated", help="Use no configuration file.")] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Neither read nor write the cache.")] = False,
) -> int:
    """Write the findings of the whole project to the baseline file (option `baseline`)."""
    from dataclasses import replace

    from sessionlint.baseline import BaselineProblem, load
    from sessionlint.cli import adoption
    from sessionlint.cli.progress import Progress
    from sessionlint.cli.project import locate, request
    from sessionlint.run import NothingToCheck, check

    target = locate([path] if path else None, config, isolated)
    progress = Progress()
    wanted = replace(request(target), paths=(), use_cache=not no_cache, progress=progress)
    file = adoption.baseline_path(wanted)
    exists = os.path.exists(file)
    try:
        entries = load(file) if exists else ()
        outcome = check(wanted)
    except (BaselineProblem, NothingToCheck) as problem:
        raise UsageProblem(str(problem)) from problem
    progress.clear()
    compared = adoption.comparison(entries, outcome, wanted)
    say = sys.stderr.write
    shown = adoption.shown(file)
    if exists and compared.new and not accept_new:
        number = adoption.count(len(compared.new), "finding")
        say(f"{number} not in {shown}: `sessionlint check --baseline` lists them\n")
        say("nothing was written; --accept-new accepts them\n")
        return FINDINGS
    if accept_new or not exists:
        # The comments of today may go; what they silence is accepted too.
        known = {entry.fingerprint for entry in entries}
        silenced = tuple(one for one in outcome.report.suppressed if one.fingerprint not in known)
        compared = replace(compared, new=(*compared.new, *silenced))
    held = adoption.save(file, entries, compared, accept_new=True, prune=prune)
    say(f"{shown} accepts {adoption.count(len(held), 'finding')}")
    say(f" ({len(compared.new)} new, {len(compared.stale) if prune else 0} dropped)\n" if exists else "\n")
    if compared.stale and not prune:
        say(adoption.stale(compared, file, "baseline --prune") + "\n")
    if not exists:
        if target.loaded.settings.baseline:
            say("`sessionlint check` now reports only new ones; commit the file\n")
        else:
            name = os.path.relpath(file, wanted.root).replace(os.sep, "/")
            say(f'`sessionlint check --baseline` reports only new ones; baseline = "{name}" makes that the default\n')
    return CLEAN
