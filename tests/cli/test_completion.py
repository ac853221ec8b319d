"""Completion scripts: printed for each shell, and working in a real bash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sessionlint.cli.app import COMMANDS
from sessionlint.cli.completion import SHELLS


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_gets_a_script(cli, shell):
    ran = cli("completion", shell)
    assert ran.code == 0
    assert "_SESSIONLINT_COMPLETE" in ran.stdout and "sessionlint" in ran.stdout


def test_an_unknown_shell(cli):
    ran = cli("completion", "bsh")
    assert ran.code == 2
    assert "did you mean `bash`?" in ran.stderr


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["sessionlint", ""], set(COMMANDS)),
        (["sessionlint", "expl"], {"explain"}),
        (["sessionlint", "check", "--diff"], {"--diff-base"}),
        (["sessionlint", "explain", "SES20"], {"SES201", "SES202", "SES208", "SES209"}),
        (["sessionlint", "show", "m"], {"models"}),
        (["sessionlint", "check", "--output-format", "sar"], {"sarif"}),
    ],
)
def test_bash_completes(tmp_path, words, expected):
    program = tmp_path / "sessionlint"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m sessionlint "$@"\n')
    program.chmod(0o755)
    script = (
        'source <(sessionlint completion bash); COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 )); '
        '_sessionlint_completion sessionlint; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    root = str(Path(__file__).parents[2])
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]),
    }
    ran = subprocess.run(["bash", "-c", script, "bash", *words], capture_output=True, text=True, env=environment)
    assert expected <= set(ran.stdout.split()), ran.stderr
