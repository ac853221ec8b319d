"""Print what ``sessionlint check`` costs as ratios to ruff: ``python bench/check.py [DIRECTORY] [--runs N]``.

Every command runs N times (default 7) in turn with the others, each in a process of its own, on a copy of DIRECTORY
(default fixtures/agent_runtime), with byte code compiled as in an installed package. CPU is user + system seconds of
the process and its children. A ratio is the median of the N ratios within one turn, so that a busy machine disturbs
both sides alike. The exit code says nothing: 0.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

_ROOT = Path(__file__).parents[1]
_SKIPPED = (".git", ".venv", "venv", "node_modules", "__pycache__", ".sessionlint_cache", ".ruff_cache", ".mypy_cache")


class Cost(NamedTuple):
    """Seconds of one run."""

    cpu: float
    wall: float


@dataclass
class Scenario:
    """One row: a command, what happens before each of its runs, and the most it may cost in ruffs (CPU)."""

    name: str
    words: list[str]
    prepare: Callable[[], None] = lambda: None
    target: float | None = None
    costs: list[Cost] = field(default_factory=list)


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    with tempfile.TemporaryDirectory(prefix="sessionlint-bench-") as folder:
        project = Path(folder) / "project"
        shutil.copytree(options.directory, project, ignore=shutil.ignore_patterns(*_SKIPPED), symlinks=True)
        copied = sorted(path for path in project.rglob("*.py") if path.is_file())
        if not copied:
            print(f"no Python file in {options.directory}")
            return 0
        _age(project)
        scenarios = _scenarios(project, copied)
        for scenario in scenarios:  # byte code, page cache, stored report
            scenario.prepare()
            _run(scenario.words, project)
        for _ in range(options.runs):
            for scenario in scenarios:
                scenario.prepare()
                scenario.costs.append(_run(scenario.words, project))
        _print(scenarios, options.directory, copied, options.runs)
    return 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/check.py", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("directory", nargs="?", type=Path, default=_ROOT / "fixtures" / "agent_runtime")
    parser.add_argument("--runs", type=int, default=7)
    return parser.parse_args(arguments)


def _scenarios(project: Path, files: list[Path]) -> list[Scenario]:
    python = sys.executable
    check = [python, "-m", "sessionlint", "check", str(project)]
    changed = _largest(project) or files[0]
    text = changed.read_bytes()
    count = 0

    def change() -> None:
        nonlocal count
        count += 1
        changed.write_bytes(text + b"\n# change %d\n" % count)

    def unchanged() -> None:
        """Store the report of what is there now, and let it become older than the clock is coarse."""
        _age(project)
        _run(check, project)

    return [
        Scenario("python -c pass", [python, "-c", "pass"]),
        Scenario(
            "ruff check --isolated --no-cache", [_tool("ruff"), "check", "--isolated", "--no-cache", str(project)]
        ),
        Scenario("sessionlint check --no-cache (cold)", [*check, "--no-cache"], target=30),
        Scenario("sessionlint check, nothing changed (warm)", check, unchanged, target=8),
        Scenario(f"sessionlint check, {changed.name} changed", check, change),
    ]


def _largest(project: Path) -> Path | None:
    """The largest of the files that are analysed and reported: a change there costs most."""
    words = [sys.executable, "-m", "sessionlint", "show", "files"]
    listed = subprocess.run(words, cwd=project, capture_output=True, text=True, check=False).stdout.splitlines()
    reported = [project / line.rpartition(": ")[0] for line in listed if line.endswith(": analysed and reported")]
    return max((path for path in reported if path.is_file()), key=lambda path: path.stat().st_size, default=None)


def _tool(name: str) -> str:
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.is_file() else shutil.which(name) or name


def _age(project: Path) -> None:
    """Make all files an hour old: what was written just now is not trusted to be unchanged."""
    then = time.time() - 3_600
    for folder, _folders, names in os.walk(project):
        if ".sessionlint_cache" not in folder:
            for path in (folder, *(os.path.join(folder, name) for name in names)):
                os.utime(path, (then, then), follow_symlinks=False)


def _run(words: list[str], folder: Path) -> Cost:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(folder.parent / "bytecode")
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    quiet = subprocess.DEVNULL
    subprocess.run(words, cwd=folder, env=environment, stdout=quiet, stderr=quiet, check=False)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall)


def _print(scenarios: list[Scenario], directory: Path, files: list[Path], runs: int) -> None:
    ruff = scenarios[1]
    lines = sum(path.read_bytes().count(b"\n") for path in files)
    print(f"{directory}: {len(files)} files, {lines:,} lines; {runs} alternating runs, medians")
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}\n")
    print(f"{'':46}{'CPU s':>8}{'wall s':>8}{'CPU/ruff':>10}{'wall/ruff':>11}{'CPU/pass':>10}  target")
    for scenario in scenarios:
        cpu, wall = (_median(cost[at] for cost in scenario.costs) for at in (0, 1))
        by_ruff, wall_by_ruff = (_ratio(scenario, ruff, at) for at in (0, 1))
        by_pass = _ratio(scenario, scenarios[0], 0)
        verdict = ""
        if scenario.target is not None:
            met = by_ruff <= scenario.target
            verdict = f"  <= {scenario.target:g} ruffs of CPU: {'met' if met else 'MISSED'}"
        print(f"{scenario.name:46}{cpu:8.3f}{wall:8.3f}{by_ruff:10.2f}{wall_by_ruff:11.2f}{by_pass:10.1f}{verdict}")


def _ratio(scenario: Scenario, other: Scenario, at: int) -> float:
    """The median of this one's cost over the other's of the same turn."""
    pairs = zip(scenario.costs, other.costs, strict=True)
    return _median(mine[at] / max(theirs[at], 1e-9) for mine, theirs in pairs)


def _median(values: Iterable[float]) -> float:
    return statistics.median(values)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
