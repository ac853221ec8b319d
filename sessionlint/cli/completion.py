"""``sessionlint completion SHELL``: print the script that completes our commands in a shell."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from sessionlint.cli import CLEAN

SHELLS = ("bash", "zsh", "fish", "powershell")


def command(
    shell: Annotated[str, typer.Argument(help=", ".join(SHELLS) + ".", autocompletion=lambda: list(SHELLS))],
) -> int:
    """Print a completion script: `source <(sessionlint completion bash)`."""
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # re-exported without saying so

    from sessionlint.cli.app import UsageProblem
    from sessionlint.config.errors import did_you_mean

    if shell not in SHELLS:
        hint = did_you_mean(shell, SHELLS) or "expected " + ", ".join(SHELLS)
        raise UsageProblem(f"no completion for `{shell}`; {hint}")
    script = get_completion_script(prog_name="sessionlint", complete_var="_SESSIONLINT_COMPLETE", shell=shell)
    sys.stdout.write(script.rstrip("\n") + "\n")
    return CLEAN
