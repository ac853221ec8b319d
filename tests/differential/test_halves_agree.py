"""The static rules and the sanitizer say the same about the same programs; every exception is listed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("aiosqlite")
pytest.importorskip("httpx")

from ..proofs import harness
from .agreement import KINDS, check, compare, run

ROOT = Path(__file__).parents[2]
FIXTURE = ROOT / "fixtures" / "agent_runtime"
WAITS_ARE_SHORT = ("--max-foreign-wait-ms", "5", "--max-transaction-ms", "60000")

FIXTURE_ONLY_STATIC = {
    "SES101 app/domain/services/report_service.py::usage_by_agent": "the driver never calls it",
}
FIXTURE_ONLY_RUNNING: dict[str, str] = {}
# A wait of 10 ms may be over before a busy machine looks at it twice.
MAY_BE_MISSED = "SES503"

PROOF_ONLY_STATIC = {
    "ses502_yield_inside_transaction": {"SES502"},
}
"""Codes of a proof's bad program that running it cannot show, by proof; the reasons stand in docs/precision.md."""

COMPARED = [proof for proof in harness.folders() if proof.name[:6].upper() in KINDS]


def test_the_service_of_the_fixture(tmp_path: Path) -> None:
    copy = tmp_path / "service"
    shutil.copytree(FIXTURE, copy, ignore=shutil.ignore_patterns("__pycache__", "*.db", ".sessionlint_cache"))
    static = check(copy)
    running = run(copy, "driver.py", os.environ, "--exclude", "driver.py", *WAITS_ARE_SHORT)
    found = compare(static, running)
    assert found.both >= 18
    assert found.only_running == set(FIXTURE_ONLY_RUNNING)
    missed = {one for one in found.only_static if not one.startswith(MAY_BE_MISSED)}
    assert missed == set(FIXTURE_ONLY_STATIC)


@pytest.mark.parametrize("variant", harness.VARIANTS)
@pytest.mark.parametrize("proof", [pytest.param(path, id=path.name) for path in COMPARED])
def test_a_proof(proof: Path, variant: str, tmp_path: Path, fresh_database: Callable[[str], str]) -> None:
    (tmp_path / "program.py").write_bytes((proof / f"{variant}.py").read_bytes())
    backends = harness.load(proof).backends
    url = fresh_database("sqlite" if "sqlite" in backends else "postgresql")
    running = run(tmp_path, "program.py", {**os.environ, "DATABASE_URL": url}, *WAITS_ARE_SHORT)
    found = compare(check(tmp_path), running)
    assert found.only_running == set()
    unseen = {one for one in found.only_static if one[:6] not in PROOF_ONLY_STATIC.get(proof.name, set())}
    assert unseen == set()


def test_every_exception_is_explained_to_users() -> None:
    text = (ROOT / "docs" / "precision.md").read_text(encoding="utf-8")
    for name in (*FIXTURE_ONLY_STATIC, *FIXTURE_ONLY_RUNNING):
        assert name.rpartition("::")[2] in text, f"docs/precision.md does not explain {name}"
    for name in PROOF_ONLY_STATIC:
        assert name in text, f"docs/precision.md does not explain {name}"
