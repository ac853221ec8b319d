"""``sessionlint show``: what the tool believes about this project; a false belief makes a false finding."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Optional, TypeVar

import typer

from sessionlint.cli import CLEAN
from sessionlint.cli.app import UsageProblem

if TYPE_CHECKING:
    from sessionlint.cli.project import Target
    from sessionlint.effects import Analysis
    from sessionlint.findings import Unresolved

_T = TypeVar("_T")
_TOPICS = ("sessions", "models", "entrypoints", "unresolved", "config", "files")


def command(
    topic: Annotated[
        str, typer.Argument(help=", ".join(_TOPICS) + ".", autocompletion=lambda: list(_TOPICS))
    ] = "sessions",
    path: Annotated[Optional[str], typer.Argument(help="The project, if not here.")] = None,  # noqa: UP045
    config: Annotated[Optional[str], typer.Option(help="Configuration file to use.")] = None,  # noqa: UP045
    isolated: Annotated[bool, typer.Option("--isolated", help="Use no configuration file.")] = False,
) -> int:
    """Show what is believed about the project: sessions, models, entry points, unresolved calls, options, files."""
    from sessionlint.cli.project import locate
    from sessionlint.config.errors import did_you_mean

    if topic not in _TOPICS:
        hint = did_you_mean(topic, _TOPICS) or "expected " + ", ".join(_TOPICS)
        raise UsageProblem(f"`{topic}` cannot be shown; {hint}")
    target = locate([path] if path else None, config, isolated)
    if topic == "config":
        text = config_text(target)
    elif topic == "files":
        text = _files(target)
    else:
        text = with_analysis(target, {"sessions": _sessions, "models": _models}.get(topic) or _TABLES[topic])
    sys.stdout.write(text)
    return CLEAN


def with_analysis(target: Target, work: Callable[[Analysis], _T]) -> _T:
    """Analyse the project and hand the result to ``work`` on the same deep stack."""
    from sessionlint.cli.project import request
    from sessionlint.extraction import with_deep_stack
    from sessionlint.run import NothingToCheck, analyse, gather

    try:
        project = gather(request(target))
    except NothingToCheck as nothing:
        raise UsageProblem(str(nothing)) from nothing
    return with_deep_stack(lambda: work(analyse(project)))


def config_text(target: Target) -> str:
    """Every option with its value, where it comes from and what it means; valid TOML."""
    import json

    from sessionlint.config.settings import Kind, options

    out = [f"# from {target.loaded.file}\n" if target.loaded.file else "# no configuration file: all defaults\n"]
    for option in options():
        value = getattr(target.loaded.settings, option.attribute)
        if option.kind in (Kind.CODES_BY_GLOB, Kind.VERSIONS):
            inside = ", ".join(f"{json.dumps(key)} = {json.dumps(rest)}" for key, rest in value)
            shown = "{ " + inside + " }" if inside else "{}"
        else:
            shown = json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
        origin = "set" if option.name in target.loaded.given else "default"
        choices = f" One of: {', '.join(option.choices)}." if option.choices else ""
        out.append(f"\n# {option.doc}{choices} ({origin})\n{option.name} = {shown}\n")
    return "".join(out)


def _files(target: Target) -> str:
    from sessionlint.cli.project import request
    from sessionlint.run import NothingToCheck, explain_paths

    try:
        return "".join(f"{file}: {fate}\n" for file, fate in explain_paths(request(target)))
    except NothingToCheck as nothing:
        raise UsageProblem(str(nothing)) from nothing


def _list(title: str, names: tuple[str, ...]) -> str:
    return f"{title} ({len(names)})\n" + "".join(f"  {name}\n" for name in names)


def _sessions(analysis: Analysis) -> str:
    beliefs = analysis.beliefs
    return (
        _list("session factories", beliefs.factories)
        + (_list("shared sessions", beliefs.shared_sessions) if beliefs.shared_sessions else "")
        + _list("session providers", beliefs.providers)
        + _list("units of work", beliefs.units_of_work)
        + _list("repositories", beliefs.repositories)
    )


def _models(analysis: Analysis) -> str:
    return _list("models", analysis.beliefs.models)


def entry_points_text(analysis: Analysis) -> str:
    """Every entry point: kind, name, place."""
    return "".join(f"{one.kind:<10} {one.name}  {one.place}\n" for one in analysis.entry_points())


def _unresolved(analysis: Analysis) -> str:
    """Calls by what they are called on, most calls first: one annotation there resolves them all."""
    if not analysis.unresolved:
        return "every call that receives a session is resolved\n"
    groups: dict[str, list[Unresolved]] = {}
    for one in analysis.unresolved:
        groups.setdefault(f"package {one.package}" if one.package else _receiver(one), []).append(one)
    out = []
    for receiver, calls in sorted(groups.items(), key=lambda row: (bool(row[1][0].package), -len(row[1]), row[0])):
        number = "1 call" if len(calls) == 1 else f"{len(calls)} calls"
        if calls[0].package:
            out.append(f"{number} of the {receiver}, which is not read: nothing is said of sessions given to it\n")
            out.extend(f"  {one.place} {one.call}\n" for one in calls)
            continue
        advice = f"through `{receiver}`: annotate it with its class where it is assigned or received"
        if receiver.endswith("()"):
            what = "call a method instead of a stored function" if "." in receiver else "import it by name"
            advice = f"of `{receiver}`: {what}, and it can be followed"
        out.append(f"{number} {advice}\n")
        out.extend(f"  {one.place} {one.call}: {one.reason}\n" for one in calls)
    return "".join(out)


def _receiver(one: Unresolved) -> str:
    """``self._bus`` of ``self._bus.publish()``; a plain ``save()`` stands for itself."""
    name = one.call.partition("(")[0]
    receiver = name.rpartition(".")[0]
    return f"{name}()" if receiver in ("", "self", "cls") else receiver


_TABLES: dict[str, Callable[[Analysis], str]] = {"entrypoints": entry_points_text, "unresolved": _unresolved}
