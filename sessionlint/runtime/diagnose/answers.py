"""What a check says: fine, failed with the next step, or not applicable with the reason."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class Status(enum.Enum):
    """The three answers; the value is the word used where a terminal cannot show the mark."""

    FINE = "ok"
    FAILED = "FAILED"
    NOT_APPLICABLE = "n/a"


@dataclass(frozen=True)
class Answer:
    """One line of the examination."""

    status: Status
    text: str
    next_step: str = ""


class Refused(Exception):
    """The examination cannot begin: wrong URL, unknown driver, a model that cannot be imported. No password inside."""


_MARKS = {Status.FINE: "✓", Status.FAILED: "✗", Status.NOT_APPLICABLE: "–"}


def fine(text: str) -> Answer:
    return Answer(Status.FINE, text)


def failed(text: str, next_step: str) -> Answer:
    return Answer(Status.FAILED, text, next_step)


def not_applicable(text: str, reason: str) -> Answer:
    return Answer(Status.NOT_APPLICABLE, f"{text}: not applicable, {reason}")


def render(answers: Iterable[Answer], encoding: str | None) -> str:
    """The answers as text, one line each, the next step below; marks only where ``encoding`` has them."""
    lines = []
    for answer in answers:
        mark = _MARKS[answer.status]
        try:
            mark.encode(encoding or "ascii")
        except (UnicodeEncodeError, LookupError):
            mark = f"{answer.status.value:<6}"
        lines.append(f"{mark} {answer.text}\n")
        if answer.next_step:
            lines.append(f"    next: {answer.next_step}\n")
    return "".join(lines)
