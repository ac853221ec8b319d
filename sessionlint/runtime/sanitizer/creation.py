"""Judges the place where a session is made (SES101, SES102, SES105, SES106) by the calls that really led there.

The reading is that of the static rule: a boundary (what a framework, an event loop or a test calls) may open the scope
it commits; a class that is handed a session wherever it is used may not.
"""

from __future__ import annotations

import linecache
import re
from types import FrameType
from typing import TYPE_CHECKING

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
    site = _offending_site(stack, options, factory_files)
    if site is None or _is_independent(site, reader):
        return None
    statement = statement_at(reader.absolute(site.spot.file), site.spot.line)
    if _driven_by_hand(stack, site):
        # A dependency without its framework: the static rules name the two spellings.
        if re.match(r"(async )?for\b", statement):
            return "SES105", site, "a session dependency in a `for` loop: leaving the loop does not finish it"
        if re.search(r"\ba?next\(|__a?next__\(", statement):
            return "SES106", site, "one step of a session dependency: what it does after its `yield` never runs in time"
    if _session_at_hand(site, made):
        return "SES102", site, f"`{site.spot.function}` opens another session although it holds one"
    subject = site.owner or site.spot.function
    return "SES101", site, f"`{subject}` opens its own session, outside the files that may create sessions"


def _offending_site(stack: Stack, options: SanitizerOptions, factory_files: set[str]) -> Site | None:
    allowed = options.allowed_session_files
    chain = list(stack.chain) if stack.direct else []  # what a library opens for itself is its own business
    while chain and (in_globs(chain[0].spot.file, allowed) if allowed else chain[0].spot.file in factory_files):
        chain.pop(0)
    if not chain or chain[0].is_module or options.is_silent(chain[0].spot.file):
        return None
    site = chain[0]
    if site.is_generator or site.code.co_name in _ENTRIES or is_unit_of_work(site.owner, options):
        return None
    if site.owner.endswith(_STORES):
        return site
    folders = set(site.spot.file.removesuffix(".py").split("/")[:-1])
    if folders & _BACKGROUND:
        return None
    if site.owner.endswith(_ROLES) or folders & _ROLE_FOLDERS:
        return site
    callers = [caller for caller in chain[1:] if not options.is_test(caller.spot.file)]
    if not callers or any(caller.is_module or caller.code.co_name in _ENTRIES for caller in callers):
        return None  # the framework calls it, or it is a part of a script
    return site


def is_unit_of_work(owner: str, options: SanitizerOptions) -> bool:
    named = {name.rpartition(".")[2] for name in options.unit_of_work_classes}
    return owner in named or owner.lower().endswith(_OWNERS)


def _session_at_hand(site: Site, made: Session) -> bool:
    """Whether the function (or the object whose method it is) holds another session already."""
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session

    frame = _frame_of(site)
    if frame is None:
        return False
    values = list(frame.f_locals.values())
    owner = frame.f_locals.get("self")
    values.extend(getattr(owner, "__dict__", {}).values())
    for value in values:
        sync = value.sync_session if isinstance(value, AsyncSession) else value
        if isinstance(sync, Session) and sync is not made:
            return True
    return False


def _driven_by_hand(stack: Stack, site: Site) -> bool:
    """Whether a generator of the project made the session and ``site`` itself advances it."""
    maker = stack.sites[0]
    if not maker.is_generator or maker is site:
        return False
    frame = _frame_of(maker)
    return frame is not None and frame.f_back is not None and frame.f_back.f_code is site.code


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
