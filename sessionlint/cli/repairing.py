"""What `fix` and `migrate` share: carrying out an order and showing what came of it. Imported when one of them runs."""

from __future__ import annotations

import sys

from sessionlint.cli.app import UsageProblem
from sessionlint.cli.fix_text import difference
from sessionlint.cli.progress import Progress
from sessionlint.fixes.disk import NotWritten
from sessionlint.repair import Order, Repaired, VerifyFailsBefore, run
from sessionlint.run import NothingToCheck


def carry_out(order: Order, progress: Progress) -> Repaired:
    """The order carried out. Raises ``UsageProblem`` where nothing could be begun or written."""
    try:
        return run(order)
    except (NothingToCheck, VerifyFailsBefore) as problem:
        raise UsageProblem(str(problem)) from problem
    except NotWritten as problem:
        raise UsageProblem(f"{problem}; nothing was changed") from problem
    finally:
        progress.clear()


def show(done: Repaired, diff: bool, summary: str) -> None:
    """The differences to standard output where asked for, warnings and the summary to standard error."""
    if diff:
        sys.stdout.write(difference(done.outcome))
        sys.stdout.flush()
    sys.stderr.write("".join(f"warning: {warning}\n" for warning in done.warnings))
    sys.stderr.write(summary)
