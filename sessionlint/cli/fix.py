"""``sessionlint fix``: repair what can be, say what was not and why. Heavy imports live inside the function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Optional

import typer

from sessionlint.cli import CLEAN, FINDINGS, INTERNAL
from sessionlint.cli.app import UsageProblem

if TYPE_CHECKING:
    from sessionlint.repair import Repaired

_Words = Optional[list[str]]  # noqa: UP045  # typer reads this at run time
_Text = Optional[str]  # noqa: UP045


def command(
    paths: Annotated[_Words, typer.Argument(help="Repair only findings that lie here.")] = None,
    select: Annotated[_Words, typer.Option(help="Codes, prefixes or names of the rules to repair.")] = None,
    diff: Annotated[bool, typer.Option("--diff", help="Print the changes and write nothing.")] = False,
    unsafe_fixes: Annotated[
        bool, typer.Option("--unsafe-fixes", help="Make repairs too that may change what the program does.")
    ] = False,
    verify: Annotated[
        _Text, typer.Option(help="Command to run after each repair; undo the repair if it fails.")
    ] = None,
    config: Annotated[_Text, typer.Option(help="Configuration file to use.")] = None,
    isolated: Annotated[bool, typer.Option("--isolated", help="Use no configuration file.")] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Neither read nor write the cache.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not say what was done.")] = False,
) -> int:
    """Repair findings in the project around PATHS (or here)."""
    from dataclasses import replace

    from sessionlint.cli.fix_text import summary
    from sessionlint.cli.progress import Progress
    from sessionlint.cli.project import locate, request, rule_words
    from sessionlint.cli.repairing import carry_out, show
    from sessionlint.repair import Order
    from sessionlint.selection import CommandLine

    if diff and verify:
        raise UsageProblem("`--diff` writes nothing, so `--verify` has nothing to run on; leave one of them out")
    progress = Progress()
    target = locate(paths, config, isolated)
    wanted = replace(
        request(target),
        command_line=CommandLine(select=rule_words("--select", select, target.known)),
        use_cache=not no_cache,
        progress=progress,
    )
    done = carry_out(Order(wanted, unsafe_fixes, not diff, verify or ""), progress)
    show(done, diff, "" if quiet else summary(done, diff))
    return _exit_code(done, diff)


def _exit_code(done: Repaired, diff: bool) -> int:
    """As ruff: with ``--diff`` 1 where something would change; else 1 where findings of the run are left."""
    if done.crashed:
        return INTERNAL
    if diff:
        return FINDINGS if done.outcome.changed else CLEAN
    return FINDINGS if done.left else CLEAN
