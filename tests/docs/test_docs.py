"""The documentation says what the code does: generated pages are fresh, hand-written ones name what exists."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sessionlint import cli as exit_codes
from sessionlint.cli.app import COMMANDS, described
from sessionlint.config.settings import options
from sessionlint.rules import registry
from sessionlint.testing import check_rule
from tests.adoption.test_touching import DB, MODELS, ROUTES, SERVICE, STORE

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
WRITTEN = [ROOT / "README.md", *sorted(path for path in DOCS.glob("*.md"))]
EACH_PAGE = pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.name)


def codes_in(text: str) -> set[str]:
    return set(re.findall(r"SES\d{3}", text))


def test_generated_pages_are_up_to_date():
    ran = subprocess.run([sys.executable, "tools/make_docs.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, f"run `make docs`\n{ran.stderr}"


def test_registry_pages_readme_and_changelog_name_the_same_rules():
    codes = set(registry.own_codes_and_names())
    pages = {path.name[:6].upper() for path in (DOCS / "rules").glob("ses*.md")}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme[readme.index("<!-- generated: rules -->") : readme.index("<!-- end -->")]
    assert pages == codes, "run `make docs`"
    assert codes_in((DOCS / "rules" / "index.md").read_text(encoding="utf-8")) == codes, "run `make docs`"
    assert codes_in(table) == codes, "run `make docs`"
    assert codes_in((ROOT / "CHANGELOG.md").read_text(encoding="utf-8")) >= codes, "run `make docs`"


def test_every_rule_page_is_what_explain_prints(cli):
    for code, name in registry.own_codes_and_names().items():
        text = (DOCS / "rules" / f"{code.lower()}-{name}.md").read_text(encoding="utf-8")
        assert text.endswith(cli("explain", code).stdout), f"{code}: run `make docs`"


def test_the_site_builds_without_warnings(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={"PATH": "", "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)},
    )
    assert ran.returncode == 0, ran.stderr
    assert "WARNING" not in ran.stderr and "ERROR" not in ran.stderr, ran.stderr
    for page in ("index.html", "configuration.html", "rules/index.html", "rules/ses201-commit-in-repository.html"):
        assert (tmp_path / "site" / page).is_file()


@EACH_PAGE
def test_commands_and_options_that_pages_name_exist(path):
    """``sessionlint WORD`` names a command or a path; every ``--option`` belongs to a command of ours."""
    text = path.read_text(encoding="utf-8")
    known = {word for name in COMMANDS for words, _text in described(name).rows for word in words}
    known |= set(re.findall(r"--sessionlint-[a-z-]+", _flake8_source()))
    foreign = {"--jobs", "--rm", "--strict", "--check", "--depth", "--help", "--all"}
    for line in re.findall(r"sessionlint [^`\n|>]*", text):
        for option in re.findall(r"(?<!\S)--[a-z][a-z-]+", line):
            assert option in known | foreign, f"{path.name}: {option} in {line!r}"
    for word in re.findall(r"(?:^    |`)sessionlint ([a-z]+)\b(?![/.])", text, re.MULTILINE):
        assert word in COMMANDS, f"{path.name}: `sessionlint {word}` is no command"


def _flake8_source() -> str:
    return (ROOT / "sessionlint" / "integrations" / "flake8.py").read_text(encoding="utf-8")


@EACH_PAGE
def test_options_of_the_configuration_that_pages_name_exist(path):
    names = {option.name for option in options()}
    text = path.read_text(encoding="utf-8")
    for section in re.findall(r"\[tool\.sessionlint\]\n((?:.+\n)+)", text):
        for name in re.findall(r"^\s*([a-z-]+) = ", section, re.MULTILINE):
            assert name in names, f"{path.name}: {name}"


def test_exit_codes_are_documented():
    codes = {
        value
        for name, value in vars(exit_codes).items()
        if name in ("CLEAN", "FINDINGS", "USAGE", "INTERNAL", "INTERRUPTED")
    }
    table = (DOCS / "commands.md").read_text(encoding="utf-8").split("## Exit codes")[1].split("\n## ")[0]
    assert {int(number) for number in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == codes
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    line = readme[readme.index("Exit codes:") :].split("\n\n")[0]
    assert {int(number) for number in re.findall(r"\b(\d+) [a-z]", line)} == codes - {exit_codes.INTERRUPTED}


def test_the_interface_is_built_and_documented():
    """The promised commands and options of `check`, by name."""
    promised = {"check", "fix", "baseline", "explain", "rules", "show", "trace", "init", "completion"}
    assert promised <= set(COMMANDS)
    page = (DOCS / "commands.md").read_text(encoding="utf-8")
    for name in COMMANDS:
        assert f"## `sessionlint {name}`" in page
    for option in ("--baseline", "--accept-new", "--prune", "--add-ignore", "--diff-base", "--statistics", "--fail-on"):
        assert f"`{option}`" in page
    assert all(text for name in COMMANDS for _words, text in described(name).rows), "every option says what it does"


def test_the_finding_on_the_first_page_is_a_real_one(cli, write):
    main = ROUTES + "\n\nif __name__ == '__main__':\n    import asyncio\n\n    asyncio.run(main())\n"
    files = {"models": MODELS, "service": SERVICE, "store": STORE, "main": main, "db": DB}
    write({"pyproject.toml": "", **{f"app/{name}.py": text for name, text in files.items()}})
    shown = cli("check", "--select", "SES301").stdout
    page = (DOCS / "index.md").read_text(encoding="utf-8")
    block = "".join(f"    {line}\n" if line else "\n" for line in shown.splitlines())
    assert block in page, f"docs/index.md should show\n{block}"


def _blocks(name: str) -> dict[str, str]:
    """Title to text of the titled code blocks of a page."""
    text = (DOCS / name).read_text(encoding="utf-8")
    return dict(re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```', text, re.MULTILINE | re.DOTALL))


def test_the_worked_example_of_an_own_rule_works(tmp_path, monkeypatch):
    blocks = _blocks("own-rules.md")
    for title, text in blocks.items():
        path = tmp_path / title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "acme_rules" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    try:
        check_rule(importlib.import_module("acme_rules.acm101_commit_in_job"))
        spec = importlib.util.spec_from_file_location("acme_test", tmp_path / "tests" / "test_rules.py")
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.test_commit_in_job()
    finally:
        for name in [name for name in sys.modules if name.startswith("acme_rules")]:
            del sys.modules[name]


@pytest.fixture(autouse=True)
def quiet():
    logging.disable(logging.INFO)
    yield
    logging.disable(logging.NOTSET)
