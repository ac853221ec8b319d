"""The text of a file's bytes, as the interpreter itself would decode them; no syntax tree is made here."""

from __future__ import annotations

import io
import tokenize

from sessionlint.facts.syntax_problem import SyntaxProblem


def decoded(source: bytes) -> str:
    """The text of a file by its byte order mark or PEP 263 cookie; raises ``SyntaxProblem`` if it is no such text."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
    except SyntaxError as error:
        raise SyntaxProblem(1, 1, error.msg) from error
    try:
        return source.decode(encoding)
    except UnicodeDecodeError as error:
        line_start = source.rfind(b"\n", 0, error.start) + 1
        column = len(source[line_start : error.start].decode(encoding, "replace")) + 1
        message = f"not {encoding} text: byte 0x{source[error.start]:02x} {error.reason}"
        raise SyntaxProblem(source.count(b"\n", 0, error.start) + 1, column, message) from error
    except (UnicodeError, LookupError) as error:
        raise SyntaxProblem(1, 1, f"cannot be decoded as {encoding}") from error
