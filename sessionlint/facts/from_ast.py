"""The fast front end: what the running interpreter can parse, parsed by ``ast``; never imports libcst."""

from __future__ import annotations

import ast
import warnings

from sessionlint.facts.syntax_problem import SyntaxProblem


def parse(source: bytes) -> ast.Module:
    """The tree of a file's bytes; byte order mark, PEP 263 cookie and line ends are ``ast.parse``'s own business.

    Raises ``SyntaxProblem`` for everything that keeps the bytes from becoming a tree.
    """
    try:
        return _quietly(source)
    except SyntaxError as error:
        # Python 3.12 and later report a null byte here, without its place; earlier ones as ValueError.
        raise _null_byte(source) or _from_syntax_error(source, _in_characters(source, error)) from error
    except ValueError as error:
        raise _null_byte(source) or SyntaxProblem(1, 1, str(error)) from error
    except (RecursionError, MemoryError) as error:
        # CPython's parser says MemoryError when its own stack is used up.
        raise SyntaxProblem(1, 1, "nested too deeply to be parsed") from error


def _quietly(source: bytes | str) -> ast.Module:
    with warnings.catch_warnings():
        # "invalid escape sequence" and "is with a literal" are no business of ours, and would go to stderr.
        warnings.simplefilter("ignore")
        return ast.parse(source)


def _in_characters(source: bytes, error: SyntaxError) -> SyntaxError:
    """The same error with its column in characters: up to Python 3.12 some are in bytes when bytes are parsed."""
    if source.isascii():
        return error
    from sessionlint.facts.decoding import decoded

    try:
        _quietly(decoded(source))
    except SyntaxError as told_of_text:
        return told_of_text
    except (ValueError, RecursionError, MemoryError):
        return error
    return error


def _from_syntax_error(source: bytes, error: SyntaxError) -> SyntaxProblem:
    from sessionlint.facts.syntax_place import in_its_line

    message = error.msg or "invalid syntax"
    if message.startswith("too many statically nested") or "recursion" in message:
        message = "nested too deeply to be parsed"
    return in_its_line(source, SyntaxProblem(error.lineno or 1, error.offset or 1, message), error.text)


def _null_byte(source: bytes) -> SyntaxProblem | None:
    at = source.find(b"\0")
    if at < 0:
        return None
    before = source[:at].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
    return SyntaxProblem(before.count(b"\n") + 1, column, "file contains a null byte")
