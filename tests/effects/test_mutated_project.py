"""A real project, or the example of a rule, with one file damaged: the analysis never raises and ends soon."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sessionlint.rules import registry
from sessionlint.testing import split_example
from tests.effects.pipeline import answers, sound
from tests.facts.mutated_files import FILES, MUTATED, mutated

_EXAMPLES = [split_example(text) for rule in registry.all_rules() for text in (*rule.bad, *rule.good)]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(files=st.sampled_from(_EXAMPLES).flatmap(mutated))
def test_a_damaged_example_of_a_rule(files: dict[str, str]):
    sound(files)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(damaged=MUTATED)
def test_one_damaged_file_alone(damaged: tuple[str, str]):
    name, text = damaged
    sound({name: text})


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(damaged=MUTATED)
def test_one_damaged_file_among_the_others(damaged: tuple[str, str]):
    name, text = damaged
    answers({**FILES, name: text}, seconds=20)


def test_the_undamaged_project():
    found = sound(FILES, seconds=20)
    assert found.findings
    assert [problem.path for problem in found.unparsed] == ["app/legacy/broken.py"]
