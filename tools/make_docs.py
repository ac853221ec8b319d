"""Write the pages that follow from the code: rules, options, commands, and the tables in README and CHANGELOG.

``make docs`` runs it; with ``--check`` it writes nothing and says what is out of date. What a person wrote is never
touched: in hand-written files only the text between ``<!-- generated: NAME -->`` and ``<!-- end -->`` is replaced.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from sessionlint import cli
from sessionlint.cli.app import COMMANDS, described
from sessionlint.cli.explain import page
from sessionlint.config.settings import Kind, Option, options
from sessionlint.fixes.repairable import repairable
from sessionlint.rules import registry
from sessionlint.rules.registry import Rule

ROOT = Path(__file__).parents[1]
HEAD = "<!-- Made by `make docs` from the code; edits here are lost. -->\n\n"
GROUPS = {
    "SES0": "About files and comments",
    "SES1": "Creation, ownership and lifetime of sessions",
    "SES2": "Who commits and who rolls back",
    "SES3": "Lost writes",
    "SES4": "Concurrency and async",
    "SES5": "Streams, requests and slow calls",
    "SES6": "Units of work",
}
EXIT_CODES = {
    "CLEAN": "nothing found at or above `--fail-on`; or the command did what it was asked",
    "FINDINGS": "findings at or above `--fail-on`; `--diff` would change something; `migrate` refused some",
    "USAGE": "wrong usage, bad configuration, a baseline that cannot be used, or nothing to check",
    "INTERNAL": "a fault of sessionlint; what the other rules found is still reported",
    "INTERRUPTED": "Ctrl-C",
}


def own_rules() -> list[Rule]:
    """The rules of this tool; installed rules of other packages are none of its documentation."""
    return [rule for rule in registry.all_rules() if rule.code in registry.own_codes_and_names()]


def rule_file(rule: Rule) -> str:
    """The page of a rule, below ``docs/rules``."""
    return f"{rule.code.lower()}-{rule.name}.md"


def rules_index() -> str:
    """The page that lists all rules."""
    out = [HEAD, "# Rules\n\n", "`sessionlint explain CODE` prints the page of a rule in a terminal.\n"]
    for prefix, title in groups():
        out.append(
            f"\n## {prefix}xx: {title}\n\n| rule | name | severity | fix | what it reports |\n|---|---|---|---|---|\n"
        )
        for rule in own_rules():
            if rule.code.startswith(prefix):
                off = "" if rule.default else " (off by default)"
                cells = (
                    rule.name,
                    rule.severity.value + off,
                    "yes" if rule.code in repairable() else "",
                    cell(rule.summary),
                )
                out.append(f"| [{rule.code}]({rule_file(rule)}) | {' | '.join(cells)} |\n")
    return "".join(out)


def fix(rule: Rule) -> str:
    """Whether `sessionlint fix` has repairs for a rule."""
    return "yes" if rule.code in repairable() else ""


def groups() -> Iterator[tuple[str, str]]:
    """Prefix and title of each group that has rules."""
    for prefix in sorted({rule.code[:4] for rule in own_rules()}):
        yield prefix, GROUPS.get(prefix, "Others")


def cell(text: str) -> str:
    """Text for a cell of a table."""
    return text.replace("|", "\\|")


def configuration() -> str:
    """The page of all options."""
    out = [
        HEAD,
        "# Configuration\n\n",
        "Options stand in `[tool.sessionlint]` of `pyproject.toml`, or at the top of `sessionlint.toml`; the nearest\n"
        "file upward counts. `--config FILE` names another one, `--isolated` uses none. `sessionlint init` writes a\n"
        "commented section, `sessionlint show config` prints what is in force.\n\n",
        "Mistakes are reported all at once, each with its line and the nearest known name, and end the run with exit\n"
        "code 2.\n",
    ]
    for option in options():
        out.append(f"\n## `{option.name}`\n\n{option.doc}\n\n")
        out.append(f"- type: {option.kind.value}\n- default: `{default_of(option)}`\n")
        if option.choices:
            out.append(f"- one of: {', '.join(f'`{choice}`' for choice in option.choices)}\n")
    return "".join(out)


def default_of(option: Option) -> str:
    """The default as TOML."""
    if option.kind in (Kind.CODES_BY_GLOB, Kind.VERSIONS):
        return "{}"
    return json.dumps(list(option.default) if isinstance(option.default, tuple) else option.default)


def commands() -> str:
    """The page of all commands, their options and the exit codes."""
    out = [
        HEAD,
        "# Commands\n\n",
        "`sessionlint` alone, and `sessionlint PATHS`, mean `sessionlint check`. Findings go to standard output, all\n"
        "else to standard error.\n\n## Exit codes\n\n| code | meaning |\n|---|---|\n",
        *(f"| {getattr(cli, name)} | {meaning} |\n" for name, meaning in EXIT_CODES.items()),
    ]
    for name in COMMANDS:
        command = described(name)
        out.append(f"\n## `sessionlint {name}`\n\n{command.help}\n\n")
        out.append("| argument or option | meaning |\n|---|---|\n")
        for words, text in command.rows:
            out.append(f"| {', '.join(f'`{word}`' for word in words)} | {cell(text)} |\n")
    return "".join(out)


def readme_table() -> str:
    """The rule table of the README."""
    rows = [
        f"| [{rule.code}](docs/rules/{rule_file(rule)}) | {rule.name} | {rule.severity.value} | {fix(rule)} |\n"
        for rule in own_rules()
    ]
    return "| rule | name | severity | fix |\n|---|---|---|---|\n" + "".join(rows)


def changelog_line(text: str) -> str:
    """The codes that no released section and no hand-written line of the changelog names."""
    written = set(re.findall(r"SES\d{3}", SECTION.sub("", text)))
    new = [rule.code for rule in own_rules() if rule.code not in written]
    return f"- New rules: {', '.join(new)}.\n" if new else ""


SECTION = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def with_sections(text: str) -> str:
    """A hand-written file with its generated sections brought up to date."""
    made = {"rules": readme_table, "codes": lambda: changelog_line(text)}
    return SECTION.sub(lambda match: match[1] + made[match[2]]() + match[3], text)


def wanted() -> dict[Path, str]:
    """Every file that follows from the code, with its text."""
    docs = ROOT / "docs"
    files = {docs / "rules" / rule_file(rule): HEAD + page(rule) for rule in own_rules()}
    files[docs / "rules" / "index.md"] = rules_index()
    files[docs / "configuration.md"] = configuration()
    files[docs / "commands.md"] = commands()
    for path in (ROOT / "README.md", ROOT / "CHANGELOG.md"):
        files[path] = with_sections(path.read_text(encoding="utf-8"))
    return files


def main(words: list[str]) -> int:
    """Write or check; gives the exit code."""
    files = wanted()
    left_over = {path for path in (ROOT / "docs" / "rules").glob("*.md") if path not in files}
    stale = [path for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    changed = sorted(path.relative_to(ROOT).as_posix() for path in (*stale, *left_over))
    if words == ["--check"]:
        for name in changed:
            sys.stderr.write(f"{name} is out of date: run `make docs`\n")
        return 1 if changed else 0
    if words:
        sys.stderr.write("usage: make_docs.py [--check]\n")
        return 2
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[path], encoding="utf-8", newline="\n")
    for path in left_over:
        path.unlink()
    sys.stderr.write("".join(f"wrote {name}\n" for name in changed))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
