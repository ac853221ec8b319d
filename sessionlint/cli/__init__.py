"""The command line: the only place that knows typer, exit codes, stdin and stdout.

This file answers ``--version`` and unchanged projects before anything heavy is loaded; ``app`` does the rest.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

CLEAN, FINDINGS, USAGE, INTERNAL, INTERRUPTED = 0, 1, 2, 3, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _answer(words)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader has gone; the interpreter's own flush at exit must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLEAN
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED


def _answer(words: list[str]) -> int:
    if words in (["--version"], ["-V"]):
        from sessionlint.version import VERSION

        sys.stdout.write(f"sessionlint {VERSION}\n")
        return CLEAN
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name that the terminal cannot show must not end the run
            stream.reconfigure(errors="backslashreplace")
    from sessionlint.cli import stored

    answer = stored.find(words)
    if answer is not None:
        return stored.replay(answer)
    from sessionlint.cli.app import run

    return run(words)
