"""Projects for tests of repairs: in memory through the real pipeline, or on disk through the real command."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sessionlint import effects
from sessionlint.config.settings import AnalysisSettings
from sessionlint.config.versions import VersionRange, resolve
from sessionlint.extraction import with_deep_stack
from sessionlint.facts import FileFacts, extract
from sessionlint.findings import Finding
from sessionlint.fixes.engine import Means, Outcome, repair
from sessionlint.fixes.program import Program
from sessionlint.rules import registry
from sessionlint.verdicts import OWN_RULES, judge

_PART = re.compile(r"# (---|===|\+\+\+) (\S+) (?:---|===|\+\+\+)")
_OPTION = re.compile(r"# (\w+): (.*)")


@dataclass
class Case:
    """One file of ``repairs/``: options, the project before and after, the program that checks it."""

    options: dict[str, list[str]] = field(default_factory=dict)
    before: dict[str, str] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)
    check: str = ""

    @property
    def unsafe(self) -> bool:
        return self.options.get("unsafe") == ["yes"]

    @property
    def repairs(self) -> list[str]:
        return [code.strip() for line in self.options.get("repairs", []) for code in line.split(",")]


def read_case(text: str) -> Case:
    """Parse the format that README.md describes."""
    case = Case()
    parts: dict[tuple[str, str], list[str]] = {}
    lines: list[str] | None = None
    for line in text.splitlines():
        header = _PART.fullmatch(line)
        if header:
            lines = parts.setdefault((header[1], header[2]), [])
        elif lines is not None:
            lines.append(line)
        elif option := _OPTION.fullmatch(line):
            case.options.setdefault(option[1], []).append(option[2])
    for (kind, file), content in parts.items():
        body = "\n".join(content).strip("\n") + "\n"
        if kind == "---":
            case.before[file] = body
        elif kind == "===":
            case.after[file] = body
        else:
            case.check = body
    return case


def programmed(sources: Mapping[str, bytes], settings: AnalysisSettings | None = None) -> Program:
    """The analysed state of some sources, every rule on."""
    python = {file: source for file, source in sources.items() if file.endswith(".py")}
    facts = [one for file, source in python.items() if isinstance(one := extract(file, source), FileFacts)]
    analysis = effects.analyse(facts, settings or AnalysisSettings(versions=_versions(sources)))
    raw = [finding for rule in registry.all_rules() if rule.default for finding in rule.check(analysis)]
    known = {**dict(OWN_RULES), **registry.codes_and_names()}
    verdicts = judge(
        registry.more_specific(raw), sources, known, frozenset(known), lambda f: "tests/" not in f.place.file
    )
    return Program(sources, analysis, verdicts.findings)


def _versions(sources: Mapping[str, bytes]) -> dict[str, VersionRange]:
    """What the project's ``pyproject.toml`` says about its libraries."""
    if "pyproject.toml" not in sources:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pyproject.toml").write_bytes(sources["pyproject.toml"])
        return resolve(Path(folder))


def fixed(files: Mapping[str, str | bytes], *, unsafe: bool = True, only: str = "") -> Outcome:
    """Repair sources in memory."""
    sources = {file: text.encode() if isinstance(text, str) else text for file, text in files.items()}

    def wanted(finding: Finding) -> bool:
        return not only or finding.code in only.split(",")

    return with_deep_stack(lambda: repair(programmed(sources), Means(programmed, wanted, unsafe)))


def write(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """The files on disk."""
    for file, text in files.items():
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    return root


def sessionlint(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command as a user runs it."""
    command = [sys.executable, "-m", "sessionlint", *words]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=600, check=False)


def run_check(root: Path, files: Mapping[str, str | bytes], check: str) -> subprocess.CompletedProcess[str]:
    """Run a checking program against a project in an empty folder."""
    write(root, files)
    (root / "check.py").write_text(check)
    return subprocess.run(
        [sys.executable, "check.py"], cwd=root, capture_output=True, text=True, timeout=60, check=False
    )
