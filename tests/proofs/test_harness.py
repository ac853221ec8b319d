"""The harness itself: what counts as observed, and what a failing proof shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import harness


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        ({"rows": 1}, {"rows": 1, "free": "x"}),
        ({"error_contains": "QueuePool"}, {"error": "QueuePool limit of size 2"}),
        ({"seconds_at_least": 1.0}, {"seconds": 1.5}),
    ],
)
def test_satisfied(expected: harness.Observation, got: harness.Observation) -> None:
    assert harness.differences(expected, got) == []


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        ({"rows": 1}, {"rows": 0}),
        ({"rows": 1}, {"rows": True}),
        ({"rows": 1}, {}),
        ({"error_contains": "QueuePool"}, {"error": None}),
        ({"error_contains": "QueuePool"}, {}),
        ({"seconds_at_least": 1.0}, {"seconds": 0.5}),
        ({"seconds_at_least": 1.0}, {"seconds": "long"}),
    ],
)
def test_not_satisfied(expected: harness.Observation, got: harness.Observation) -> None:
    assert len(harness.differences(expected, got)) == 1


def test_a_program_without_observation_fails_and_shows_its_output(tmp_path: Path) -> None:
    program = tmp_path / "bad.py"
    program.write_text("import sys\nprint('halfway')\nsys.exit('no table')\n", encoding="utf-8")
    outcome = harness.run(program, "sqlite+aiosqlite:///unused.sqlite")
    proof = harness.Proof(tmp_path, "SES202", "rows are lost", ("sqlite",), {("bad", "sqlite"): {"rows": 0}})
    text = harness.report(proof, "bad", "sqlite", outcome)
    assert "exit status 1" in text
    assert "halfway" in text
    assert "no table" in text


def test_expected_and_got_stand_side_by_side(tmp_path: Path) -> None:
    proof = harness.Proof(tmp_path, "SES202", "rows are lost", ("sqlite",), {("bad", "sqlite"): {"rows": 0}})
    text = harness.report(proof, "bad", "sqlite", harness.Run({"rows": 3}, 0, "", ""))
    assert "expected 0" in text
    assert "got 3" in text


def test_a_folder_in_which_nothing_differs_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "ses999_nothing"
    folder.mkdir()
    for variant in harness.VARIANTS:
        (folder / f"{variant}.py").write_text("print({})\n", encoding="utf-8")
    table = 'symptom = "none"\nbackends = ["postgresql"]\n[bad.postgresql]\nrows = 1\n[good.postgresql]\nrows = 1\n'
    (folder / "proof.toml").write_text(table, encoding="utf-8")
    with pytest.raises(harness.ProofError, match="nothing is proven"):
        harness.load(folder)
