"""The flake8 plugin: findings of the whole project, handed out file by file.

The project is analysed once, when flake8 has read its options: forked workers inherit the result, spawned ones make
it again from cached facts. ``# noqa`` is left to flake8. Source: flake8's documentation, "Writing Plugins for Flake8".
"""

from __future__ import annotations

import argparse
import ast
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from sessionlint.version import VERSION

if TYPE_CHECKING:
    from flake8.options.manager import OptionManager

    from sessionlint.run import Request


class _Row(NamedTuple):
    line: int
    column: int
    text: str


@dataclass(frozen=True)
class _Options:
    """What the command line or flake8's configuration says to this plugin."""

    config: str = ""
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    isolated: bool = False
    no_cache: bool = False


class Plugin:
    """One instance per file, made by flake8; the class holds what all of them share."""

    name = "sessionlint"
    version = VERSION
    _options: ClassVar[_Options] = _Options()
    _found: ClassVar[dict[str, dict[str, list[_Row]]]] = {}

    def __init__(self, tree: ast.AST, filename: str, lines: Sequence[str]) -> None:
        self._filename = filename
        self._lines = lines

    @classmethod
    def add_options(cls, manager: OptionManager) -> None:
        """Declare the options; each can stand in flake8's configuration too."""
        add = manager.add_option
        add("--sessionlint-config", default="", parse_from_config=True, help="Configuration file of sessionlint.")
        add(
            "--sessionlint-select",
            default="",
            parse_from_config=True,
            comma_separated_list=True,
            help="Codes, prefixes or names to run instead of sessionlint's default.",
        )
        add(
            "--sessionlint-ignore",
            default="",
            parse_from_config=True,
            comma_separated_list=True,
            help="Codes, prefixes or names sessionlint does not run.",
        )
        add(
            "--sessionlint-isolated",
            action="store_true",
            default=False,
            parse_from_config=True,
            help="Use no configuration of sessionlint.",
        )
        add(
            "--sessionlint-no-cache",
            action="store_true",
            default=False,
            parse_from_config=True,
            help="Neither read nor write sessionlint's cache.",
        )

    @classmethod
    def parse_options(cls, options: argparse.Namespace) -> None:
        """Keep the options and analyse the projects around the named paths."""
        from sessionlint.source.root import find_root

        cls._options = _Options(
            options.sessionlint_config,
            tuple(options.sessionlint_select),
            tuple(options.sessionlint_ignore),
            options.sessionlint_isolated,
            options.sessionlint_no_cache,
        )
        cls._found = {}
        gc.disable()  # the analysis makes many objects that live long, and flake8 has filled the heap already
        try:
            for path in options.filenames or ["."]:
                cls._index(find_root("." if path == "-" else path))
        finally:
            gc.freeze()  # nor do workers look through what they inherit
            gc.enable()

    def run(self) -> Iterator[tuple[int, int, str, type[Plugin]]]:
        """(line, 0-based column, text, type) of each finding in the file."""
        for row in self._rows():
            yield row.line, row.column - 1, row.text, type(self)

    def _rows(self) -> list[_Row]:
        from sessionlint.source.root import find_root

        path = os.path.realpath(self._filename)
        root = find_root(path)
        file = os.path.relpath(path, root).replace(os.sep, "/")
        text = "".join(self._lines)
        if text == _on_disk(path):
            return self._index(root).get(file, [])
        name = file if file.endswith(".py") else f"{file}.py"
        return _check(_request(root, self._options), {name: text}).get(name, [])

    @classmethod
    def _index(cls, root: str) -> dict[str, list[_Row]]:
        if root not in cls._found:
            cls._found[root] = _check(_request(root, cls._options), {})
        return cls._found[root]


def _on_disk(path: str) -> str | None:
    """A file's text as flake8 reads it; None when there is none."""
    from sessionlint.source.read import ReadProblem, decode

    try:
        with open(path, "rb") as stream:
            text = decode(path, stream.read())
    except OSError:
        return None
    return None if isinstance(text, ReadProblem) else text.replace("\r\n", "\n").replace("\r", "\n")


def _request(root: str, options: _Options) -> Request:
    """Raises flake8's ``ExecutionError``, which it prints without a traceback."""
    from flake8.exceptions import ExecutionError

    from sessionlint.config.errors import ConfigErrors
    from sessionlint.config.load import load, unknown_rule
    from sessionlint.rules import registry
    from sessionlint.run import Request
    from sessionlint.selection import CommandLine
    from sessionlint.verdicts import OWN_RULES

    known = {**dict(OWN_RULES), **registry.codes_and_names()}
    for name, words in (("select", options.select), ("ignore", options.ignore)):
        for word in words:
            hint = unknown_rule(word, known)
            if hint is not None:
                hint = hint or "see `sessionlint rules`"
                raise ExecutionError(f"unknown rule `{word}` in --sessionlint-{name}; {hint}")
    config = Path(options.config) if options.config else None
    if config is not None and not config.is_file():
        raise ExecutionError(f"no such configuration file: `{config}` (--sessionlint-config)")
    try:
        loaded = load(Path(root), known, config=config, isolated=options.isolated)
    except ConfigErrors as errors:
        raise ExecutionError(str(errors)) from errors
    return Request(
        root,
        loaded.settings,
        command_line=CommandLine(options.select, options.ignore),
        use_cache=not options.no_cache,
        honour_noqa=False,
        ask_fixers=False,
    )


def _check(request: Request, buffers: dict[str, str]) -> dict[str, list[_Row]]:
    """Findings by file; ``buffers`` replace what is on disk. What kept a rule from running goes to stderr."""
    from dataclasses import replace

    from sessionlint.run import NothingToCheck, check

    try:
        outcome = check(replace(request, buffers={name: _encoded(text) for name, text in buffers.items()}))
    except NothingToCheck:
        return {}
    for problem in outcome.report.problems:
        where = f"{problem.place.file}: " if problem.place.file else ""
        sys.stderr.write(f"sessionlint: warning: {where}{problem.message}\n")
    found: dict[str, list[_Row]] = {}
    for one in outcome.report.findings:
        text = " ".join(one.message.split())
        found.setdefault(one.place.file, []).append(_Row(one.place.line, one.place.column, f"{one.code} {text}"))
    return found


def _encoded(text: str) -> bytes:
    """A buffer as a file would hold it: with the encoding that its own coding comment names."""
    from sessionlint.source.read import declared_encoding

    plain = text.encode("utf-8", "surrogatepass")
    try:
        return text.encode(declared_encoding(plain))
    except (LookupError, ValueError):
        return plain
