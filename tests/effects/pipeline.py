"""The whole analysis on sources in memory, with every answer asked for and checked; for tests of odd programs."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

from sessionlint import effects
from sessionlint.config.settings import AnalysisSettings
from sessionlint.effects.analysis import EntryPoint, TimelineEvent
from sessionlint.extraction import with_deep_stack
from sessionlint.facts import FileFacts, ParseProblem, extract
from sessionlint.findings import Beliefs, Finding, Place, Unresolved
from sessionlint.rules import registry
from sessionlint.source.read import lines_of
from sessionlint.verdicts import OWN_RULES, judge

MOST_SECONDS = 5.0  # CPU seconds of this process, so that a busy machine fails nothing

_T = TypeVar("_T")


class TooSlow(BaseException):
    """Raised inside an analysis that has used up its CPU seconds; no ``except Exception`` keeps it."""


class Answers(NamedTuple):
    """All that an analysis says about a project."""

    findings: tuple[Finding, ...]
    suppressed: tuple[Finding, ...]
    unparsed: tuple[ParseProblem, ...]
    unresolved: tuple[Unresolved, ...]
    beliefs: Beliefs
    entries: tuple[EntryPoint, ...]
    timelines: tuple[tuple[TimelineEvent, ...], ...]
    analysed: int


def answers(files: Mapping[str, str | bytes], seconds: float = MOST_SECONDS) -> Answers:
    """Analyse the files with all rules; raises what any rule raises, and ``TooSlow``."""
    sources = {file: text if isinstance(text, bytes) else text.encode("utf-8") for file, text in files.items()}
    return within(seconds, lambda: _answers(sources))


def sound(files: Mapping[str, str | bytes], seconds: float = MOST_SECONDS) -> Answers:
    """The same, checked: a second run says the same, and every place that is named exists."""
    first = answers(files, seconds)
    assert answers(files, seconds) == first, "two runs of one program differ"
    lines = {file: lines_of(text if isinstance(text, bytes) else text.encode("utf-8")) for file, text in files.items()}
    for place, what in _places(first):
        _check_place(place, what, lines)
    return first


def within(seconds: float, work: Callable[[], _T]) -> _T:
    """``work`` on the deep stack that the tool gives itself; raises ``TooSlow`` in it after so many CPU seconds."""

    def watched() -> _T:
        with _watchdog(threading.get_ident(), seconds):
            return work()

    return with_deep_stack(watched)


@contextmanager
def _watchdog(thread: int, seconds: float) -> Iterator[None]:
    done = threading.Event()
    start = time.process_time()

    def watch() -> None:
        while not done.wait(0.25):
            if time.process_time() - start > seconds:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(TooSlow))
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _answers(sources: Mapping[str, bytes]) -> Answers:
    extracted = [extract(file, source) for file, source in sources.items()]
    facts = [one for one in extracted if isinstance(one, FileFacts)]
    unparsed = tuple(one for one in extracted if isinstance(one, ParseProblem))
    analysis = effects.analyse(facts, AnalysisSettings())
    raw = [finding for rule in registry.all_rules() for finding in rule.check(analysis)]
    known = {**dict(OWN_RULES), **registry.codes_and_names()}
    verdicts = judge(registry.more_specific(raw), sources, known, frozenset(known), lambda _finding: True)
    entries = tuple(analysis.entry_points())
    return Answers(
        verdicts.findings,
        verdicts.suppressed,
        unparsed,
        analysis.unresolved,
        analysis.beliefs,
        entries,
        tuple(_timeline(analysis, entry) for entry in entries),
        analysis.analysed_files,
    )


def _timeline(analysis: effects.Analysis, entry: EntryPoint) -> tuple[TimelineEvent, ...]:
    try:
        return tuple(analysis.timeline(entry.key))
    except LookupError:  # a program may define one name twice; then the question is ambiguous
        return ()


def _places(found: Answers) -> Iterator[tuple[Place, str]]:
    for finding in (*found.findings, *found.suppressed):
        yield finding.place, f"{finding.code} {finding.message}"
        for step in finding.trace:
            yield step.place, f"a step of {finding.code}: {step.message}"
    for unresolved in found.unresolved:
        yield unresolved.place, f"unresolved {unresolved.call}"
    for entry in found.entries:
        yield entry.place, f"entry {entry.name}"
    for timeline in found.timelines:
        for event in timeline:
            yield event.place, f"event {event.message}"
    for problem in found.unparsed:
        yield Place(problem.path, problem.line, 1, problem.line, 1), f"cannot be parsed: {problem.message}"


def _check_place(place: Place, what: str, lines: Mapping[str, list[str]]) -> None:
    """A place lies inside its file; one past the end of a line or file is the end of what stands there."""
    said = f"{place}-{place.end_line}:{place.end_column} {what}"
    assert place.file in lines, f"no such file: {said}"
    text = lines[place.file]
    assert 1 <= place.line <= place.end_line <= len(text) + 1, f"no such line: {said}"
    for line, column in ((place.line, place.column), (place.end_line, place.end_column)):
        length = len(text[line - 1]) if line <= len(text) else 0
        assert 1 <= column <= length + 1, f"no such column: {said}"
    assert (place.line, place.column) <= (place.end_line, place.end_column), f"ends before it begins: {said}"
