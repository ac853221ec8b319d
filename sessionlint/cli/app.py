"""Find the command, hand its words to typer, and turn every failure into one message and an exit code.

Knows the commands by name only; each lives in its own file and loads what it needs when called.
"""

from __future__ import annotations

import difflib
import errno
import importlib
import os
import sys
from pathlib import Path
from typing import NamedTuple

from sessionlint.cli import CLEAN, INTERNAL, USAGE
from sessionlint.config.errors import ConfigErrors, did_you_mean

COMMANDS = (
    "check",
    "fix",
    "migrate",
    "baseline",
    "explain",
    "rules",
    "show",
    "trace",
    "init",
    "scaffold",
    "diagnose",
    "completion",
)
"""In the order of the help; a command ``x`` is the function ``command`` of ``sessionlint.cli.x``."""


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class UsageProblem(Exception):
    """The user asked for something that cannot be; the message says what and what to do instead."""


def run(words: list[str]) -> int:
    """Run the command that ``words`` name; gives the exit code. Errors are printed to stderr."""
    try:
        return _dispatch(words)
    except UsageProblem as problem:
        return _say(f"error: {problem}", USAGE)
    except ConfigErrors as errors:
        return _say(str(errors), USAGE)
    except (BrokenPipeError, KeyboardInterrupt):
        raise
    except Exception as error:
        if os.environ.get("SESSIONLINT_DEBUG") == "1":
            raise
        if isinstance(error, OSError) and error.errno in _FULL:
            return _say(f"error: cannot write: {error.strerror}", USAGE)
        return _say(f"internal error: {_describe(error)}\nSESSIONLINT_DEBUG=1 shows the traceback", INTERNAL)


def _say(text: str, code: int) -> int:
    sys.stderr.write(text + "\n")
    return code


def _describe(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" ({Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno})" if trace else ""
    return f"{type(error).__name__}: {error}{where}"


def _dispatch(words: list[str]) -> int:
    if os.environ.get("_SESSIONLINT_COMPLETE") or words[:1] in (["--help"], ["-h"], ["--install-completion"]):
        return _typer(COMMANDS, words, "sessionlint")
    if words[:1] == ["--show-completion"]:
        return _typer(COMMANDS, words, "sessionlint")
    if words and words[0] in COMMANDS:
        return _typer((words[0],), words[1:], f"sessionlint {words[0]}")
    if words and not words[0].startswith("-") and not os.path.exists(words[0]):
        hint = did_you_mean(words[0], COMMANDS)
        raise UsageProblem(f"`{words[0]}` is no command and no file or folder{'; ' + hint if hint else ''}")
    return _typer(("check",), words, "sessionlint check")


def _typer(names: tuple[str, ...], words: list[str], title: str) -> int:
    import typer

    app = typer.Typer(
        name="sessionlint",
        help="Static analyser of SQLAlchemy session and commit usage. Without a command: check.",
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=len(names) > 1,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for name in names:
        module = importlib.import_module(f"sessionlint.cli.{name}")
        app.command(name, context_settings={"help_option_names": ["-h", "--help"]})(module.command)
    try:
        result = app(words, prog_name=title, standalone_mode=False)
    except typer.Exit as leave:
        return int(leave.exit_code)
    except typer.Abort as abort:
        raise KeyboardInterrupt from abort
    except Exception as error:
        # typer carries its own copy of click since 0.26, so its errors are known by what they can do.
        if not hasattr(error, "format_message"):
            raise
        raise UsageProblem(_usage_message(error, title)) from error
    return result if isinstance(result, int) else CLEAN


class Described(NamedTuple):
    """A command for its documentation: its help, and the spellings and meaning of each argument and option."""

    help: str
    rows: tuple[tuple[tuple[str, ...], str], ...]


def described(name: str) -> Described:
    """What typer knows about a command; the same words that its ``--help`` shows."""
    import typer

    app = typer.Typer(rich_markup_mode=None, add_completion=False)
    module = importlib.import_module(f"sessionlint.cli.{name}")
    app.command(name)(module.command)
    rows = []
    for parameter in typer.main.get_command(app).params:
        is_option = any(word.startswith("-") for word in parameter.opts)
        spelled = (*parameter.opts, *parameter.secondary_opts) if is_option else ((parameter.name or "").upper(),)
        if "--help" not in spelled:
            rows.append((tuple(spelled), str(getattr(parameter, "help", None) or "")))
    return Described((module.command.__doc__ or "").strip(), tuple(rows))


def _usage_message(error: Exception, title: str) -> str:
    text: str = error.format_message().rstrip(".")  # type: ignore[attr-defined]
    option = getattr(error, "option_name", None)
    if option and "Did you mean" not in text and (context := getattr(error, "ctx", None)) is not None:
        known = [name for parameter in context.command.params for name in parameter.opts]
        close = difflib.get_close_matches(option, known, n=1)
        text += f"; did you mean `{close[0]}`?" if close else ""
    return f"{text[:1].lower()}{text[1:]}\nsee `{title} --help`"
