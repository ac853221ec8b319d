"""Generated projects: the analysis never raises, ends soon, says the same twice and names only places that exist."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.effects.generated_sessions import PROJECTS
from tests.effects.pipeline import sound

_ROOT = Path(__file__).parents[2]
_EXAMPLES = int(os.environ.get("SESSIONLINT_FUZZ_EXAMPLES", "60"))


@settings(max_examples=_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(files=PROJECTS)
def test_generated_projects(files: dict[str, str]):
    sound(files)


@pytest.fixture(scope="module")
def one_answer() -> str:
    return _report("0")


@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_the_order_of_sets_decides_nothing(one_answer: str, seed: str):
    assert _report(seed) == one_answer


def _report(seed: str) -> str:
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "sessionlint",
            "check",
            "--no-cache",
            "--output-format",
            "json",
            "fixtures/agent_runtime",
        ],
        cwd=_ROOT,
        env={**os.environ, "PYTHONHASHSEED": seed, "SESSIONLINT_DEBUG": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode in (0, 1), ran.stderr[-2_000:]
    report = json.loads(ran.stdout)
    report.get("summary", {}).pop("seconds", None)
    return json.dumps(report, indent=1)
