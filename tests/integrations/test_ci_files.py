"""The GitHub Action and the Dockerfile: valid, and the script of the action does what its inputs say."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.adoption.conftest import CLEAN, PROJECT

ROOT = Path(__file__).parents[2]


def test_the_action_is_valid():
    tool = shutil.which("check-jsonschema", path=str(Path(sys.executable).parent))
    assert tool
    ran = subprocess.run(
        [tool, "--builtin-schema", "vendor.github-actions", "action.yml"], cwd=ROOT, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout


def test_the_action_uses_its_inputs():
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    text = json.dumps(action["runs"])
    for name in action["inputs"]:
        assert f"inputs.{name} " in text
    for step in action["runs"]["steps"]:
        assert "${{" not in step.get("run", ""), "inputs reach scripts through the environment only"


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_the_script_of_the_action(write, tmp_path):
    write({**PROJECT, "app/clean.py": CLEAN})
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    script = next(step["run"] for step in action["runs"]["steps"] if step.get("id") == "check")
    program = tmp_path / "bin" / "sessionlint"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m sessionlint "$@"\n')
    program.chmod(0o755)

    def run(**inputs: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "GITHUB_OUTPUT": str(tmp_path / "output"),
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
            "GITHUB_WORKSPACE": str(tmp_path),
            "PATHS": "",
            "ARGS": "",
            "SARIF_FILE": "",
            **inputs,
        }
        words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
        return subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, env=environment)

    ran = run(SARIF_FILE="report.sarif")
    assert ran.returncode == 1, ran.stderr
    assert ran.stdout.startswith("::error file=app/users.py,line=12")
    assert (tmp_path / "output").read_text() == "exit-code=1\n"
    assert "| SES201 |" in (tmp_path / "summary.md").read_text()
    assert json.loads((tmp_path / "report.sarif").read_text())["version"] == "2.1.0"
    assert run(PATHS="app/clean.py", ARGS="--ignore SES101").returncode == 0
    assert run(ARGS="--nonsense").returncode == 2


def test_the_dockerfile_copies_what_exists():
    text = (ROOT / "Dockerfile").read_text()
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    sources = [word for line in re.findall(r"^COPY (.+)$", text, re.MULTILINE) for word in line.split()[:-1]]
    assert sources
    for source in sources:
        assert (ROOT / source).exists()
        assert source in kept, f".dockerignore leaves {source} out"
