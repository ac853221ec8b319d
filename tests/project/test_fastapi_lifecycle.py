"""The one table of when FastAPI ends a dependency, by version."""

from __future__ import annotations

import pytest

from sessionlint.config.versions import VersionRange
from sessionlint.project.frameworks.fastapi import lifecycle


@pytest.mark.parametrize(
    ("version", "early", "late", "scopes"),
    [
        ("0.95.0", False, True, False),
        ("0.105.0", False, True, False),
        ("0.106.0", True, False, False),
        ("0.117.1", True, False, False),
        ("0.118.0", False, True, False),
        ("0.120.4", False, True, False),
        ("0.121.0", False, True, True),
        ("1.0.0", False, True, True),
    ],
)
def test_one_version_has_one_behaviour(version, early, late, scopes):
    known = lifecycle(VersionRange("fastapi", exact=version, spec=f"=={version}", source="uv.lock"))
    assert (known.early, known.late, known.scopes) == (early, late, scopes)
    assert known.text == f"FastAPI {version}"
    assert known.other == ""


@pytest.mark.parametrize(
    ("exact", "spec", "other"),
    [
        ("0.128.0", ">=0.115,<1", "also admits 0.106-0.117"),
        ("0.115.6", ">=0.115,<1", "also admits 0.118 and later"),
        (None, ">=0.115,<1", "admits 0.106-0.117 as well as later versions"),
        ("0.128.0", ">=0.128", ""),
        (None, ">=0.110,<0.116", ""),
    ],
)
def test_a_range_that_spans_both_is_said(exact, spec, other):
    said = lifecycle(VersionRange("fastapi", exact=exact, spec=spec, source="pyproject.toml")).other
    assert said.endswith(other)
    assert bool(said) == bool(other)


@pytest.mark.parametrize("version", [None, VersionRange("fastapi")])
def test_an_undeclared_version_may_do_either(version):
    known = lifecycle(version)
    assert known.early
    assert known.late
