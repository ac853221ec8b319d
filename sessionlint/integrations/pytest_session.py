"""One pytest run under the sanitizer: options, which test met what, the to-do file, the closing report.

Loaded only when ``--sessionlint-sanitize`` is given. Options come from ``[tool.sessionlint]``, so that both halves of
the tool judge by the same words; suppression comments count at run time too.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sessionlint.config.errors import ConfigErrors
from sessionlint.config.globs import matches
from sessionlint.config.load import load
from sessionlint.config.settings import Settings
from sessionlint.source.roles import is_test
from sessionlint.source.suppressions import Suppression, suppressions

try:
    from sessionlint.runtime.sanitizer import todo
    from sessionlint.runtime.sanitizer.__main__ import as_json
    from sessionlint.runtime.sanitizer.options import SanitizerOptions
    from sessionlint.runtime.sanitizer.sanitizer import Sanitizer
    from sessionlint.runtime.sanitizer.violations import NAMES, Spot, Step, Violation
except ImportError as missing:
    raise pytest.UsageError(
        f"--sessionlint-sanitize needs `{missing.name}`: pip install 'sessionlint[runtime]'"
    ) from missing

_WORKER_KEY = "sessionlint_violations"
_TOO_LONG = "SES590"


class SanitizedRun:
    """The plugin object that is registered for the time of the run."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        known = config.known_args_namespace
        self._fails = known.sessionlint_sanitize == "fail"
        self._root = Path(config.rootpath)
        self._settings = _settings(self._root)
        if known.sessionlint_update_todo and not known.sessionlint_todo:
            raise pytest.UsageError("--sessionlint-update-todo needs --sessionlint-todo=FILE")
        try:
            self._todo = todo.read(self._root / known.sessionlint_todo) if known.sessionlint_todo else None
        except todo.TodoProblem as problem:
            raise pytest.UsageError(str(problem)) from problem
        self._updates: bool = known.sessionlint_update_todo
        self._json: str | None = known.sessionlint_json
        self._failed: set[str] = set()
        self._all: dict[tuple[str, Spot], Violation] = {}
        self._deselected = False
        self.sanitizer = Sanitizer(_options(self._settings, self._root, known))
        self.sanitizer.start()

    # ---- one test --------------------------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, Any, Any]:
        allowed = {code for mark in item.iter_markers("sessionlint_allow") for code in mark.args}
        unknown = sorted(str(code) for code in allowed if code not in NAMES)
        if unknown:
            raise pytest.UsageError(f"{item.nodeid}: sessionlint_allow names unknown codes: {', '.join(unknown)}")
        if item.get_closest_marker("allow_long_transaction") is not None:
            allowed.add(_TOO_LONG)
        self.sanitizer.where = item.nodeid
        self.sanitizer.ignored = frozenset(allowed)
        return (yield)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        result = yield
        self._judge(item)
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, Any, Any]:
        try:
            result = yield
            self._judge(item)
            return result
        finally:
            self.sanitizer.where = ""
            self.sanitizer.ignored = frozenset()

    def _judge(self, item: pytest.Item) -> None:
        new = [one for one in self.sanitizer.take_hits() if self._is_new(one)]
        if new and self._fails and not self._updates:
            self._failed.add(item.nodeid)
            pytest.fail("the sanitizer met:\n" + "\n".join(one.render() for one in new), pytrace=False)

    def _is_new(self, violation: Violation) -> bool:
        return not self._is_suppressed(violation) and not (self._todo is not None and self._todo.knows(violation))

    def _is_suppressed(self, violation: Violation) -> bool:
        file, line, _ = violation.spot
        codes = {code for glob, words in self._settings.per_file_ignores if matches(file, [glob]) for code in words}
        codes |= set(self._settings.ignore)
        for comment in _comments(str(self._root / file)):
            if comment.covers(line, line):
                if not comment.codes:
                    return True
                codes |= set(comment.codes)
        return any(violation.code.startswith(word) or word in {violation.name, "ALL"} for word in codes)

    # ---- the whole run ---------------------------------------------------------------------------------------------

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self._deselected = self._deselected or bool(items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """pytest-xdist: what a worker met comes to the controller as plain lists."""
        for row in getattr(node, "workeroutput", {}).get(_WORKER_KEY, ()):
            self._merge(_from_row(row))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self.sanitizer.stop()
        met = [one for one in self.sanitizer.violations if not self._is_suppressed(one)]
        output = getattr(self._config, "workeroutput", None)
        if output is not None:
            output[_WORKER_KEY] = [_as_row(one) for one in met]
            return
        for one in met:
            self._merge(one)
        shown = list(self._all.values())
        if self._json:
            Path(self._json).write_text(as_json(shown), encoding="utf-8")
        if self._todo is not None and self._updates:
            todo.write(self._todo.path, (one.identity for one in shown))
        # Met outside of any test (at collection, in a fixture of the session): nobody has failed for it yet.
        late = [one for one in shown if self._is_new(one) and not one.met_in]
        if late and self._fails and not self._updates and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _merge(self, violation: Violation) -> None:
        known = self._all.setdefault((violation.code, violation.spot), violation)
        if known is not violation:
            known.count += violation.count
            known.met_in = list(dict.fromkeys((*known.met_in, *violation.met_in)))[:3]

    def pytest_terminal_summary(self, terminalreporter: Any, exitstatus: int) -> None:
        shown = sorted(self._all.values(), key=lambda one: (one.spot, one.code))
        known = [one for one in shown if self._todo is not None and self._todo.knows(one)]
        new = [one for one in shown if one not in known]
        write = terminalreporter.write_line
        terminalreporter.section("sessionlint sanitizer", sep="-")
        if self._todo is not None and self._updates:
            write(f"{len({one.identity for one in shown})} places written to {self._todo.path}")
            return
        for one in new:
            write(one.render())
            write(f"    met {one.count} times" + (f", first in {one.met_in[0]}" if one.met_in else " outside of tests"))
        summary = f"{len(new)} new, {len(known)} known"
        if self._todo is not None:
            write(summary + f" ({self._todo.path.name})")
            self._say_stale(write, shown, exitstatus)
        else:
            write(summary if new else "no violations")

    def _say_stale(self, write: Any, shown: list[Violation], exitstatus: int) -> None:
        """Only a whole and green run can tell that an entry is out of date."""
        assert self._todo is not None
        stale = self._todo.stale(one.identity for one in shown)
        if not stale:
            return
        option = self._config.option
        part = self._deselected or option.keyword or option.markexpr or getattr(option, "lf", False)
        if part or exitstatus or self._config.args_source == pytest.Config.ArgsSource.ARGS:
            return
        write(f"{len(stale)} entries were not met; remove them or run with --sessionlint-update-todo:")
        for identity in stale:
            write(f"    {todo.line_of(identity)}")


@functools.lru_cache(maxsize=256)
def _comments(path: str) -> tuple[Suppression, ...]:
    try:
        return suppressions(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return ()


def _settings(root: Path) -> Settings:
    from sessionlint.rules.registry import codes_and_names

    known = {**codes_and_names(), **NAMES, "SES001": "", "SES002": "", "SES003": ""}
    try:
        return load(root, known).settings
    except ConfigErrors as errors:
        raise pytest.UsageError(str(errors)) from errors


def _options(settings: Settings, root: Path, given: Any) -> SanitizerOptions:
    options = SanitizerOptions(
        root=root,
        allowed_session_files=settings.allowed_session_files,
        repository_classes=settings.repository_classes,
        unit_of_work_classes=settings.unit_of_work_classes,
        commit_owner=settings.commit_owner,
        tests=settings.tests,
        exclude=settings.exclude,
        is_test=is_test,
    )
    try:
        if given.sessionlint_max_transaction_ms is not None:
            options = replace(options, max_transaction_ms=given.sessionlint_max_transaction_ms)
        if given.sessionlint_max_commits is not None:
            options = replace(options, max_commits_per_request=given.sessionlint_max_commits)
    except ValueError as error:
        raise pytest.UsageError(f"sessionlint: {error}") from error
    return options


def _as_row(one: Violation) -> str:
    trace = [[*step.spot, step.message] for step in one.trace]
    return json.dumps([one.code, one.message, list(one.spot), trace, one.statement, one.count, one.met_in])


def _from_row(row: str) -> Violation:
    code, message, spot, trace, statement, count, met_in = json.loads(row)
    steps = tuple(Step(Spot(file, line, function), text) for file, line, function, text in trace)
    return Violation(code, message, Spot(*spot), steps, statement, count, met_in)
