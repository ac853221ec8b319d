"""Bytes of one file to one ``ast.Module``, by the fast front end where it can and by libcst where it cannot.

The running interpreter reads nothing newer than itself: Python 3.11 fails on ``type X = int``, which libcst reads.
libcst costs twelve times as much and 140 ms to import, so it is imported only once ``ast`` has failed.
"""

from __future__ import annotations

import ast
import re

from sessionlint.facts import from_ast
from sessionlint.facts.syntax_problem import SyntaxProblem

__all__ = ["SyntaxProblem", "as_utf8", "parse"]

#: type parameters, ``type X``, ``except A, B``, ``except*``, ``lazy import``, unpacking in brackets
_NEWER_STATEMENT = re.compile(
    rb"^[ \t]*(?:(?:class|def|async[ \t]+def)[ \t]+\w+[ \t]*\[|type[ \t]+\w|except[ \t]*\*|except[ \t]+[\w.]+[ \t]*,"
    rb"|lazy[ \t])|[\[{(][ \t\r\n]*\*",
    re.MULTILINE,
)
#: an f-string or t-string, whose inside newer versions read more freely
_FORMATTED = re.compile(rb"\b(?:[rR]?[fFtT]|[fFtT][rR])['\"]")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def parse(source: bytes) -> ast.Module:
    """The tree of a file's bytes, whichever front end can read them; raises ``SyntaxProblem`` when neither can.

    The interpreter's complaint is worded better than libcst's and is the one raised, unless it only complains of
    syntax newer than itself while the real fault stands further down. A bracket that is open where the next statement
    begins is told as such.
    """
    try:
        return from_ast.parse(source)
    except SyntaxProblem as problem:
        ast_problem = problem
    from sessionlint.facts.syntax_place import unclosed_bracket

    if not _may_be_newer(source, ast_problem):
        raise unclosed_bracket(source, ast_problem)
    from sessionlint.facts import from_cst

    try:
        return from_cst.parse(source)
    except SyntaxProblem as problem:
        cst_problem = unclosed_bracket(source, problem)
    ast_problem = unclosed_bracket(source, ast_problem)
    if from_cst.reads_past(source, ast_problem, cst_problem):
        raise cst_problem from ast_problem
    raise ast_problem


def _may_be_newer(source: bytes, problem: SyntaxProblem) -> bool:
    """Whether syntax newer than the interpreter could be what it complains of; libcst is not loaded otherwise."""
    if _NEWER_STATEMENT.search(source) or "f-string" in problem.message or "unterminated" in problem.message:
        return True
    lines = source.splitlines()
    near = lines[max(problem.line - 2, 0) : problem.line + 1]
    return any(_FORMATTED.search(line) for line in near)


def as_utf8(source: bytes) -> bytes:
    """The UTF-8 bytes that ``parse``'s columns count in: without byte order mark, re-encoded where a cookie says so.

    Never raises: bytes that are no text come back as they are.
    """
    if source.startswith(_BYTE_ORDER_MARK):
        return source[len(_BYTE_ORDER_MARK) :]
    if b"coding" not in b"".join(source[:1_000].splitlines()[:2]):
        return source
    from sessionlint.facts.decoding import decoded

    try:
        return decoded(source).encode("utf-8", "surrogatepass")
    except SyntaxProblem:
        return source
