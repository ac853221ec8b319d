"""The reference front end: libcst reads every syntax from 3.0 on, whatever interpreter runs it; lowered to ``ast``.

The lowering is a table from libcst node class to a small function (``from_cst_table``), filled by the families
``from_cst_expressions``, ``from_cst_strings``, ``from_cst_statements`` and ``from_cst_patterns``.  Structure and
positions are those ``ast.parse`` would give for the same text; ``tests/facts/test_front_ends_agree.py`` proves it.
"""

from __future__ import annotations

import ast
import re
import sys
import threading
import warnings

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from sessionlint.facts import from_cst_patterns, from_cst_strings  # noqa: F401  (they fill the tables)
from sessionlint.facts.from_cst_source import CstSource, prepare
from sessionlint.facts.from_cst_statements import statements
from sessionlint.facts.from_cst_table import Lowering
from sessionlint.facts.syntax_problem import SyntaxProblem

# A thread of our own has the same room on every platform, however deep the caller stands: macOS gives threads 512 kB,
# Windows processes 1 MB, and before 3.11 Python calls use up the C stack too.  ``prepare`` bounds the depth to what
# fits; it must fit, for a RecursionError inside libcst's nested context managers takes exponential time to unwind.
_STACK_BYTES = 128 * 1024 * 1024
_DEEPEST_RECURSION = 20_000
_STACK_SIZE_LOCK = threading.Lock()

_PARSER_ERROR = re.compile(r"parser error: error at (\d+):(\d+): expected (.*)", re.DOTALL)


def parse(source: bytes) -> ast.Module:
    """The tree of a file's bytes as ``ast.parse`` would build it; raises ``SyntaxProblem`` if libcst cannot read it."""
    prepared = prepare(source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _with_room(prepared)
    except (cst.ParserSyntaxError, cst.CSTValidationError) as error:
        raise _from_libcst(error, prepared) from error
    except (RecursionError, MemoryError) as error:
        raise SyntaxProblem(1, 1, "nested too deeply to be parsed") from error
    except BaseException as error:
        # CSTLogicError is no Exception of its own kind, and a panic of libcst's native parser no Exception at all.
        if type(error).__name__ not in ("CSTLogicError", "PanicException"):
            raise
        raise SyntaxProblem(1, 1, f"libcst failed on this file: {error}") from error


def reads_past(source: bytes, ast_problem: SyntaxProblem, cst_problem: SyntaxProblem) -> bool:
    """Whether libcst reads what ``ast`` stumbled over, both having refused the file for different reasons.

    Asked by handing libcst the lines up to the last top-level statement before its own complaint.
    """
    if cst_problem.line <= ast_problem.line:
        return False
    lines = source.splitlines(keepends=True)
    for end in range(min(cst_problem.line, len(lines)) - 1, ast_problem.line - 1, -1):
        if re.match(rb"[A-Za-z_@\x80-\xff]", lines[end]) and not re.match(
            rb"(?:elif|else|except|finally)\b", lines[end]
        ):
            try:
                parse(b"".join(lines[:end]))
            except SyntaxProblem:
                return False
            return True
    return False


def _lowered(source: CstSource) -> ast.Module:
    module = cst.parse_module(source.text)
    ranges = MetadataWrapper(module, unsafe_skip_copy=True).resolve(PositionProvider)
    lowering = Lowering(source.original, module.code, ranges)
    return ast.Module(body=statements(lowering, module.body), type_ignores=[])


def _with_room(source: CstSource) -> ast.Module:
    """``_lowered`` on a stack that is deep enough; what it raises is raised here."""
    outcome: list[ast.Module | BaseException] = []

    def work() -> None:
        try:
            outcome.append(_lowered(source))
        except BaseException as error:
            outcome.append(error)

    worker = threading.Thread(target=work, name="libcst", daemon=True)
    with _STACK_SIZE_LOCK:
        recursion_before, stack_before = sys.getrecursionlimit(), threading.stack_size(_STACK_BYTES)
        sys.setrecursionlimit(max(recursion_before, _DEEPEST_RECURSION))
        try:
            worker.start()
            worker.join()
        finally:
            threading.stack_size(stack_before)
            sys.setrecursionlimit(recursion_before)
    (result,) = outcome
    if isinstance(result, BaseException):
        raise result
    return result


def _from_libcst(error: cst.ParserSyntaxError | cst.CSTValidationError, source: CstSource) -> SyntaxProblem:
    """libcst's complaint in our words; its parser reports where the token *after* the offending one begins."""
    if isinstance(error, cst.CSTValidationError):
        return SyntaxProblem(1, 1, str(error))
    found = _PARSER_ERROR.search(error.message)
    if found is None:
        return SyntaxProblem(error.raw_line, error.raw_column + 1, error.message.replace("tokenizer error: ", ""))
    line, column = int(found[1]), int(found[2])
    lines = source.text.split("\n")
    before = lines[line - 1][:column].rstrip() if line <= len(lines) else ""
    while not before and line > 1:
        line -= 1
        before = lines[line - 1].rstrip() if line <= len(lines) else ""
    token = re.search(r"(?:\w+|\W)$", before)
    column = (token.start() if token else 0) + 1
    return SyntaxProblem(line, column, "expected an indented block" if found[3] == "INDENT" else "invalid syntax")
