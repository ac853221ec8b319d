"""Edits as data: what a repair wants to change in which file, what belongs together, and why something is refused.

Nothing here reads or writes a file, and nothing here knows a rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from sessionlint.findings import Finding, FixSafety, Step


class Edit(NamedTuple):
    """Put ``text`` in place of the characters ``start`` to ``end`` of the original text of ``file``.

    Offsets count characters of the decoded text, byte order mark left out. ``text`` is written with ``\\n``; the
    document's own line ends replace it when the edit is applied.
    """

    file: str
    start: int
    end: int
    text: str

    def conflicts(self, other: Edit) -> bool:
        """Whether both cannot be applied: they overlap, or insert different text at one place."""
        if self.file != other.file or self == other:
            return False
        if self.start == self.end or other.start == other.end:
            if self.start == self.end and other.start == other.end:
                return self.start == other.start
            point, span = (self, other) if self.start == self.end else (other, self)
            return span.start < point.start < span.end
        return self.start < other.end and other.start < self.end


class NeededImport(NamedTuple):
    """``name`` must be importable from ``module`` in ``file``; with an empty ``name``, the module itself.

    Written once however many groups ask for it, when the edits of a file are put together.
    """

    file: str
    module: str
    name: str


class Unwrap(NamedTuple):
    """Replace the ``with`` statement that begins at ``start`` by its block; done after the edits of its file."""

    file: str
    start: int


class Wrap(NamedTuple):
    """Put the statements that begin at ``first`` to ``last`` of one block below ``header``; done after the edits.

    ``footer`` is a line that follows them inside, empty for none.
    """

    file: str
    first: int
    last: int
    header: str
    footer: str = ""


class Group(NamedTuple):
    """Edits that belong together: applied as one or refused as one.

    ``title`` says what is done, as a verb phrase (``open the session with an owning context manager``). ``findings``
    are those that must be gone afterwards. ``released`` are (file, name) pairs that the edits stop using: an import
    that nobody needs any more goes with them. ``notes`` are places a reader should look at before accepting.
    """

    title: str
    findings: tuple[Finding, ...]
    safety: FixSafety
    edits: tuple[Edit, ...]
    imports: tuple[NeededImport, ...] = ()
    released: tuple[tuple[str, str], ...] = ()
    notes: tuple[Step, ...] = ()
    blocks: tuple[Unwrap | Wrap, ...] = ()

    @property
    def files(self) -> frozenset[str]:
        parts = (*self.edits, *self.imports, *self.blocks)
        return frozenset(part.file for part in parts)

    def conflicts(self, others: Iterable[Group]) -> bool:
        """Whether the group cannot be applied together with ``others``: groups that move blocks are alone in a file."""
        for other in others:
            if any(mine.conflicts(theirs) for theirs in other.edits for mine in self.edits):
                return True
            moved = {b.file for b in self.blocks} & other.files | {b.file for b in other.blocks} & self.files
            if moved:
                return True
        return False


@dataclass(frozen=True, slots=True)
class Refusal:
    """A repair that was not made: for which findings, why, and the chain or places that show it."""

    findings: tuple[Finding, ...]
    title: str
    reason: str
    trace: tuple[Step, ...] = ()


def merged(edits: Iterable[Edit]) -> list[Edit]:
    """The edits of one file in order, equal ones once. Raises ``ValueError`` where two conflict."""
    ordered = sorted(set(edits), key=lambda e: (e.start, e.end))
    for index, edit in enumerate(ordered):
        for later in ordered[index + 1 :]:
            if later.start > edit.end:
                break
            if edit.conflicts(later):
                raise ValueError(f"two edits of {edit.file} overlap at {later.start}")
    return ordered
