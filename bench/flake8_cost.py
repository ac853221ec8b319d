"""What the flake8 plugin costs: CPU seconds of flake8 with it and without it, against one ``sessionlint check``.

    python bench/flake8_cost.py DIRECTORY [RUNS]

Runs alternate; CPU counts all processes that a command starts. The target: the plugin costs at most one check more.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
from pathlib import Path

WITHOUT = """\
import importlib.metadata as metadata, sys
listed = metadata.distributions
def others(*words, **options):
    return [one for one in listed(*words, **options) if "sessionlint" not in (one.metadata["Name"] or "")]
metadata.distributions = others
from flake8.main.cli import main
sys.exit(main(["--jobs", "{jobs}", "."]))
"""


def commands(jobs: str) -> dict[str, list[str]]:
    """The three commands to compare."""
    flake8 = [sys.executable, "-m", "flake8", "--jobs", jobs, "--sessionlint-no-cache", "."]
    return {
        "flake8 without": [sys.executable, "-c", WITHOUT.format(jobs=jobs)],
        "flake8 with": flake8,
        "check --no-cache": [sys.executable, "-m", "sessionlint", "check", "--no-cache"],
    }


def cpu_seconds(words: list[str], folder: Path) -> float:
    """User and system time of a command and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, cwd=folder, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(folder: Path, runs: int) -> None:
    """Print a row for each number of jobs."""
    for jobs in ("1", "4"):
        taken: dict[str, list[float]] = {}
        for _ in range(runs):
            for name, words in commands(jobs).items():
                taken.setdefault(name, []).append(cpu_seconds(words, folder))
        middle = {name: statistics.median(values) for name, values in taken.items()}
        more = middle["flake8 with"] - middle["flake8 without"]
        listed = ", ".join(f"{name} {value:.2f} s" for name, value in middle.items())
        print(f"--jobs {jobs}: {listed}; the plugin costs {more / middle['check --no-cache']:.2f} checks")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3)
