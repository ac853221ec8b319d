"""What the analysis says: findings with their traces, and the report that reporters print.

Plain frozen data without behaviour beyond ordering and identity. Knows no rule, no file system and no output format.
"""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass, field


class Severity(enum.Enum):
    """How bad a finding is; ``--fail-on`` compares by rank."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """0 for info, 1 for warning, 2 for error."""
        return list(Severity).index(self)


class FixSafety(enum.Enum):
    """Whether a repair exists, and whether it may be applied without being asked for."""

    NONE = "none"
    UNSAFE = "unsafe"
    SAFE = "safe"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A span in a file.

    ``file`` is relative to the project root with forward slashes; lines and columns are 1-based, columns count
    characters (code points), ``end_column`` is exclusive.
    """

    file: str
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Step:
    """One link of the chain a reader needs to believe a finding."""

    place: Place
    message: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault at one place.

    ``function`` is the dotted qualified name inside the file (``Outer.method.inner``), empty at module level.
    ``label`` is the short text under the carets, ``help`` a verb phrase that says what to do.
    """

    code: str
    name: str
    severity: Severity
    message: str
    place: Place
    function: str = ""
    label: str = ""
    help: str = ""
    trace: tuple[Step, ...] = ()
    fix: FixSafety = FixSafety.NONE
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that kept a file (or a rule) from being looked at: unreadable, unparsable, a rule that raised."""

    place: Place
    message: str
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A call that received a session and could not be followed; ``package`` is whose code it is, if known."""

    place: Place
    call: str
    reason: str
    package: str = ""


@dataclass(frozen=True, slots=True)
class Beliefs:
    """What the tool takes to be true about a project; printed on a first run and by ``show``."""

    factories: tuple[str, ...] = ()
    shared_sessions: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    units_of_work: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    entry_points: int = 0
    versions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Summary:
    """The honest last lines: what was looked at and what was not."""

    files: int = 0
    analysed: int = 0
    unparsed: int = 0
    unresolved_calls: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Difference:
    """What became of findings since a revision; those that the report lists are the introduced ones.

    ``base`` says which revision, ``fixed`` are gone (their places are those of the base), ``preexisting`` still there.
    """

    base: str
    fixed: tuple[Finding, ...] = ()
    preexisting: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """All that a reporter may see. Findings are sorted by place, then code.

    ``suppressed`` are silenced by a comment, ``accepted`` by the baseline.
    """

    findings: tuple[Finding, ...] = ()
    suppressed: tuple[Finding, ...] = ()
    accepted: tuple[Finding, ...] = ()
    difference: Difference | None = None
    problems: tuple[Problem, ...] = ()
    unresolved: tuple[Unresolved, ...] = ()
    beliefs: Beliefs = field(default_factory=Beliefs)
    summary: Summary = field(default_factory=Summary)


def fingerprint(code: str, file: str, function: str, statement: str, occurrence: int) -> str:
    """Identity of a finding that survives moved lines: never contains a line number.

    ``statement`` is the guilty source statement; white space is normalised here. ``occurrence`` (0-based) tells
    equal statements of one function apart.
    """
    text = "\0".join((code, file, function, " ".join(statement.split()), str(occurrence)))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:20]
