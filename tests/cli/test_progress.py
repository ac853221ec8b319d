"""The bar: on a terminal only, after half a second only, and gone before findings are printed."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest

from sessionlint.cli import progress

ROOT = str(Path(__file__).parents[2])
RUN = """\
import sys, time
from sessionlint.cli.progress import Progress
bar = Progress()
for done in range(8):
    bar("parsing", done, 8)
    time.sleep({pause})
bar.clear()
print("a finding")
"""


def on_a_terminal(pause: float) -> str:
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "PYTHONPATH": ROOT, "COLUMNS": "80"}
    program = subprocess.Popen(
        [sys.executable, "-c", RUN.format(pause=pause)], stdout=slave, stderr=slave, env=environment
    )
    os.close(slave)
    seen = b""
    while select.select([master], [], [], 20)[0]:
        try:
            part = os.read(master, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not part:
            break
        seen += part
    program.wait()
    os.close(master)
    return seen.decode()


@pytest.mark.skipif(os.name != "posix", reason="no pseudo-terminals")
def test_a_long_run_shows_how_far_it_is():
    seen = on_a_terminal(0.2)
    assert "parsing" in seen and "/8" in seen
    assert "\x1b[2K" in seen[seen.rindex("/8") :], "the bar is cleared before the findings"
    assert seen.rstrip().endswith("a finding")


@pytest.mark.skipif(os.name != "posix", reason="no pseudo-terminals")
def test_a_short_run_shows_nothing():
    assert on_a_terminal(0.0).strip() == "a finding"


def test_nobody_watches(monkeypatch, capsys):
    monkeypatch.setattr(progress, "_PATIENCE", 0)
    bar = progress.Progress()
    bar("parsing", 1, 2)
    bar.clear()
    assert capsys.readouterr().err == ""
