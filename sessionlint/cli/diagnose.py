"""``sessionlint diagnose``: live checks of a database; the checks are in ``sessionlint.runtime.diagnose``."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Optional

import typer

from sessionlint.cli import CLEAN, FINDINGS
from sessionlint.cli.app import UsageProblem


def command(
    url: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(help="Database URL; without it, the environment variable DATABASE_URL.", show_default=False),
    ] = None,
    parent: Annotated[Optional[str], typer.Option(help="Parent model, package.module:Class (imports it).")] = None,  # noqa: UP045
    child: Annotated[Optional[str], typer.Option(help="Child model, package.module:Class (imports it).")] = None,  # noqa: UP045
    round_trip: Annotated[
        bool,
        typer.Option("--round-trip", help="Write a parent and a child into two tables made for it, then drop them."),
    ] = False,
    long: Annotated[float, typer.Option(help="Seconds after which a transaction is long.")] = 60.0,
    idle: Annotated[float, typer.Option(help="Seconds after which idle in transaction is a failure.")] = 5.0,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for a connection.")] = 10.0,
    pool_size: Annotated[int, typer.Option(help="pool_size of the service.")] = 5,
    max_overflow: Annotated[int, typer.Option(help="max_overflow of the service.")] = 10,
    workers: Annotated[int, typer.Option(help="Processes of the service.")] = 1,
) -> int:
    """Check a live database: what is committed is seen, nobody holds transactions or locks, limits are set. Reads only,
    unless --round-trip or --parent/--child ask for rows."""
    try:
        from sessionlint.runtime.diagnose.answers import Refused
        from sessionlint.runtime.diagnose.examination import Wishes, report
        from sessionlint.runtime.diagnose.limits import PoolPlan
    except ImportError as missing:
        raise UsageProblem(f"diagnose needs `{missing.name}`: pip install 'sessionlint[runtime]'") from missing

    address = url or os.environ.get("DATABASE_URL")
    if not address:
        raise UsageProblem("name a database URL, or set DATABASE_URL")
    if bool(parent) != bool(child):
        raise UsageProblem("--parent and --child belong together")
    if min(long, idle) < 0 or timeout <= 0 or pool_size < 0 or max_overflow < 0 or workers < 1:
        raise UsageProblem("times and sizes must not be negative, --timeout and --workers not 0")
    wishes = Wishes(
        round_trip=round_trip,
        parent=parent,
        child=child,
        long_seconds=long,
        idle_seconds=idle,
        connect_timeout=timeout,
        plan=PoolPlan(pool_size, max_overflow, workers),
    )
    bad = 0
    try:
        for line, is_failure in report(address, wishes, sys.stdout.encoding):
            sys.stdout.write(line)
            sys.stdout.flush()
            bad += is_failure
    except Refused as refused:
        raise UsageProblem(str(refused)) from None
    return FINDINGS if bad else CLEAN
