"""``sessionlint migrate``: change the design of a project step by step. Heavy imports live inside the function."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from sessionlint.cli import CLEAN, FINDINGS, INTERNAL
from sessionlint.cli.app import UsageProblem
from sessionlint.config.errors import did_you_mean

if TYPE_CHECKING:
    from sessionlint.fixes.streams.stream_entries import StreamEntry
    from sessionlint.repair import Repaired

MIGRATIONS = ("unit-of-work",)
SHAPE = "explicit"

_Words = Optional[list[str]]  # noqa: UP045  # typer reads this at run time
_Text = Optional[str]  # noqa: UP045


def command(
    migration: Annotated[str, typer.Argument(help="Which migration: unit-of-work.")],
    paths: Annotated[_Words, typer.Argument(help="Migrate only streaming entries that lie here.")] = None,
    entry: Annotated[_Words, typer.Option(help="Migrate only this streaming function, as PATH:FUNC.")] = None,
    shape: Annotated[str, typer.Option("--shape", help="How functions get the unit: explicit.")] = SHAPE,
    diff: Annotated[bool, typer.Option("--diff", help="Print the changes and write nothing.")] = False,
    config: Annotated[_Text, typer.Option(help="Configuration file to use.")] = None,
    isolated: Annotated[bool, typer.Option("--isolated", help="Use no configuration file.")] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Neither read nor write the cache.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not say what was done.")] = False,
) -> int:
    """Open an SSEUnitOfWork inside every streaming generator and commit through it."""
    from dataclasses import replace

    from sessionlint.cli.progress import Progress
    from sessionlint.cli.project import locate, request
    from sessionlint.cli.repairing import carry_out, show
    from sessionlint.fixes.migrate.unit_of_work import propose
    from sessionlint.repair import Order
    from sessionlint.run import in_paths

    if migration not in MIGRATIONS:
        hint = did_you_mean(migration, MIGRATIONS) or "expected " + ", ".join(MIGRATIONS)
        raise UsageProblem(f"`{migration}` is no migration; {hint}")
    if shape == "contextvar":
        raise UsageProblem(
            "`--shape contextvar` is not offered: a generator shares the context of whoever iterates it, "
            "so that streams would commit each other's work; see docs/migrate.md"
        )
    if shape != SHAPE:
        raise UsageProblem(f"`{shape}` is no shape; expected {SHAPE}")
    progress = Progress()
    target = locate(paths, config, isolated)
    names = _entries(entry, target.root)
    met: set[str] = set()

    def wanted(found: StreamEntry) -> bool:
        if not in_paths(found.function.module.path, target.paths):
            return False
        own = {
            f"{f.module.path}:{name}"
            for f in (found.function, *found.generators)
            for name in (f.qualname, f.name, f.qualname.rpartition(".")[2])
        }
        met.update(own & names)
        return not names or bool(own & names)

    order = Order(
        replace(request(target), use_cache=not no_cache, progress=progress),
        unsafe=True,
        write=not diff,
        propose=lambda program: propose(program, wanted),
    )
    done = carry_out(order, progress)
    unknown = sorted(names - met)
    if unknown:
        raise UsageProblem(f"no streaming entry `{unknown[0]}`; an entry hands an async generator to a response")
    show(done, diff, "" if quiet else _summary(done, diff))
    if done.crashed:
        return INTERNAL
    return FINDINGS if done.outcome.refused or (diff and done.outcome.changed) else CLEAN


def _entries(given: list[str] | None, root: str) -> set[str]:
    """``PATH:FUNC`` relative to the project. Raises ``UsageProblem``."""
    found = set()
    for text in given or []:
        path, _, name = text.rpartition(":")
        if not path or not name:
            raise UsageProblem(f"`{text}` is no entry: expected PATH:FUNC")
        if not os.path.isfile(path):
            raise UsageProblem(f"no such file: `{path}`")
        found.add(f"{os.path.relpath(os.path.realpath(path), root).replace(os.sep, '/')}:{name}")
    return found


def _summary(done: Repaired, diff: bool) -> str:
    """What was migrated, what was refused and why, and the count."""
    outcome = done.outcome
    lines: list[str] = []
    if outcome.applied:
        lines.append("Would migrate:" if diff else "Migrated:")
        for one in outcome.applied:
            lines.extend(f"  {title}" for title in one.groups[0].title.splitlines())
            lines.append(f"      in {', '.join(sorted(one.files))}")
            lines.extend(f"      note: {note.place}: {note.message}" for note in one.groups[0].notes)
    if outcome.refused:
        lines.append("Refused:")
        for refusal in outcome.refused:
            lines.extend([*(f"  {title}" for title in refusal.title.splitlines()), f"      because {refusal.reason}"])
            lines.extend(f"      {n}. {step.place} {step.message}" for n, step in enumerate(refusal.trace[:8], 1))
    done_word = "Would migrate" if diff else "Migrated"
    count = sum(len(one.groups[0].title.splitlines()) for one in outcome.applied)
    refused = sum(len(refusal.title.splitlines()) for refusal in outcome.refused)
    entries = "1 entry" if count == 1 else f"{count or 'no'} entries"
    files = "1 file" if len(outcome.changed) == 1 else f"{len(outcome.changed)} files"
    lines.append(f"{done_word} {entries} in {files}, refused {refused}.")
    return "".join(line + "\n" for line in lines)
