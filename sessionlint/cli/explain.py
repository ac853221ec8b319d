"""``sessionlint explain``: what a rule means, by code, by name, or by the text of a runtime error."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Annotated

import typer

from sessionlint.cli import CLEAN

if TYPE_CHECKING:
    from sessionlint.rules.registry import Rule


def _known(incomplete: str) -> list[str]:
    """Codes and names that a shell offers."""
    from sessionlint.rules import registry

    words = [word for pair in registry.codes_and_names().items() for word in pair]
    return [word for word in words if word.startswith(incomplete)]


def command(
    what: Annotated[
        list[str],
        typer.Argument(help="A code, a name, or an error's text; `-` reads it from stdin.", autocompletion=_known),
    ],
) -> int:
    """Say what a rule means, why it matters and what to do."""
    from sessionlint.cli.app import UsageProblem
    from sessionlint.config.errors import did_you_mean
    from sessionlint.rules import registry

    asked = (sys.stdin.read() if what == ["-"] else " ".join(what)).strip()
    rules = registry.all_rules()
    for rule in rules:
        if asked.upper() == rule.code or asked.lower() == rule.name:
            sys.stdout.write(page(rule))
            return CLEAN
    answer = about_error(asked, rules)
    if answer:
        sys.stdout.write(answer)
        return CLEAN
    hint = did_you_mean(asked, [word for rule in rules for word in (rule.code, rule.name)]) if len(asked) < 80 else ""
    shown = asked if len(asked) < 80 else f"{asked[:77]}..."
    raise UsageProblem(f"no rule has the code or name `{shown}`, and none speaks of such an error; {hint or _LIST}")


_LIST = "see `sessionlint rules`"
#: exception classes that many different failures share
_GENERAL_ERRORS = frozenset(
    {
        "RuntimeError", "TypeError", "ValueError", "AttributeError", "AssertionError", "ValidationError",
        "InterfaceError", "OperationalError", "ProgrammingError", "DatabaseError", "StatementError",
        "InvalidRequestError", "InternalError",
    }
)  # fmt: skip


def page(rule: Rule) -> str:
    """The rule's documentation as Markdown."""
    from sessionlint.fixes.repairable import repairable

    default = "on by default" if rule.default else "off by default"
    examples = "".join(
        f"\n## {title}\n" + "".join(f"\n```python\n{text.strip()}\n```\n" for text in texts)
        for title, texts in (("Examples", rule.bad), ("Accepted", rule.good))
        if texts
    )
    fix = "`sessionlint fix` knows repairs" if rule.code in repairable() else "no fix"
    head = f"# {rule.name} ({rule.code})\n\n{rule.severity.value}, {default}; {fix}\n"
    return f"{head}\n{rule.doc.strip()}\n{examples}"


def about_error(asked: str, rules: Sequence[Rule]) -> str:
    """What an error text means and which rules find its cause; empty where nothing is known of it."""
    from sessionlint.rules.runtime_errors import recognised

    by_code = {rule.code: rule for rule in rules}
    told: set[str] = set()
    parts = []
    for error in recognised(asked):
        causes = [by_code[code] for code in error.rules if code in by_code and code not in told]
        told.update(rule.code for rule in causes)
        meaning = fill(f"{error.name}: {error.means}", 100)
        parts.append(f"{meaning}\n{''.join(_line(rule) for rule in causes)}")
    spoken_of = [rule for rule in _spoken_of(asked, rules) if rule.code not in told]
    if spoken_of:
        parts.append(f"Rules that speak of this error:\n{''.join(_line(rule) for rule in spoken_of)}")
    return "\n".join(parts)


def _spoken_of(asked: str, rules: Iterable[Rule]) -> Iterable[Rule]:
    """Rules whose page names an exception class that the text names; those that say nothing by their name left out."""
    named = re.findall(r"\b[A-Z]\w+(?:Error|Exception|Warning|Violation|Greenlet)\b", asked)
    classes = [word for word in named if word not in _GENERAL_ERRORS]
    return [rule for rule in rules if any(word in rule.doc for word in classes)]


def _line(rule: Rule) -> str:
    return f"  {rule.code}  {rule.name}: {rule.summary}\n"
