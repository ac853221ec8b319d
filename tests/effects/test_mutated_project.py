"""A real project with one file damaged: the analysis never raises, and names only places that exist."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings

from tests.effects.pipeline import answers, sound
from tests.facts.mutated_files import FILES, MUTATED


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(mutated=MUTATED)
def test_one_damaged_file_alone(mutated: tuple[str, str]):
    name, text = mutated
    sound({name: text})


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(mutated=MUTATED)
def test_one_damaged_file_among_the_others(mutated: tuple[str, str]):
    name, text = mutated
    answers({**FILES, name: text}, seconds=20)


def test_the_undamaged_project():
    found = sound(FILES, seconds=20)
    assert found.findings
    assert [problem.path for problem in found.unparsed] == ["app/legacy/broken.py"]
