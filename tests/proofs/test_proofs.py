"""Every rule's fault really loses data, raises or blocks on a real database - and its repair does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from . import harness


def _load(folder: Path) -> harness.Proof | None:
    """None for a folder that breaks the contract; test_folder_keeps_the_contract says how."""
    try:
        return harness.load(folder)
    except harness.ProofError:
        return None


PROOFS = [proof for folder in harness.folders() if (proof := _load(folder)) is not None]
RUNS = [
    pytest.param(proof, variant, backend, id=f"{proof.name}-{variant}-{backend}")
    for proof in PROOFS
    for backend in proof.backends
    for variant in harness.VARIANTS
]
EACH_PROOF = pytest.mark.parametrize("proof", [pytest.param(proof, id=proof.name) for proof in PROOFS])


@pytest.mark.parametrize("folder", [pytest.param(path, id=path.name) for path in harness.folders()])
def test_folder_keeps_the_contract(folder: Path) -> None:
    harness.load(folder)


@pytest.mark.parametrize(("proof", "variant", "backend"), RUNS)
def test_program_shows_what_the_rule_claims(
    proof: harness.Proof, variant: str, backend: str, fresh_database: Callable[[str], str]
) -> None:
    outcome = harness.run(proof.program(variant), fresh_database(backend))
    failure = harness.report(proof, variant, backend, outcome)
    assert not failure, failure


@EACH_PROOF
def test_rule_reports_bad_and_not_good(proof: harness.Proof) -> None:
    rule_file = harness.RULES / f"{proof.name}.py"
    options = () if harness.is_default(rule_file) else ("--extend-select", proof.code)
    bad = harness.reported_codes(proof.program("bad"), *options)
    good = harness.reported_codes(proof.program("good"), *options)
    assert proof.code in bad, f"{proof.code} is not reported on bad.py; reported there: {bad}"
    assert proof.code not in good, f"{proof.code} is reported on good.py, lines {good[proof.code]}"


@EACH_PROOF
def test_proof_belongs_to_a_rule(proof: harness.Proof) -> None:
    assert (harness.RULES / f"{proof.name}.py").is_file(), f"no rule file sessionlint/rules/{proof.name}.py"


@pytest.mark.parametrize("rule_file", [pytest.param(path, id=path.stem) for path in harness.rule_files()])
def test_rule_on_by_default_is_proven(rule_file: Path) -> None:
    if harness.is_default(rule_file):
        assert (harness.HERE / rule_file.stem).is_dir(), f"{rule_file.stem} is on by default and has no proof"
