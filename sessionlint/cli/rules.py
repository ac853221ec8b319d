"""``sessionlint rules``: all rules, one line each."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from sessionlint.cli import CLEAN


def command(
    output_format: Annotated[str, typer.Option(help="text or json.")] = "text",
) -> int:
    """List all rules with severity, fix and summary."""
    from sessionlint.cli.app import UsageProblem
    from sessionlint.fixes.repairable import repairable
    from sessionlint.rules import registry

    rules = registry.all_rules()
    if output_format == "json":
        import json

        rows = [
            {
                "code": rule.code,
                "name": rule.name,
                "severity": rule.severity.value,
                "default": rule.default,
                "fix": rule.code in repairable(),
                "summary": rule.summary,
            }
            for rule in rules
        ]
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return CLEAN
    if output_format != "text":
        raise UsageProblem(f"`{output_format}` is no value of --output-format; expected text or json")
    name_width = max((len(rule.name) for rule in rules), default=0)
    for rule in rules:
        default = "on " if rule.default else "off"
        fix = "fix" if rule.code in repairable() else "   "
        sys.stdout.write(
            f"{rule.code}  {rule.name:<{name_width}}  {rule.severity.value:<7}  {default}  {fix}  {rule.summary}\n"
        )
    return CLEAN
