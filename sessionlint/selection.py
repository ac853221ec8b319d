"""Which rules run and which of their findings a file may report, from codes, prefixes and names.

The most specific word wins; at equal length ignoring wins; words of the command line win over the configuration.
Must not import rules: it sees codes, names and which are on by default.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sessionlint.config.globs import matches
from sessionlint.config.settings import Settings

_EXACT = 100
_PREFIX = re.compile(r"[A-Z]{3}\d*\Z")


@dataclass(frozen=True)
class CommandLine:
    """What the command line says about rules, on top of the configuration."""

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()


def is_selected(code: str, name: str, default: bool, settings: Settings, command_line: CommandLine) -> bool:
    """Whether a rule runs."""
    if command_line.select:
        chosen = _weight(code, name, command_line.select)
        refused = _weight(code, name, settings.ignore)
        refused = refused if refused > chosen else -1
    else:
        chosen = _weight(code, name, settings.select) if settings.select else (0 if default else -1)
        chosen = max(chosen, _weight(code, name, settings.extend_select))
        refused = _weight(code, name, settings.ignore)
    if refused >= chosen:
        chosen = -1
    chosen = max(chosen, _weight(code, name, command_line.extend_select))
    return chosen >= 0 and _weight(code, name, command_line.ignore) < chosen


def ignored_in(file: str, code: str, name: str, settings: Settings) -> bool:
    """Whether ``per-file-ignores`` silences a rule in a file."""
    return any(_weight(code, name, words) >= 0 and matches(file, [glob]) for glob, words in settings.per_file_ignores)


def names_rule(word: str, code: str, name: str) -> bool:
    """Whether a word of a suppression comment means this rule: its code or its name."""
    return word.upper() == code or word == name


def _weight(code: str, name: str, words: Iterable[str]) -> int:
    """How closely the best of ``words`` names the rule: -1 not at all, 0 ``ALL``, then by prefix length."""
    return max((_one(code, name, word) for word in words), default=-1)


def _one(code: str, name: str, word: str) -> int:
    if word in (code, name):
        return _EXACT
    if word == "ALL":
        return 0
    return len(word) if _PREFIX.match(word) and code.startswith(word) else -1
