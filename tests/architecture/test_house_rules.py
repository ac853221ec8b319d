"""The linters of this project, run as tests so that one pytest run covers all of it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def passes(*words: str) -> None:
    ran = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, f"{' '.join(words)}\n{ran.stdout}{ran.stderr}"


def tool(name: str) -> str:
    """The console script of this environment, not of the caller's PATH."""
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    assert found, f"{name} is not installed: pip install -e '.[dev]'"
    return found


def test_ruff_check():
    passes(sys.executable, "-m", "ruff", "check", "--quiet", ".")


def test_ruff_format():
    passes(sys.executable, "-m", "ruff", "format", "--check", "--quiet", ".")


def test_mypy_strict():
    passes(sys.executable, "-m", "mypy", "--strict")


def test_import_directions():
    passes(tool("lint-imports"))


def test_every_command_has_a_file():
    from sessionlint.cli.app import COMMANDS

    for name in COMMANDS:
        text = (ROOT / "sessionlint" / "cli" / f"{name}.py").read_text()
        assert re.search(r"^def command\(", text, re.MULTILINE)


def test_every_format_has_a_file():
    from sessionlint.config.settings import options

    choices = next(option.choices for option in options() if option.name == "output-format")
    for name in choices:
        module = "json_" if name == "json" else name.replace("-", "_")
        assert (ROOT / "sessionlint" / "report" / f"{module}.py").is_file()


def test_a_module_says_what_it_is_for():
    silent = []
    for path in sorted((ROOT / "sessionlint").rglob("*.py")):
        text = path.read_text().lstrip()
        if text and not text.startswith('"""'):
            silent.append(str(path.relative_to(ROOT)))
    assert not silent


@pytest.mark.parametrize("name", ["README.md", "LICENSE", "CHANGELOG.md", "Makefile", ".pre-commit-hooks.yaml"])
def test_the_house_is_complete(name):
    assert (ROOT / name).is_file()


def test_the_two_commands_of_the_readme_exist():
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    for target in re.findall(r"^    make (\w+)", readme, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
