"""Print what each front end costs per MB of source: ``python bench/front_ends.py DIRECTORY [MB]``.

CPU milliseconds, best of three passes, over the files both front ends can read; stops collecting at MB (default 2).
"""

from __future__ import annotations

import ast
import gc
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sessionlint.facts import from_ast, from_cst
from sessionlint.facts.syntax_problem import SyntaxProblem

_PASSES = 3


def main(arguments: list[str]) -> int:
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    enough = float(arguments[1]) * 1e6 if len(arguments) > 1 else 2e6
    sources = list(_readable(Path(arguments[0]), enough))
    megabytes = sum(map(len, sources)) / 1e6
    if not sources:
        print("no file that both front ends can read", file=sys.stderr)
        return 1
    print(f"{len(sources)} files, {megabytes:.2f} MB, Python {sys.version.split()[0]}")
    for name, parse in (("ast", from_ast.parse), ("libcst", from_cst.parse)):
        print(f"{name:7}{1_000 * min(_seconds(parse, sources) for _ in range(_PASSES)) / megabytes:9.0f} ms/MB")
    return 0


def _readable(directory: Path, enough: float) -> Iterator[bytes]:
    collected = 0
    for path in sorted(directory.rglob("*.py")):
        if collected >= enough:
            return
        if not path.is_file():
            continue
        source = path.read_bytes()
        try:
            from_ast.parse(source)
            from_cst.parse(source)
        except SyntaxProblem:
            continue
        collected += len(source)
        yield source


def _seconds(parse: Callable[[bytes], ast.Module], sources: list[bytes]) -> float:
    gc.collect()
    gc.disable()
    try:
        start = time.process_time()
        for source in sources:
            parse(source)
        return time.process_time() - start
    finally:
        gc.enable()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
