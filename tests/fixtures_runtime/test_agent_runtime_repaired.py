"""The agent runtime after `fix`: the golden tree, and its driver shows fewer faults and nothing that is broken."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.fixes.project import read_case, sessionlint

FIXTURE = Path(__file__).parents[2] / "fixtures" / "agent_runtime"
STAGES = sorted((Path(__file__).parents[1] / "fixes" / "golden").glob("[0-9]*.txt"))
_MARKER = re.compile(r"[ \t]+# (?:expect\??|ok): [^\n]*$", re.MULTILINE)


def _shown(project: Path) -> dict[str, tuple[str, bool]]:
    """What the driver sees: (fault or fine, whether it shows) by the name of the check."""
    done = subprocess.run(
        [sys.executable, "-B", str(project / "driver.py"), "--json"],
        cwd=project.parent,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.stdout, done.stderr[-3000:]
    return {row["name"]: (row["kind"], row["shown"]) for row in json.loads(done.stdout)}


def _texts(project: Path) -> dict[str, str]:
    found = {p.relative_to(project).as_posix(): p.read_text(encoding="utf-8") for p in project.rglob("*.py")}
    return {file: text for file, text in found.items() if "__pycache__" not in file}


def test_every_stage_gives_its_golden_tree_and_repairs_what_it_says(tmp_path: Path) -> None:
    project = tmp_path / "agent_runtime"
    shutil.copytree(FIXTURE, project, ignore=shutil.ignore_patterns("__pycache__", "*.db*", ".sessionlint_cache"))
    for file in (project / "app").rglob("*.py"):
        file.write_text(_MARKER.sub("", file.read_text(encoding="utf-8")), encoding="utf-8")
    before = _shown(project)
    assert all(shows for _, shows in before.values()), "the driver shows every fault, and that its look-alikes work"
    for stage in STAGES:
        golden = read_case(stage.read_text(encoding="utf-8"))
        texts = _texts(project)
        for command in golden.options["command"]:
            ran = sessionlint(project, *command.split(), "--no-cache")
            assert ran.returncode in (0, 1), ran.stderr
        expected = {**texts, **golden.after}
        got = _texts(project)
        differs = [file for file in expected if got[file].strip("\n") != expected[file].strip("\n")]
        assert not differs, f"{stage.stem}: {differs[0]} is\n{got[differs[0]]}"
        repaired = set(golden.options.get("repaired", []))
        after = _shown(project)
        for name, (kind, shows) in after.items():
            assert shows == (before[name][1] and name not in repaired), f"{stage.stem}: {kind} {name} shows: {shows}"
        before = after
