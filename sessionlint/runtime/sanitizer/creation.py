"""Judges the place where a session is made (SES101, SES102, SES105, SES106, SES117) by the calls that really led there.

The reading is that of the static rule: a boundary (what a framework, an event loop or a test calls) may open the scope
it commits; a class that is handed a session wherever it is used may not.
"""

from __future__ import annotations

import linecache
import re
from types import FrameType
from typing import TYPE_CHECKING

from .handing_out import hands_out_session
from .options import SanitizerOptions, in_globs
from .stacks import Site, Stack, StackReader, library_frames
from .violations import statement_at

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_STORES = ("Repository", "Repo", "DAO")
_ROLES = (*_STORES, "Service", "UseCase")
_OWNERS = ("unitofwork", "uow", "transaction")
_ROLE_FOLDERS = frozenset(
    {"service", "services", "repository", "repositories", "repos", "crud", "dao", "use_cases", "usecases", "domain"}
)
_BACKGROUND = frozenset({"background", "tasks", "jobs", "workers", "worker", "cron", "celery", "schedulers", "scripts"})
_INDEPENDENT = re.compile("independent|autonomous", re.IGNORECASE)
_MARKED = re.compile(r"#\s*sessionlint:\s*independent-transaction\b")
_ENTRIES = frozenset({"main", "run", "__aenter__", "__enter__"})


def judged(
    made: Session, stack: Stack, options: SanitizerOptions, factory_files: set[str], reader: StackReader
) -> tuple[str, Site, str] | None:
    """(code, place, message) when the function that led here should have been handed a session; None if all is well."""
    cause = stack.cause
    if cause is None or _is_independent(cause, reader):
        return None
    if not (cause.is_module or options.is_silent(cause.spot.file) or _opens_for_others(cause, options)):
        if _session_at_hand(cause, made):
            return "SES102", cause, f"`{cause.spot.function}` opens another session although it was given one"
    driver = _driver(stack, reader)
    if driver is not None and not options.is_silent(driver.spot.file):
        fault = _spelling(driver, reader)
        if fault is not None:
            return fault
    chain = _beyond_factories(stack, options, factory_files)
    if not chain or _is_independent(chain[0], reader) or not _should_be_handed_one(chain, options):
        return None
    site = chain[0]
    if _session_at_hand(site, made):
        return "SES102", site, f"`{site.spot.function}` opens another session although it was given one"
    subject = site.owner or site.spot.function
    return "SES101", site, f"`{subject}` opens its own session, outside the files that may create sessions"


def _spelling(driver: Site, reader: StackReader) -> tuple[str, Site, str] | None:
    """How a dependency is driven without its framework: the static rules name each spelling."""
    if driver.is_generator:
        return "SES117", driver, "a dependency around a dependency: errors do not reach the inner one"
    statement = statement_at(reader.absolute(driver.spot.file), driver.spot.line)
    if re.match(r"(async )?for\b", statement):
        return "SES105", driver, "a session dependency in a `for` loop: leaving the loop does not finish it"
    if re.search(r"\ba?next\(|__a?next__\(", statement):
        return "SES106", driver, "one step of a session dependency: what it does after its `yield` never runs in time"
    return None


def _beyond_factories(stack: Stack, options: SanitizerOptions, factory_files: set[str]) -> list[Site]:
    """The functions that led here, from the first one outside the files that may create sessions."""
    allowed = options.allowed_session_files
    chain = list(stack.chain) if stack.direct else []  # what a library opens for itself is its own business
    while chain and (in_globs(chain[0].spot.file, allowed) if allowed else chain[0].spot.file in factory_files):
        chain.pop(0)
    if not chain or chain[0].is_module or options.is_silent(chain[0].spot.file):
        return []
    return chain


def _should_be_handed_one(chain: list[Site], options: SanitizerOptions) -> bool:
    site = chain[0]
    if _opens_for_others(site, options):
        return False
    if site.owner.endswith(_STORES):
        return True
    folders = set(site.spot.file.removesuffix(".py").split("/")[:-1])
    if folders & _BACKGROUND:
        return False
    if site.owner.endswith(_ROLES) or folders & _ROLE_FOLDERS:
        return True
    callers = [caller for caller in chain[1:] if not options.is_test(caller.spot.file)]
    # What only a framework calls is a boundary; what a script calls is a part of it.
    return bool(callers) and not any(caller.is_module or caller.code.co_name in _ENTRIES for caller in callers)


def _opens_for_others(site: Site, options: SanitizerOptions) -> bool:
    return site.is_generator or site.code.co_name in _ENTRIES or is_unit_of_work(site.owner, options)


def is_unit_of_work(owner: str, options: SanitizerOptions) -> bool:
    named = {name.rpartition(".")[2] for name in options.unit_of_work_classes}
    return owner in named or owner.lower().endswith(_OWNERS)


def _session_at_hand(site: Site, made: Session) -> bool:
    """Whether the function was given another session: as an argument, or with the object whose method it is."""
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session

    frame = _frame_of(site)
    if frame is None:
        return False
    arguments = site.code.co_varnames[: site.code.co_argcount + site.code.co_kwonlyargcount]
    values = [frame.f_locals.get(name) for name in arguments]
    values.extend(getattr(frame.f_locals.get("self"), "__dict__", {}).values())
    for value in values:
        sync = value.sync_session if isinstance(value, AsyncSession) else value
        if isinstance(sync, Session) and sync is not made:
            return True
    return False


def _driver(stack: Stack, reader: StackReader) -> Site | None:
    """The function that itself advances the generator which made the session."""
    if len(stack.chain) < 2 or not stack.chain[0].is_generator:
        return None
    maker, driver = stack.chain[:2]
    if not hands_out_session(maker, reader.absolute(maker.spot.file)):
        return None  # a stream that keeps its session to itself: whoever iterates over it drives nothing
    frame = _frame_of(maker)
    driven = frame is not None and frame.f_back is not None and frame.f_back.f_code is driver.code
    return driver if driven else None


def _is_independent(site: Site, reader: StackReader) -> bool:
    """Marked as a transaction of its own: by its name, by a decorator, or by a comment on or above the ``def``."""
    if _INDEPENDENT.search(site.code.co_name):
        return True
    path = reader.absolute(site.spot.file)
    first = site.code.co_firstlineno
    for number in range(max(1, first - 1), first + 20):
        line = linecache.getline(path, number).strip()
        if line.startswith("@") and _INDEPENDENT.search(line):
            return True
        if _MARKED.search(line):
            return True
        if re.match(r"(async )?def\b", line):
            break
    return False


def _frame_of(site: Site) -> FrameType | None:
    return next((frame for frame in library_frames() if frame.f_code is site.code), None)
