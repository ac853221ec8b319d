"""All rules, found by file name: ``ses301_write_without_commit.py`` is code SES301, name write-without-commit.

There is no second list. A rule file holds its documentation (module docstring), ``SEVERITY``, ``DEFAULT``, ``BAD`` and
``GOOD`` examples and ``check``; optionally ``YIELDS_TO`` (codes that say more about the same line, or about the same
function where prefixed with ``function:``) and ``WHEN_MANY`` (what to do first about hundreds of findings).
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from sessionlint.findings import Finding, Severity
from sessionlint.project import shipped
from sessionlint.rules.installed import code_and_name, installed, load

if TYPE_CHECKING:
    from sessionlint.effects import Analysis
from sessionlint.rules.base import Draft

_FILE = re.compile(r"(ses\d{3})_(\w+)\.py$")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. ``check`` yields complete findings, without fingerprints."""

    code: str
    name: str
    severity: Severity
    default: bool
    doc: str
    summary: str
    bad: tuple[str, ...]
    good: tuple[str, ...]
    yields_to: tuple[str, ...]
    check: Callable[[Analysis], Iterator[Finding]]
    when_many: str = ""


@lru_cache(maxsize=1)
def codes_and_names() -> dict[str, str]:
    """Code to name of every rule, from the names of files and entry points alone. Raises ``ConfigErrors``."""
    return {**own_codes_and_names(), **{code: code_and_name(point.module)[1] for code, point in installed().items()}}


@lru_cache(maxsize=1)
def own_codes_and_names() -> dict[str, str]:
    """Code to name of the rules of this tool, from the file names alone."""
    found = {}
    for path in sorted(Path(__file__).parent.iterdir()):
        match = _FILE.match(path.name)
        if match:
            found[match[1].upper()] = match[2].replace("_", "-")
    return found


@lru_cache(maxsize=1)
def all_rules() -> tuple[Rule, ...]:
    """Every rule, by code. Raises ``ConfigErrors`` where an installed rule cannot be loaded."""
    own = tuple(rule_of(_own_module(code, name)) for code, name in own_codes_and_names().items())
    return own + tuple(rule_of(load(point.module)) for point in installed().values())


def installed_files() -> list[str]:
    """The files of the loaded rules of other packages."""
    modules = (sys.modules.get(point.module) for point in installed().values())
    return [module.__file__ for module in modules if module is not None and module.__file__]


def _own_module(code: str, name: str) -> ModuleType:
    return importlib.import_module(f"sessionlint.rules.{code.lower()}_{name.replace('-', '_')}")


def rule_of(module: ModuleType) -> Rule:
    """The rule that a module describes; the module's name gives code and name."""
    file = module.__name__.rpartition(".")[2]
    code, name = file[:6].upper(), file[7:].replace("_", "-")
    doc = module.__doc__ or ""
    return Rule(
        code,
        name,
        module.SEVERITY,
        module.DEFAULT,
        doc,
        doc.strip().split("\n", 1)[0],
        module.BAD,
        module.GOOD,
        getattr(module, "YIELDS_TO", ()),
        _checker(module, code, name),
        getattr(module, "WHEN_MANY", ""),
    )


def _checker(module: ModuleType, code: str, name: str) -> Callable[[Analysis], Iterator[Finding]]:
    def check(analysis: Analysis) -> Iterator[Finding]:
        for draft in module.check(analysis):
            yield _finish(draft, code, name, module.SEVERITY)

    return check


def _finish(draft: Draft, code: str, name: str, severity: Severity) -> Finding:
    return Finding(
        code,
        name,
        draft.severity or severity,
        draft.message,
        draft.place,
        draft.function.qualname,
        draft.label,
        draft.help,
        tuple(step for step in draft.trace if step.place.file != shipped.PATH),  # no file of the project
        draft.fix,
    )


def more_specific(findings: Iterable[Finding]) -> list[Finding]:
    """Of findings about one line (or one function, where a rule says so), keep those of the more specific rules."""
    kept = list(findings)
    yields = {rule.code: rule.yields_to for rule in all_rules() if rule.yields_to}
    lines = {(f.code, f.place.file, f.place.line) for f in kept}
    functions = {(f.code, f.place.file, f.function) for f in kept}

    def gives_way(finding: Finding) -> bool:
        for other in yields.get(finding.code, ()):
            scope, _, code = other.rpartition(":")
            if scope == "function":
                if (code, finding.place.file, finding.function) in functions:
                    return True
            elif (code, finding.place.file, finding.place.line) in lines:
                return True
        return False

    return [f for f in kept if not gives_way(f)]
