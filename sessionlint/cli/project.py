"""From words on the command line to a request: root, paths, options. Shared by the commands that look at a project.

Must not print.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from sessionlint.cli.app import UsageProblem
from sessionlint.config.errors import did_you_mean
from sessionlint.config.load import Loaded, load, unknown_rule
from sessionlint.config.settings import Settings, options
from sessionlint.run import Request
from sessionlint.source.root import find_root
from sessionlint.verdicts import OWN_RULES


@dataclass(frozen=True)
class Target:
    """The project a command works on and its options."""

    root: str
    paths: tuple[str, ...]
    loaded: Loaded
    known: dict[str, str]


def known_rules() -> dict[str, str]:
    """Code to name of all rules, without loading any."""
    from sessionlint.rules import registry

    return {**dict(OWN_RULES), **registry.codes_and_names()}


def locate(paths: list[str] | None, config: str | None = None, isolated: bool = False) -> Target:
    """Root, report filter and configuration for paths as typed. Raises ``UsageProblem`` and ``ConfigErrors``."""
    given = paths or []
    missing = [path for path in given if not os.path.lexists(path)]
    if missing:
        raise UsageProblem("no such file or folder: " + ", ".join(f"`{path}`" for path in missing))
    if config is not None and not os.path.isfile(config):
        raise UsageProblem(f"no such configuration file: `{config}`")
    root = find_root(given[0] if given else ".")
    relative = []
    for path in given:
        inside = os.path.relpath(os.path.realpath(path), root).replace(os.sep, "/")
        if inside == ".." or inside.startswith("../"):
            raise UsageProblem(f"`{path}` lies outside the project {root}: check one project at a time")
        relative.append("" if inside == "." else inside)
    known = known_rules()
    loaded = load(Path(root), known, config=Path(config) if config else None, isolated=isolated)
    return Target(root, tuple(dict.fromkeys(relative)), loaded, known)


def locate_touched(paths: list[str] | None, config: str | None, isolated: bool) -> Target:
    """The project here, with a filter by changed files; all of it where its own options are among the changes.

    What is no Python file or is gone filters nothing in. Raises ``UsageProblem`` and ``ConfigErrors``.
    """
    if not paths:
        raise UsageProblem("--touching needs PATHS: the changed files")
    target = locate(None, config, isolated)
    inside = [os.path.relpath(os.path.realpath(path), target.root).replace(os.sep, "/") for path in paths]
    own = target.loaded.file
    if own is not None and any(os.path.realpath(path) == os.path.realpath(own) for path in paths):
        from sessionlint.config.load import options_text
        from sessionlint.source.revision import committed

        if options_text(own, committed(os.path.dirname(os.path.realpath(own)), own.name)) != options_text(own):
            inside = []
    return replace(target, paths=tuple(dict.fromkeys(inside)))


def words_of(values: list[str] | None) -> tuple[str, ...]:
    """Repeated and comma-separated values of an option."""
    return tuple(word.strip() for value in values or () for word in value.split(",") if word.strip())


def rule_words(option: str, values: list[str] | None, known: dict[str, str]) -> tuple[str, ...]:
    """The same for an option that names rules. Raises ``UsageProblem`` for an unknown one."""
    words = words_of(values)
    for word in words:
        hint = unknown_rule(word, known)
        if hint is not None:
            raise UsageProblem(f"unknown rule `{word}` in {option}; {hint or 'see `sessionlint rules`'}")
    return words


def choice(option: str, attribute: str, value: str | None) -> str | None:
    """A value of an option of the table. Raises ``UsageProblem`` for one that is not among its choices."""
    choices = next(row.choices for row in options() if row.attribute == attribute)
    if value is not None and value not in choices:
        hint = did_you_mean(value, choices) or "expected " + ", ".join(choices)
        raise UsageProblem(f"`{value}` is no value of {option}; {hint}")
    return value


def request(target: Target, **changes: object) -> Request:
    """A request with the project's options, some replaced; None means not given."""
    given = {name: value for name, value in changes.items() if value is not None}
    settings: Settings = replace(target.loaded.settings, **given)  # type: ignore[arg-type]  # checked by the caller
    return Request(target.root, settings, target.paths)
