"""``sessionlint explain``: what a rule means, by code, by name, or by the text of a runtime error."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from sessionlint.cli import CLEAN

if TYPE_CHECKING:
    from sessionlint.rules.registry import Rule

_FIX = {"none": "no fix", "unsafe": "a fix exists, but only with --unsafe-fixes", "safe": "a safe fix exists"}


def _known(incomplete: str) -> list[str]:
    """Codes and names that a shell offers."""
    from sessionlint.rules import registry

    words = [word for pair in registry.codes_and_names().items() for word in pair]
    return [word for word in words if word.startswith(incomplete)]


def command(
    what: Annotated[list[str], typer.Argument(help="A code, a name, or the text of an error.", autocompletion=_known)],
) -> int:
    """Say what a rule means, why it matters and what to do."""
    from sessionlint.cli.app import UsageProblem
    from sessionlint.config.errors import did_you_mean
    from sessionlint.rules import registry

    asked = " ".join(what).strip()
    rules = registry.all_rules()
    for rule in rules:
        if asked.upper() == rule.code or asked.lower() == rule.name:
            sys.stdout.write(page(rule))
            return CLEAN
    causes = list(_about_error(asked, rules))
    if causes:
        sys.stdout.write(f"Rules that speak of this error:\n{''.join(_line(rule) for rule in causes)}")
        return CLEAN
    hint = did_you_mean(asked, [word for rule in rules for word in (rule.code, rule.name)])
    raise UsageProblem(f"no rule has the code or name `{asked}`, and none speaks of such an error; {hint or _LIST}")


_LIST = "see `sessionlint rules`"


def page(rule: Rule) -> str:
    """The rule's documentation as Markdown."""
    default = "on by default" if rule.default else "off by default"
    examples = "".join(
        f"\n## {title}\n" + "".join(f"\n```python\n{text.strip()}\n```\n" for text in texts)
        for title, texts in (("Examples", rule.bad), ("Accepted", rule.good))
        if texts
    )
    head = f"# {rule.name} ({rule.code})\n\n{rule.severity.value}, {default}; {_FIX[rule.fix.value]}\n"
    return f"{head}\n{rule.doc.strip()}\n{examples}"


def _about_error(asked: str, rules: Iterable[Rule]) -> Iterable[Rule]:
    """Rules whose page names an exception class that the text names."""
    classes = [word for word in re.findall(r"\b[A-Z][a-z]+[A-Z]\w+", asked) if len(word) > 7]
    return [rule for rule in rules if any(word in rule.doc for word in classes)]


def _line(rule: Rule) -> str:
    return f"  {rule.code}  {rule.name}: {rule.summary}\n"
