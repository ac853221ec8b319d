"""``python -m sessionlint.runtime.sanitizer [options] script.py [words]``: run one program under the sanitizer.

Violations go to stderr when the program ends (and as JSON to ``--json FILE``); the exit code is the program's own,
or 1 where the program succeeded and something was met.
"""

from __future__ import annotations

import argparse
import json
import os
import runpy
import sys
import traceback
from pathlib import Path

from .options import SanitizerOptions
from .sanitizer import Sanitizer
from .violations import Violation


def as_json(violations: list[Violation]) -> str:
    """The list in the shape of ``check --output-format json``."""
    rows = [
        {
            "code": one.code,
            "name": one.name,
            "message": one.message,
            "file": one.spot.file,
            "line": one.spot.line,
            "function": one.spot.function,
            "count": one.count,
            "trace": [
                {
                    "file": step.spot.file,
                    "line": step.spot.line,
                    "function": step.spot.function,
                    "message": step.message,
                }
                for step in one.trace
            ],
        }
        for one in violations
    ]
    return json.dumps({"findings": rows}, indent=2, ensure_ascii=False)


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m sessionlint.runtime.sanitizer", description=__doc__)
    parser.add_argument("--root", type=Path, help="files below are the project's; default: the current folder")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the violations there")
    parser.add_argument("--tests", action="store_true", help="report in test files too")
    parser.add_argument("--exclude", action="append", default=[], metavar="GLOB", help="say nothing about these files")
    parser.add_argument("--max-transaction-ms", type=float, default=SanitizerOptions.max_transaction_ms)
    parser.add_argument("--max-foreign-wait-ms", type=float, default=SanitizerOptions.max_foreign_wait_ms)
    parser.add_argument("script", type=Path)
    parser.add_argument("words", nargs=argparse.REMAINDER)
    chosen = parser.parse_args(words)
    if not chosen.script.is_file():
        parser.error(f"no such file: {chosen.script}")
    try:
        options = SanitizerOptions(
            root=chosen.root or Path.cwd(),
            tests=chosen.tests,
            exclude=tuple(chosen.exclude),
            max_transaction_ms=chosen.max_transaction_ms,
            max_foreign_wait_ms=chosen.max_foreign_wait_ms,
        )
    except ValueError as error:
        parser.error(str(error))
    sys.argv = [str(chosen.script), *chosen.words]
    sys.path.insert(0, str(chosen.script.resolve().parent))
    leave = os._exit

    def report(code: int) -> int:
        if chosen.json:
            chosen.json.write_text(as_json(sanitizer.violations), encoding="utf-8")
        for one in sanitizer.violations:
            print(one.render(), file=sys.stderr)
        return code or (1 if sanitizer.violations else 0)

    def leave_after_report(code: int) -> None:
        leave(report(code))

    with Sanitizer(options) as sanitizer:
        os._exit = leave_after_report  # type: ignore[assignment]  # programs that leave so would say nothing
        try:
            runpy.run_path(str(chosen.script), run_name="__main__")
            code = 0
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else int(left.code is not None)
            if isinstance(left.code, str):
                print(left.code, file=sys.stderr)
        except Exception:
            # A program that fails is the one whose sessions are most worth a look.
            traceback.print_exc()
            code = 1
        finally:
            os._exit = leave
    return report(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
