"""``sessionlint init``: write a commented ``[tool.sessionlint]``; tell an existing ruff section about our codes.

Adds text and never replaces any: comments and formatting of the file survive.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import tomli

from sessionlint.cli import CLEAN
from sessionlint.cli.app import UsageProblem
from sessionlint.config.locate import locate as locate_keys
from sessionlint.source.write import replace_file

if TYPE_CHECKING:
    from sessionlint.cli.project import Target
    from sessionlint.findings import Beliefs

_LONGEST = 100
"""Characters of a default that is still written; the few longer ones would drown what matters."""

_EXTERNAL = 'external = ["SES"]'


def command() -> int:
    """Write a commented [tool.sessionlint] from what was found here."""
    from sessionlint.cli.project import locate

    target = locate(None, isolated=True)
    path = Path(target.root) / "pyproject.toml"
    own = Path(target.root) / "sessionlint.toml"
    if own.exists():
        raise UsageProblem(f"{own} exists already; nothing was changed")
    text = _read(path)
    parsed = _parse(path, text)
    if "sessionlint" in _table(parsed, "tool"):
        raise UsageProblem(f"{path} has a [tool.sessionlint] section already; nothing was changed")
    with_ruff = _edited(text, tell_ruff)
    new = _edited(with_ruff, lambda old: _with_section(old, section(_beliefs(target))))
    _check_only_added(path, parsed, new)
    told = [path] if with_ruff != text else []
    changed = {path: new}
    for name in ("ruff.toml", ".ruff.toml"):
        other = path.with_name(name)
        if other.exists():
            before = _read(other)
            after = _edited(before, lambda old: tell_ruff(old, ()))
            _check_only_added(other, _parse(other, before), after)
            if after != before:
                told.append(other)
                changed[other] = after
    for file, content in changed.items():
        try:
            replace_file(str(file), content.encode("utf-8"))
        except OSError as error:
            raise UsageProblem(f"cannot write {file}: {error.strerror or error}") from error
    sys.stderr.write(f"wrote [tool.sessionlint] to {path}\n")
    for file in told:
        sys.stderr.write(f'told ruff in {file.name} to keep `# noqa: SES...` comments (lint.external = ["SES"])\n')
    return CLEAN


def _edited(text: str, edit: Callable[[str], str]) -> str:
    """``edit`` applied to a text whose line ends are kept."""
    new = edit(text.replace("\r\n", "\n"))
    return new.replace("\n", "\r\n") if "\r\n" in text else new


def _with_section(text: str, added: str) -> str:
    return text.rstrip("\n") + ("\n\n" if text.strip() else "") + added


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise UsageProblem(f"cannot read {path}: {error}") from error


def _parse(path: Path, text: str) -> dict[str, object]:
    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise UsageProblem(f"{path} is no valid TOML ({error}); nothing was changed") from error


def _table(parsed: dict[str, object], name: str) -> dict[str, object]:
    value = parsed.get(name)
    return value if isinstance(value, dict) else {}


def _check_only_added(path: Path, old: dict[str, object], new_text: str) -> None:
    """What stood in the file before must still be there with the same meaning."""
    new = _parse(path, new_text)
    if not _contains(new, old):
        raise UsageProblem(f"{path} cannot be extended without changing it; add [tool.sessionlint] by hand")


def _contains(new: object, old: object) -> bool:
    if isinstance(old, dict) and isinstance(new, dict):
        return all(key in new and _contains(new[key], value) for key, value in old.items())
    if isinstance(old, list) and isinstance(new, list):
        return len(new) >= len(old) and all(value in new for value in old)
    return new == old


def _beliefs(target: Target) -> Beliefs:
    """What the analysis found; an unfinished or empty project simply gives less to write."""
    from sessionlint.cli.show import with_analysis
    from sessionlint.findings import Beliefs

    try:
        return with_analysis(target, lambda analysis: analysis.beliefs)
    except UsageProblem:
        return Beliefs()


def section(beliefs: Beliefs) -> str:
    """The section to append: every option commented out, with what was found beside it."""
    import json

    from sessionlint.config.settings import Kind, options

    found = {
        "session-factories": beliefs.factories,
        "session-providers": beliefs.providers,
        "unit-of-work-classes": beliefs.units_of_work,
    }
    out = ["[tool.sessionlint]\n"]
    for option in options():
        if option.kind in (Kind.CODES_BY_GLOB, Kind.VERSIONS):
            shown = "{}"
        else:
            default = option.default
            shown = json.dumps(list(default) if isinstance(default, tuple) else default)
        if len(shown) > _LONGEST:
            continue
        out.append(f"# {option.doc}\n")
        if found.get(option.name):
            out.append(f"# Found by itself: {', '.join(found[option.name])}\n")
        out.append(f"# {option.name} = {shown}\n")
    out.append("# All options with their defaults: sessionlint show config\n")
    return "".join(out)


def tell_ruff(text: str, prefix: tuple[str, ...] = ("tool", "ruff")) -> str:
    """``text`` with ``external = ["SES"]`` for ruff; unchanged when ruff has no section here or knows already.

    ``prefix`` is the path of ruff's own table: empty in a ``ruff.toml``.
    """
    ruff = _parse(Path("pyproject.toml"), text)
    for name in prefix:
        ruff = _table(ruff, name)
    if prefix and not ruff:
        return text
    lint = _table(ruff, "lint")
    external = lint.get("external")
    if isinstance(external, list):
        return text if "SES" in external else _extend_external(text, (*prefix, "lint", "external"))
    header = _header((*prefix, "lint")).search(text)
    if header:
        return _after(text, header, _EXTERNAL)
    if not lint:
        title = ".".join((*prefix, "lint"))
        return f"{text.rstrip()}\n\n[{title}]\n{_EXTERNAL}\n".lstrip("\n")
    if not prefix:
        return f"lint.{_EXTERNAL}\n{text}"
    header = _header(prefix).search(text)
    return _after(text, header, f"lint.{_EXTERNAL}") if header else text


def _header(path: tuple[str, ...]) -> re.Pattern[str]:
    """The line that opens a table."""
    inside = r"[ \t]*\.[ \t]*".join(path)
    return re.compile(rf"(?m)^[ \t]*\[[ \t]*{inside}[ \t]*\][^\n]*\n?")


def _after(text: str, header: re.Match[str], line: str) -> str:
    lead = "" if header[0].endswith("\n") else "\n"
    return text[: header.end()] + lead + line + "\n" + text[header.end() :]


def _extend_external(text: str, path: tuple[str, ...]) -> str:
    spot = locate_keys(text).values.get(path)
    if spot is None:
        return text
    lines = text.splitlines(keepends=True)
    line = lines[spot.line - 1]
    rest = line[spot.column :]
    comma = "" if rest.lstrip().startswith("]") else ", " if rest.strip() else ","
    lines[spot.line - 1] = line[: spot.column] + f'"SES"{comma}' + rest
    return "".join(lines)
