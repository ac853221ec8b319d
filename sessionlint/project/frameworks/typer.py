"""Typer, Click and their kin: commands, groups and callbacks of a command line.

Source: https://typer.tiangolo.com/ and https://click.palletsprojects.com/
"""

from __future__ import annotations

from sessionlint.project.frameworks.shape import Framework

TYPER = Framework(
    packages=frozenset({"typer", "click", "asyncclick", "rich_click", "cyclopts", "fire"}),
    decorators=dict.fromkeys(("command", "group", "callback", "result_callback", "default"), "command"),
    calls={"typer.run": {0: "command"}, "cyclopts.run": {0: "command"}, "fire.Fire": {0: "command"},
           "add_command": {0: "command"}},
)  # fmt: skip
