"""``sessionlint trace``: the transaction timeline of one endpoint or function across files."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from sessionlint.cli import CLEAN
from sessionlint.cli.app import UsageProblem

if TYPE_CHECKING:
    from sessionlint.effects import Analysis


def command(
    entry: Annotated[Optional[str], typer.Argument(help="An entry point or a function by dotted name.")] = None,  # noqa: UP045
    every: Annotated[bool, typer.Option("--all", help="List the entry points.")] = False,
    config: Annotated[Optional[str], typer.Option(help="Configuration file to use.")] = None,  # noqa: UP045
    isolated: Annotated[bool, typer.Option("--isolated", help="Use no configuration file.")] = False,
) -> int:
    """Show session, reads, writes, flush, commit, yields and foreign awaits of ENTRY in order."""
    from sessionlint.cli.project import locate
    from sessionlint.cli.show import entry_points_text, with_analysis

    if entry is None and not every:
        raise UsageProblem("name an entry point, or list them with `sessionlint trace --all`")
    target = locate(None, config, isolated)
    if entry is None:
        text = with_analysis(target, entry_points_text)
    else:
        text = with_analysis(target, lambda analysis: _timeline(analysis, entry))
    sys.stdout.write(text)
    return CLEAN


def _timeline(analysis: Analysis, entry: str) -> str:
    from sessionlint.config.errors import did_you_mean

    names = [one.name for one in analysis.entry_points()]
    try:
        events = analysis.timeline(entry)
    except LookupError as error:
        several = error.args[0]
        if several:
            choices = "".join(f"\n  {one}" for one in several)
            raise UsageProblem(f"`{entry}` may be any of these; name one in full:{choices}") from None
        hint = did_you_mean(entry, names) or "`sessionlint trace --all` lists them"
        raise UsageProblem(f"no entry point or function `{entry}`; {hint}") from None
    width = max((len(str(event.place)) for event in events), default=0)
    lines = [f"{event.place!s:<{width}}  {'  ' * event.depth}{event.kind}: {event.message}\n" for event in events]
    return "".join(lines) or f"`{entry}` does nothing to a session\n"
