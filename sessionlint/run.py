"""One run: discover, read, extract, analyse, apply the rules, judge; gives a ``Report``.

The only place that sees the whole pipeline. Must not print and must not know the command line or output formats.
"""

from __future__ import annotations

import contextlib
import gc
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sessionlint.config.settings import AnalysisSettings, Settings, analysis_settings
from sessionlint.config.versions import resolve
from sessionlint.findings import Finding, FixSafety, Place, Problem, Report, Summary
from sessionlint.selection import CommandLine, ignored_in, is_selected
from sessionlint.source.discover import Listing, python_files
from sessionlint.source.read import ReadProblem, decode, read
from sessionlint.source.roles import is_test
from sessionlint.verdicts import CANNOT_BE_PARSED, OWN_RULES, Verdicts, judge, parse_finding

if TYPE_CHECKING:
    from sessionlint.effects import Analysis
    from sessionlint.facts import FileFacts, ParseProblem
    from sessionlint.rules.registry import Rule


@dataclass(frozen=True)
class Request:
    """What to check: the project at ``root`` (absolute); ``paths`` relative to it filter the report only.

    With ``touching`` a finding counts too when a step of its trace lies in ``paths``. ``buffers`` are files as an
    editor holds them, whatever the disk says. Without ``honour_noqa`` another tool applies the ``noqa`` comments;
    without ``ask_fixers`` nobody wants to know which findings can be repaired.
    """

    root: str
    settings: Settings
    paths: tuple[str, ...] = ()
    touching: bool = False
    buffers: Mapping[str, bytes] = field(default_factory=dict)
    honour_noqa: bool = True
    ask_fixers: bool = True
    extra_rules: tuple[Rule, ...] = ()
    command_line: CommandLine = field(default_factory=CommandLine)
    use_cache: bool = True
    progress: Callable[[str, int, int], None] = lambda _stage, _done, _total: None


@dataclass(frozen=True)
class Project:
    """The sources of a project with their facts."""

    listing: Listing
    sources: Mapping[str, bytes]
    facts: tuple[FileFacts, ...]
    unparsed: tuple[ParseProblem | ReadProblem, ...]
    settings: AnalysisSettings
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """A finished run. ``ran`` are the rules that ran, ``crashed`` those that raised; ``warnings`` are for stderr."""

    report: Report
    project: Project
    crashed: tuple[str, ...]
    ran: frozenset[str] = frozenset()

    @property
    def warnings(self) -> tuple[str, ...]:
        return self.project.warnings


class NothingToCheck(Exception):
    """No Python file lies where the user pointed; the message says where that is."""


def gather(request: Request) -> Project:
    """Discover, read and extract. Raises ``NothingToCheck``."""
    settings = request.settings
    request.progress("reading", 0, 0)
    listing = python_files(
        request.root,
        exclude=settings.exclude,
        respect_gitignore=settings.respect_gitignore,
        named=() if request.touching else request.paths,
    )
    unsaved = {file for file in request.buffers if not os.path.exists(os.path.join(request.root, file))}
    listing = replace(listing, files=tuple(sorted({*listing.files, *unsaved})))
    wanted = () if request.touching else request.paths
    if not any(in_paths(file, wanted) for file in listing.files):
        where = ", ".join(request.paths) or request.root
        raise NothingToCheck(f"no Python files to check in {where}")
    sources: dict[str, bytes] = {}
    unparsed: list[ParseProblem | ReadProblem] = []
    for file in listing.files:
        content = request.buffers[file] if file in request.buffers else read(request.root, file)
        fault = content if isinstance(content, ReadProblem) else decode(file, content)
        if isinstance(fault, ReadProblem):
            unparsed.append(fault)
        if isinstance(content, bytes):
            sources[file] = content
    readable = {file: source for file, source in sources.items() if file not in {one.path for one in unparsed}}
    request.progress("parsing", 0, len(readable))
    from sessionlint.cache import FactsCache, tool_stamp
    from sessionlint.extraction import extract_all

    cache = None
    if request.use_cache:
        cache = FactsCache(os.path.join(request.root, settings.cache_dir), tool_stamp())
    extracted = extract_all(
        readable, cache, settings.jobs, lambda done: request.progress("parsing", done, len(readable))
    )
    if cache is not None:
        cache.save()
    root = Path(request.root)
    return Project(
        listing,
        sources,
        extracted.facts,
        (*unparsed, *extracted.unparsed),
        analysis_settings(settings, root, resolve(root, settings.target)),
        (cache.warning,) if cache is not None and cache.warning else (),
    )


def analyse(project: Project) -> Analysis:
    """The effects of every function of a project; must run on a deep stack (``extraction.with_deep_stack``)."""
    from sessionlint import effects

    return effects.analyse(project.facts, project.settings)


def check(request: Request) -> Outcome:
    """Run everything. Raises ``NothingToCheck``."""
    from sessionlint.extraction import with_deep_stack

    started = time.perf_counter()
    project = gather(request)
    request.progress("analysing", 0, 0)
    return with_deep_stack(lambda: _check(request, project, started))


@dataclass(frozen=True)
class Judged:
    """What the rules say about the sources of a project, suppressions and filters applied."""

    analysis: Analysis
    verdicts: Verdicts
    crashed: tuple[str, ...]
    problems: tuple[Problem, ...]
    ran: frozenset[str]


def judged(request: Request, project: Project) -> Judged:
    """Analyse and judge; must run on a deep stack (``extraction.with_deep_stack``)."""
    with _frozen():
        return _judged(request, project)


@contextlib.contextmanager
def _frozen() -> Iterator[None]:
    """Facts and modules live to the end: the collector need not look through them again and again.

    A host that froze objects of its own is left alone, because thawing is all or nothing.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _judged(request: Request, project: Project) -> Judged:
    from sessionlint.rules import registry

    analysis = analyse(project)
    functions = analysis.functions
    for done, function in enumerate(functions):
        analysis.result(function)  # remembered: the rules ask for it again
        request.progress("analysing", done, len(functions))
    known = {**dict(OWN_RULES), **registry.codes_and_names()}
    every = (*registry.all_rules(), *request.extra_rules)
    known |= {rule.code: rule.name for rule in request.extra_rules}
    rules = [rule for rule in every if _runs(rule, request)]
    own = dict(OWN_RULES)
    defaults = {rule.code: rule.default for rule in every}
    ran = {rule.code for rule in rules} | {
        code
        for code, name in own.items()
        if is_selected(code, name, defaults.get(code, True), request.settings, request.command_line)
    }
    raw: list[Finding] = []
    problems: list[Problem] = []
    crashed: list[str] = []
    for rule in rules:
        try:
            raw.extend(rule.check(analysis))
        except Exception as error:
            if os.environ.get("SESSIONLINT_DEBUG") == "1":
                raise
            crashed.append(rule.code)
            problems.append(_crash(rule, error))
    if CANNOT_BE_PARSED[0] in ran:
        raw.extend(parse_finding(*fault) for fault in project.unparsed)
    verdicts = judge(
        registry.more_specific(raw), project.sources, known, frozenset(ran), _reported(request), request.honour_noqa
    )
    return Judged(analysis, verdicts, tuple(crashed), tuple(problems), frozenset(ran))


def _check(request: Request, project: Project, started: float) -> Outcome:
    found = judged(request, project)
    analysis = found.analysis
    beliefs = analysis.beliefs
    if not beliefs.versions:
        beliefs = replace(
            beliefs, versions=tuple(str(one) for one in project.settings.versions.values() if one.spec or one.exact)
        )
    report = Report(
        findings=marked(found.verdicts.findings, analysis, project.sources)
        if request.ask_fixers
        else found.verdicts.findings,
        suppressed=found.verdicts.suppressed,
        problems=(*project.listing.problems, *found.problems),
        unresolved=analysis.unresolved,
        beliefs=beliefs,
        summary=Summary(
            files=len(project.listing.files),
            analysed=analysis.analysed_files,
            unparsed=len(project.unparsed),
            unresolved_calls=len(analysis.unresolved),
            seconds=time.perf_counter() - started,
        ),
    )
    return Outcome(report, project, found.crashed, found.ran)


def marked(findings: tuple[Finding, ...], analysis: Analysis, sources: Mapping[str, bytes]) -> tuple[Finding, ...]:
    """The findings with the truth about their repair: safe or unsafe only where a fixer has an edit for it."""
    from sessionlint.fixes.repairable import repairable

    codes = repairable()
    bare = tuple(replace(f, fix=FixSafety.NONE) if f.fix is not FixSafety.NONE else f for f in findings)
    if not any(f.code in codes for f in bare):
        return bare
    from sessionlint.fixes.program import Program
    from sessionlint.fixes.proposals import offers

    offered = offers(Program(sources, analysis, bare))
    return tuple(replace(f, fix=offered[f]) if f in offered else f for f in bare)


def _runs(rule: Rule, request: Request) -> bool:
    return is_selected(rule.code, rule.name, rule.default, request.settings, request.command_line)


def _crash(rule: Rule, error: Exception) -> Problem:
    """A rule that raised: where inside this tool, without a traceback."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" ({Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno})" if trace else ""
    return Problem(
        Place("", 0, 0, 0, 0),
        f"rule {rule.code} {rule.name} failed and was skipped: {type(error).__name__}: {error}{where}",
        "this is a fault of sessionlint: please report it; SESSIONLINT_DEBUG=1 shows the traceback",
    )


def in_paths(file: str, paths: tuple[str, ...]) -> bool:
    """Whether a file lies at or below one of ``paths``; no paths, or the root itself, mean everything."""
    return not paths or any(path in ("", ".") or file == path or file.startswith(path + "/") for path in paths)


def _reported(request: Request) -> Callable[[Finding], bool]:
    named = [path for path in request.paths if path not in ("", ".") and is_test(path + "/_.py")]
    if request.touching:
        named = []  # whoever names changed files has not asked for tests

    def decide(finding: Finding) -> bool:
        file = finding.place.file
        files = {file, *(step.place.file for step in finding.trace)} if request.touching else {file}
        here = any(in_paths(one, request.paths) for one in files)
        if finding.code == CANNOT_BE_PARSED[0]:
            return here  # what was not read at all is said wherever it stands
        if not here or ignored_in(file, finding.code, finding.name, request.settings):
            return False
        return request.settings.tests or not is_test(file) or (bool(named) and in_paths(file, tuple(named)))

    return decide


def explain_paths(request: Request) -> Iterator[tuple[str, str]]:
    """Every listed file with what becomes of it: for ``show files``."""
    project = gather(request)
    faulty = {fault.path: fault.message for fault in project.unparsed}
    for file in project.listing.files:
        if file in faulty:
            yield file, f"cannot be parsed: {faulty[file]}"
        elif is_test(file) and not request.settings.tests:
            yield file, "analysed, not reported (test)"
        else:
            yield file, "analysed and reported"
