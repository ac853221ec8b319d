"""Rules of other packages: found by entry point, selected, suppressed and tested like those of this tool."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sessionlint.testing import check_rule
from tests.adoption.conftest import PROJECT, REPOSITORY

RULE = '''\
"""A repository has a method called save.

## What it does

Stands for a house rule.
"""

from collections.abc import Iterator

from sessionlint.effects import Analysis
from sessionlint.effects.observations import Committed
from sessionlint.findings import Severity
from sessionlint.rules.base import Draft

SEVERITY = Severity.WARNING
DEFAULT = True
BAD = ("""
# --- app/jobs.py ---
from sqlalchemy.orm import Session


def job(db: Session) -> None:
    db.commit()  # ACM101
""",)
GOOD = ("""
# --- app/jobs.py ---
from sqlalchemy.orm import Session


def job(db: Session) -> None:
    db.flush()
""",)


def check(analysis: Analysis) -> Iterator[Draft]:
    for function, seen in analysis.observations(Committed):
        yield Draft(function, seen.loc, f"`{function.qualname}` commits", "do not")
'''


@pytest.fixture
def package(write):
    """An installed package with one rule, as pip would lay it out, beside a project."""
    write(PROJECT)
    installed = "site-packages/acme_rules-1.0.dist-info"

    def make(rule: str = RULE, module: str = "acm101_no_commit_at_all") -> None:
        write(
            {
                "site-packages/acme_rules/__init__.py": "",
                f"site-packages/acme_rules/{module}.py": rule,
                f"{installed}/METADATA": "Metadata-Version: 2.1\nName: acme-rules\nVersion: 1.0\n",
                f"{installed}/entry_points.txt": f"[sessionlint.rules]\nanything = acme_rules.{module}\n",
            }
        )

    return make


def run(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(tmp_path / "site-packages"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    ran = subprocess.run(
        [sys.executable, "-m", "sessionlint", *words], cwd=tmp_path, capture_output=True, text=True, env=environment
    )
    assert "Traceback" not in ran.stderr
    return ran


def test_an_installed_rule_runs_like_ours(package, tmp_path, write):
    package()
    ran = run(tmp_path, "check", "--output-format", "concise")
    assert "ACM101 `UserRepository.save` commits" in ran.stdout
    assert "ACM101  no-commit-at-all" in run(tmp_path, "rules").stdout
    assert "Stands for a house rule." in run(tmp_path, "explain", "ACM101").stdout
    assert "ACM101" not in run(tmp_path, "check", "--ignore", "ACM").stdout
    assert "SES201" not in run(tmp_path, "check", "--select", "ACM101").stdout
    write({"app/users.py": REPOSITORY.replace("commit()", "commit()  # noqa: ACM101, SES201")})
    assert run(tmp_path, "check").returncode == 0
    write({"app/users.py": REPOSITORY.replace("commit()", "flush()  # noqa: ACM101")})
    assert "unused suppression of `ACM101`" in run(tmp_path, "check").stdout


def test_a_stored_report_knows_that_a_rule_was_installed(package, tmp_path, write):
    write({"site-packages/other.py": "", ".sessionlint_cache/x": ""})
    for path in [tmp_path, *tmp_path.rglob("*")]:
        os.utime(path, ns=(1_600_000_000_123_456_789, 1_600_000_000_123_456_789))
    assert "ACM101" not in run(tmp_path, "check").stdout
    assert list((tmp_path / ".sessionlint_cache").glob("report-*")), "the report is stored, or this test shows nothing"
    package()
    assert "ACM101" in run(tmp_path, "check").stdout


@pytest.mark.parametrize(
    ("rule", "module", "message"),
    [
        ("import nowhere_at_all\n", "acm101_broken", "cannot be loaded: ModuleNotFoundError"),
        ("SEVERITY = DEFAULT = 1\n", "acm101_half", "lacks BAD, GOOD, check"),
        (RULE, "my_rule", "must be called like acm101_what_is_wrong"),
        (RULE, "ses999_mine", "uses the prefix SES"),
    ],
)
def test_a_rule_that_cannot_run_ends_the_run(package, tmp_path, rule, module, message):
    package(rule, module)
    ran = run(tmp_path, "check")
    assert ran.returncode == 2
    assert message in ran.stderr


@pytest.fixture
def module(tmp_path, monkeypatch):
    def make(text: str):
        (tmp_path / "acm101_no_commit_at_all.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        sys.modules.pop("acm101_no_commit_at_all", None)
        importlib.invalidate_caches()
        return importlib.import_module("acm101_no_commit_at_all")

    yield make
    sys.modules.pop("acm101_no_commit_at_all", None)


def test_check_rule_holds_a_rule_to_its_examples(module):
    check_rule(module(RULE))


def test_check_rule_shows_what_is_wrong(module):
    with pytest.raises(AssertionError) as wrong:
        check_rule(module(RULE.replace("db.flush()\n", "db.commit()\n")))
    assert "ACM101 GOOD example 1" in str(wrong.value)
    assert "x         app/jobs.py:5  db.commit()" in str(wrong.value)


def test_check_rule_needs_examples(module):
    with pytest.raises(AssertionError, match="needs BAD and GOOD"):
        check_rule(module(RULE.replace("GOOD = (", "GOOD = () and (")))
