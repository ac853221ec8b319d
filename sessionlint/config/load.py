"""Find, read and check the configuration of a project: all faults at once, each with line, column and a next step.

Must not know rules: the known codes and names are handed in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import tomli

from sessionlint.config.errors import ConfigErrors, ConfigProblem, did_you_mean
from sessionlint.config.locate import Spot, Spots, locate
from sessionlint.config.settings import Kind, Option, Settings, options
from sessionlint.config.versions import LIBRARIES, parse_target

_PREFIX = re.compile(r"[A-Z]{3}\d{0,2}\Z")


class ConfigFile(NamedTuple):
    """A configuration file that holds options; ``table`` is the path of the table inside it."""

    path: Path
    text: str
    table: tuple[str, ...]
    values: dict[str, object]


@dataclass(frozen=True)
class Loaded:
    """The options and where they came from; ``file`` is None when nothing was configured."""

    settings: Settings
    file: Path | None = None
    given: tuple[str, ...] = ()


def load(start: Path, known: Mapping[str, str], *, config: Path | None = None, isolated: bool = False) -> Loaded:
    """Options for a project whose root is ``start``.

    ``known`` maps rule codes to names. Raises ``ConfigErrors`` with every fault found.
    """
    found = None if isolated else (_open(config, explicit=True) if config else _nearest(start))
    if found is None:
        return Loaded(Settings())
    return _checked(found, known)


def _nearest(start: Path) -> ConfigFile | None:
    for folder in (start, *start.parents):
        for name in ("sessionlint.toml", "pyproject.toml"):
            path = folder / name
            if path.is_file() and (found := _open(path, explicit=False)):
                return found
        if (folder / ".git").exists():
            return None  # another repository's options are nobody's business here
    return None


def _open(path: Path, *, explicit: bool) -> ConfigFile | None:
    shown = _shown(path)
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8-sig")
        parsed: dict[str, object] = tomli.loads(text)
    except OSError as error:
        raise ConfigErrors([_unplaced(shown, f"cannot read the configuration: {error.strerror or error}")]) from error
    except UnicodeDecodeError as error:
        raise ConfigErrors([_unplaced(shown, f"the configuration is not UTF-8: {error.reason}")]) from error
    except tomli.TOMLDecodeError as error:
        raise ConfigErrors([_syntax_problem(shown, text, error)]) from error
    if path.name != "pyproject.toml":
        return ConfigFile(path, text, (), parsed)
    tool = parsed.get("tool")
    section = tool.get("sessionlint") if isinstance(tool, dict) else None
    if section is None:
        return ConfigFile(path, text, ("tool", "sessionlint"), {}) if explicit else None
    if not isinstance(section, dict):
        raise ConfigErrors([_unplaced(shown, "`tool.sessionlint` must be a table")])
    return ConfigFile(path, text, ("tool", "sessionlint"), section)


def options_text(path: Path, content: bytes | None = b"") -> str:
    """The options that a file holds, as comparable text; ``content`` replaces what the file holds now.

    ``None`` stands for a file that does not exist, and so does one that cannot be read.
    """
    try:
        raw = path.read_bytes() if content == b"" else content
        parsed = tomli.loads((raw or b"").decode("utf-8-sig"))
    except (OSError, ValueError):
        return ""
    if path.name == "pyproject.toml":
        tool = parsed.get("tool")
        return repr(tool.get("sessionlint")) if isinstance(tool, dict) else "None"
    return repr(parsed)


def _syntax_problem(shown: str, text: str, error: tomli.TOMLDecodeError) -> ConfigProblem:
    message = str(error)
    place = re.search(r"\(at line (\d+), column (\d+)\)", message)
    lines = text.splitlines() or [""]
    line, column = (int(place[1]), int(place[2])) if place else (len(lines), 1)
    line = min(line, len(lines))
    return ConfigProblem(shown, line, column, 1, f"invalid TOML: {message.split(' (at ')[0]}", "", lines[line - 1])


def _unplaced(shown: str, message: str) -> ConfigProblem:
    return ConfigProblem(shown, 0, 0, 0, message, "", "")


def _shown(path: Path) -> str:
    try:
        return path.resolve().relative_to(Path.cwd().resolve()).as_posix()
    except (ValueError, OSError):
        return str(path)


class _Complaints:
    """Collects faults of one file and knows where its keys and values stand."""

    def __init__(self, source: ConfigFile) -> None:
        self.shown = _shown(source.path)
        self.lines = source.text.splitlines() or [""]
        self.spots: Spots = locate(source.text.replace("\r\n", "\n"))
        self.problems: list[ConfigProblem] = []

    def key(self, path: tuple[str | int, ...], message: str, hint: str = "") -> None:
        self._add(self.spots.keys.get(path), message, hint)

    def value(self, path: tuple[str | int, ...], message: str, hint: str = "") -> None:
        self._add(self.spots.values.get(path) or self.spots.keys.get(path), message, hint)

    def _add(self, spot: Spot | None, message: str, hint: str) -> None:
        if spot is None or spot.line > len(self.lines):
            self.problems.append(ConfigProblem(self.shown, 0, 0, 0, message, hint, ""))
            return
        line = self.lines[spot.line - 1]
        self.problems.append(ConfigProblem(self.shown, spot.line, spot.column, spot.length, message, hint, line))


def _checked(source: ConfigFile, known: Mapping[str, str]) -> Loaded:
    complaints = _Complaints(source)
    table = {option.name: option for option in options()}
    chosen: dict[str, object] = {}
    title = "[tool.sessionlint]" if source.table else "sessionlint.toml"
    for name, value in source.values.items():
        option = table.get(name)
        path = (*source.table, name)
        if option is None:
            dashed = name.replace("_", "-")
            hint = f"did you mean `{dashed}`?" if dashed in table else did_you_mean(name, table)
            complaints.key(path, f"unknown option `{name}` in {title}", hint or "see `sessionlint show config`")
            continue
        converted = _CONVERTERS[option.kind](option, value, path, complaints, known)
        if converted is not None:
            chosen[option.attribute] = converted
    if complaints.problems:
        raise ConfigErrors(sorted(complaints.problems, key=lambda p: (p.line, p.column)))
    settings = replace(Settings(), **chosen)  # type: ignore[arg-type]  # each converter checked its value
    return Loaded(settings, source.path, tuple(source.values))


def unknown_rule(word: str, known: Mapping[str, str]) -> str | None:
    """None when ``word`` is a code, prefix or name; else the hint to print (may be empty)."""
    if word == "ALL" or word in known or word in known.values():
        return None
    if _PREFIX.match(word) and any(code.startswith(word) for code in known):
        return None
    return did_you_mean(word, [*known, *known.values(), "ALL"])


_Where = tuple[str | int, ...]
_Converter = Callable[[Option, object, _Where, _Complaints, Mapping[str, str]], object]


def _wrong_type(option: Option, path: _Where, complaints: _Complaints) -> None:
    wanted = " or ".join(f'"{word}"' for word in option.choices) or option.kind.value
    complaints.value(path, f"`{option.name}` must be {wanted}", f"expected {wanted}")


def _words(
    option: Option, value: object, path: _Where, complaints: _Complaints, known: Mapping[str, str]
) -> tuple[str, ...] | None:
    if not isinstance(value, list):
        _wrong_type(option, path, complaints)
        return None
    good = True
    for index, word in enumerate(value):
        if not isinstance(word, str) or not word:
            complaints.value((*path, index), f"`{option.name}` must be {option.kind.value}", "expected a string")
            good = False
    return tuple(value) if good else None


def _codes(
    option: Option, value: object, path: _Where, complaints: _Complaints, known: Mapping[str, str]
) -> tuple[str, ...] | None:
    words = _words(option, value, path, complaints, known)
    for index, word in enumerate(words or ()):
        hint = unknown_rule(word, known)
        if hint is not None:
            complaints.value(
                (*path, index), f"unknown rule `{word}` in `{option.name}`", hint or "see sessionlint rules"
            )
    return words


def _codes_by_glob(
    option: Option, value: object, path: _Where, complaints: _Complaints, known: Mapping[str, str]
) -> object:
    if not isinstance(value, dict):
        _wrong_type(option, path, complaints)
        return None
    rows = ((glob, _codes(option, codes, (*path, glob), complaints, known)) for glob, codes in value.items())
    return tuple((glob, codes) for glob, codes in rows if codes is not None)


def _versions(option: Option, value: object, path: _Where, complaints: _Complaints, known: Mapping[str, str]) -> object:
    if not isinstance(value, dict):
        _wrong_type(option, path, complaints)
        return None
    for library, version in value.items():
        if library not in LIBRARIES:
            hint = did_you_mean(library, LIBRARIES) or "expected fastapi or sqlalchemy"
            complaints.key((*path, library), f"unknown library `{library}` in `target`", hint)
        elif not isinstance(version, str) or parse_target(library, version) is None:
            complaints.value((*path, library), f"`{version}` is no version", 'expected "0.128.0" or ">=0.115,<1"')
    return tuple(value.items())


def _flag(option: Option, value: object, path: _Where, complaints: _Complaints, known: Mapping[str, str]) -> object:
    if isinstance(value, bool):
        return value
    _wrong_type(option, path, complaints)
    return None


def _choice(option: Option, value: object, path: _Where, complaints: _Complaints, known: Mapping[str, str]) -> object:
    if not isinstance(value, str):
        _wrong_type(option, path, complaints)
        return None
    if value not in option.choices:
        hint = did_you_mean(value, option.choices) or "expected " + ", ".join(option.choices)
        complaints.value(path, f"`{value}` is no value of `{option.name}`", hint)
        return None
    return value


def _count(option: Option, value: object, path: _Where, complaints: _Complaints, known: Mapping[str, str]) -> object:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    _wrong_type(option, path, complaints)
    return None


def _path(option: Option, value: object, path: _Where, complaints: _Complaints, known: Mapping[str, str]) -> object:
    if isinstance(value, str) and value:
        return value
    _wrong_type(option, path, complaints)
    return None


_CONVERTERS: dict[Kind, _Converter] = {
    Kind.CODES: _codes,
    Kind.GLOBS: _words,
    Kind.NAMES: _words,
    Kind.CODES_BY_GLOB: _codes_by_glob,
    Kind.VERSIONS: _versions,
    Kind.FLAG: _flag,
    Kind.CHOICE: _choice,
    Kind.COUNT: _count,
    Kind.PATH: _path,
}
