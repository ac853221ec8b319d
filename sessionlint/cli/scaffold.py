"""``sessionlint scaffold``: write the reference runtime, or what watches it, into the user's tree."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sessionlint.cli import CLEAN
from sessionlint.cli.app import UsageProblem
from sessionlint.config.errors import did_you_mean

_KINDS = ("runtime", "monitoring")


def command(
    what: Annotated[str, typer.Argument(help="runtime or monitoring.", metavar="WHAT")],
    path: Annotated[str, typer.Argument(help="Folder to write to; made where it is missing.")],
    force: Annotated[bool, typer.Option("--force", help="Replace files that stand there already.")] = False,
) -> int:
    """Write files that are yours from then on: `runtime` (the unit of work and what goes with it, as a package without
    a dependency on sessionlint) or `monitoring` (Prometheus alerts and their tests, a Grafana dashboard, a runbook)."""
    from sessionlint.scaffold.files import WouldOverwrite, write_all

    folder = Path(path)
    if what not in _KINDS:
        raise UsageProblem(
            f"`{what}` cannot be written; {did_you_mean(what, _KINDS) or 'choose runtime or monitoring'}"
        )
    if folder.exists() and not folder.is_dir():
        raise UsageProblem(f"`{path}` is a file; name a folder")
    try:
        written = write_all(folder, _texts(what, path), force=force)
    except WouldOverwrite as refused:
        raise UsageProblem(f"{refused} (--force replaces them)") from None
    except OSError as error:
        raise UsageProblem(f"cannot write to {folder}: {error.strerror or error}") from error
    for name in (*written.new, *written.replaced):
        sys.stdout.write(f"{(folder / name).as_posix()}\n")
    counts = f"{len(written.new)} written, {len(written.replaced)} replaced, {len(written.unchanged)} unchanged"
    sys.stderr.write(f"{counts}\n")
    return CLEAN


def _texts(what: str, path: str) -> dict[str, str]:
    if what == "monitoring":
        from sessionlint.scaffold.monitoring_files import monitoring_files

        return monitoring_files()
    from sessionlint.scaffold.runtime_files import package_of, runtime_files

    package = package_of(path)
    if not package or not all(part.isidentifier() for part in package.split(".")):
        raise UsageProblem(f"`{path}` cannot be imported as a package: use letters, digits and underscores")
    return runtime_files(package)
