"""Files that are hardly files: whatever the bytes, a tree or a ``SyntaxProblem``, never anything else."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sessionlint.facts import from_ast, from_cst, syntax
from sessionlint.facts.from_cst_source import columns_between
from sessionlint.facts.syntax import SyntaxProblem
from tests.facts.tree_difference import first_difference

_FRONT_ENDS = pytest.mark.parametrize(
    "parse", [from_ast.parse, from_cst.parse, syntax.parse], ids=["ast", "cst", "any"]
)
Parse = Callable[[bytes], ast.Module]

_READABLE = {
    "empty": b"",
    "only a line end": b"\n",
    "only a comment, no line end": b"# why",
    "only a byte order mark": b"\xef\xbb\xbf",
    "byte order mark": "\ufeffимя = 'ж' + a\n".encode(),
    "windows line ends": b"if a:\r\n    b = '''x\r\ny'''\r\nc\r\n",
    "old mac line ends": b"if a:\r    b\rc\r",
    "mixed line ends": b"a\r\nb\nc\rd",
    "tabs": b"if a:\n\tif b:\n\t\tc\n\td\n",
    "tabs and spaces": b"if a:\n\tb\nif c:\n        d\n",
    "latin-1 cookie": "# -*- coding: latin-1 -*-\nété = 'é' + à\n".encode("latin-1"),
    "cp1251 cookie": "# vim: set fileencoding=cp1251 :\nимя = 'значение' + другое\n".encode("cp1251"),
    "cookie on line two": "#!/usr/bin/python\n# coding=koi8-r\nимя = 'ж' + a\n".encode("koi8-r"),
    "utf-8 cookie after byte order mark": "\ufeff# coding: utf-8\nимя = a\n".encode(),
    "form feed before a statement": b"\x0cx = 1\n",
    "form feed on its own line": b"if a:\n  b\n\x0c\nc\n",
    "form feed before indentation": b"if a:\n\x0c    x\n    y\n",
    "form feed before a definition": b"if a:\n  x\n\x0cdef f(): pass\n",
    "form feeds, many": b"\x0c\x0c \x0cx = 1\n \x0c\x0cy = 2\n",
    "form feed inside": b"x\x0c=\x0c1\n(a,\n\x0cb)\n",
    "form feed in a string": b"x = '''\n\x0c a\x0c'''; y = '\x0c'\n",
    "backslashes": b"a = \\\n  b + \\\n\\\n  c\nif a and \\\n b: c\n",
    "emoji and astral letters": "x = '🦊' + 𝐚 + f'{ы}🦊' + z\n".encode(),
    "a blank libcst forgets": "try: a\nexcept (ж, B) : c; 'ж'; d\n".encode(),
    "unicode line separators": "x = 'a\u2028b\u2029\x85c' + d\ny\n".encode(),
    "trailing blanks": b"x = 1   \n   \n",
    "no line end after a block": b"if a:\n    b",
    "comment after a block, no line end": b"if a:\n    b\n    # why",
    "indented comment first": b"   # why\nx\n",
}


@pytest.mark.parametrize("source", _READABLE.values(), ids=_READABLE)
def test_readable_and_the_same_to_both(source: bytes):
    difference = first_difference(from_ast.parse(source), from_cst.parse(source))
    assert difference is None, difference


_UNREADABLE = {
    "null byte": (b"a = 1\nb = \x002\n", 2, 5, "null byte"),
    "null byte after windows line ends": (b"a\r\nb\r\n\x00", 3, 1, "null byte"),
    "no utf-8": (b"a = 1\nb = '\xff'\n", 2, 6, "not utf-8 text: byte 0xff"),
    "unknown encoding": (b"# coding: klingon\na\n", 1, None, "klingon"),
    "bad indentation": (b"a\n  b\n", 2, None, "unexpected indent"),
    "open bracket": (b"a\nb = (1,\nc = 2\n", 2, 5, "never closed"),
    "open string": (b"a\nb = 'c\n", 2, 5, "unterminated string"),
    "open long string": (b"a\nb = '''c\n", 2, 5, "unterminated"),
    "python 2": (b"print 'a'\n", 1, 1, "print"),
    "merge conflict": (b"a\n<<<<<<< HEAD\nb\n", 2, 1, "invalid syntax"),
    "template": (b"import {{ cookiecutter.name }}.x\n", 1, 8, "invalid syntax"),
    "surplus backslash": (b"a = \\", 1, None, ""),
    "mixed bytes and text": (b"a = 'b' b'c'\n", 1, None, "bytes"),
    "letters in bytes": ("a = b'ж'\n".encode(), 1, None, "bytes"),
    "no such character": (b"a = '\\N{no such character}'\n", 1, None, "unicode"),
    "assignment to a call": (b"f() = 1\n", 1, 1, "assign"),
}


@pytest.mark.parametrize(("source", "line", "column", "words"), _UNREADABLE.values(), ids=_UNREADABLE)
def test_unreadable_says_where_and_why(source: bytes, line: int | None, column: int | None, words: str):
    with pytest.raises(SyntaxProblem) as caught:
        syntax.parse(source)
    problem = caught.value
    assert line in (None, problem.line)
    assert column in (None, problem.column)
    assert words in problem.message
    with pytest.raises(SyntaxProblem):
        from_cst.parse(source)


@_FRONT_ENDS
def test_problem_is_one_clean_line(parse: Parse):
    for source, *_ in _UNREADABLE.values():
        with pytest.raises(SyntaxProblem) as caught:
            parse(source)
        problem = caught.value
        assert problem.line >= 1 and problem.column >= 1
        assert problem.message.isprintable() and problem.message == problem.message.strip() and problem.message


def test_long_file():
    source = b"".join(b"def f%d(session):\n    session.add(%d)\n\n\n\n" % (n, n) for n in range(10_000))
    assert source.count(b"\n") == 50_000
    assert len(syntax.parse(source).body) == 10_000


def test_long_file_by_libcst():
    source = b"".join(b"def f%d(s):\n    s.add(%d)\n\n\n\n" % (n, n) for n in range(1_000)) + b"type X = int\n"
    assert len(from_cst.parse(source).body) == 1_001


_DEEP = {
    "terms": "+".join(["a"] * 900),
    "conditions": " if a else ".join(["a"] * 400),
    "powers": "**".join(["a"] * 400),
    "nots": "not " * 900 + "a",
    "lambdas": "lambda: " * 900 + "a",
    "strings": "x = (" + "\n".join(["'a'"] * 900) + ")",
    "f-strings": "x = (" + "\n".join(["f'{a}'"] * 900) + ")",
    "elifs": "if a: b\n" + "elif c: d\n" * 490,
    "elifs in elifs": "if a: b\n" + "elif c: d\n" * 240 + "else:\n  if a: b\n" + "  elif c: d\n" * 240,
    "attributes": "a" + ".b" * 900,
    "calls": "a" + "()" * 900,
    "chained calls": "a" + ".b(c)" * 400,
    "brackets": "(" * 90 + "a" + ")" * 90,
    "arguments": "f(*[{a: " * 30 + "a" + "}])" * 30,
    "blocks": "".join(" " * n + "if a:\n" for n in range(18)) + " " * 18 + "a",
}


@pytest.mark.parametrize("text", _DEEP.values(), ids=_DEEP)
@_FRONT_ENDS
def test_deep_is_read_or_refused(parse: Parse, text: str):
    try:
        assert isinstance(parse(text.encode()), ast.Module)
    except SyntaxProblem as problem:
        assert "nested too deeply" in problem.message


@pytest.mark.parametrize("text", _DEEP.values(), ids=_DEEP)
def test_deep_is_the_same_to_both(text: str):
    limit = sys.getrecursionlimit()
    try:
        lowered, expected = from_cst.parse(text.encode()), from_ast.parse(text.encode())
    except SyntaxProblem:
        if sys.version_info[:2] != (3, 12):
            raise
        pytest.skip("Python 3.12 has a limit of its own for calls through C, which nobody can raise")
    assert sys.getrecursionlimit() == limit
    sys.setrecursionlimit(20_000)  # for the comparison
    try:
        assert first_difference(expected, lowered) is None
    finally:
        sys.setrecursionlimit(limit)


_ABYSMAL = {
    "brackets": "'(' * 100_000",
    "closed brackets": "'(' * 3_000 + 'a' + ')' * 3_000",
    "square brackets": "'[' * 100_000",
    "subscripts": "'a[' * 20_000",
    "calls in calls": "'f(' * 3_000 + ')' * 3_000",
    "terms": "'+'.join(['a'] * 100_000)",
    "minus": "'-' * 50_000 + 'a'",
    "not": "'not ' * 50_000 + 'a'",
    "lambda": "'lambda:' * 50_000 + 'a'",
    "attributes": "'a' + '.b' * 50_000",
    "calls": "'a' + '()' * 50_000",
    "conditions": "' if a else '.join(['a'] * 20_000)",
    "powers": "'**'.join(['a'] * 20_000)",
    "comparisons": "'<'.join(['a'] * 20_000)",
    "elifs": "'if a: b\\n' + 'elif c: d\\n' * 20_000",
    "elifs in elifs": "'if a: b\\n' + 'elif c: d\\n' * 499 + 'else:\\n if a: b\\n' + ' elif c: d\\n' * 499",
    "indentation": "'\\n'.join(' ' * n + 'if a:' for n in range(500))",
    "f-strings": '"f\'{" * 3_000 + "a" + "}\'" * 3_000',
    "strings": "\"'a' \" * 50_000",
    "loops of a comprehension": "'[a' + ' for a in b' * 20_000 + ']'",
    "decorators": "'@a\\n' * 5_000 + 'def f(): pass'",
    "assignments": "'a=' * 5_000 + 'b'",
    "cases": "'match a:\\n case ' + '|'.join(['b.c'] * 20_000) + ': d'",
    "patterns": "'match a:\\n case ' + '[' * 3_000 + ']' * 3_000 + ': d'",
    "statements on one line": "'a;' * 5_000",
}


@pytest.mark.parametrize("text", _ABYSMAL.values(), ids=_ABYSMAL)
def test_abysmal_never_ends_the_process(text: str):
    # In a process of its own: what goes wrong here is a segmentation fault of a native parser.
    program = (
        "from sessionlint.facts import syntax, from_cst\n"
        f"source = ({text}).encode()\n"
        "for parse in (from_cst.parse, syntax.parse):\n"
        "    try:\n        parse(source)\n"
        "    except syntax.SyntaxProblem:\n        pass\n"
        "print('alive')\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert ran.stdout == "alive\n", ran.stderr[-2_000:]


def test_newer_syntax_is_read_whatever_interpreter_runs():
    tree = syntax.parse(b"type X = int\ntry: a\nexcept B, C: d\n")
    assert len(tree.body) == 2


def test_fault_behind_newer_syntax_is_the_one_reported():
    with pytest.raises(SyntaxProblem) as caught:
        syntax.parse(b"try: a\nexcept B, C: d\n\n\ndef f():\n    pass\n\n\nx = 1 2\n")
    assert caught.value.line == 9


def test_broken_for_both_is_told_in_the_words_of_ast():
    with pytest.raises(SyntaxProblem) as caught:
        syntax.parse(b"a = (1\n\n\ndef f():\n    pass\n\n\nx = 1 2\n")
    assert (caught.value.line, caught.value.column, caught.value.message) == (1, 5, "'(' was never closed")


def test_column_counts_characters_not_bytes():
    with pytest.raises(SyntaxProblem) as caught:
        syntax.parse("имя = 'ж' $\n".encode())
    assert caught.value.column == 11


def test_libcst_is_not_imported_for_what_ast_reads():
    program = "import sys; from sessionlint.facts import syntax; syntax.parse(b'a = 1'); print('libcst' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


@pytest.mark.parametrize("name", ["byte order mark", "latin-1 cookie", "cp1251 cookie", "cookie on line two"])
def test_as_utf8_is_what_columns_count_in(name: str):
    source = _READABLE[name]
    lines = syntax.as_utf8(source).splitlines()
    for node in ast.walk(syntax.parse(source)):
        if isinstance(node, ast.Name):
            assert lines[node.lineno - 1][node.col_offset : node.end_col_offset].decode() == node.id


def test_as_utf8_leaves_the_unreadable_alone():
    assert syntax.as_utf8(b"# coding: klingon\n") == b"# coding: klingon\n"
    assert syntax.as_utf8(b"# coding: utf-8\n\xff") == b"# coding: utf-8\n\xff"


def test_columns_between():
    assert columns_between("except (A) :", "except (A):") == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11]
    assert columns_between("\f    x", "    \fx") is not None
    assert columns_between("a = b", "a = c") is None


@settings(max_examples=200, deadline=None)
@given(source=st.one_of(st.binary(max_size=60), st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace"))))
@example(b"\xff\xfea\x00")
@example(b"\\\n")
@example(b"\x0c")
@example(b"f'{")
@example(b"'\\")
@_FRONT_ENDS
def test_any_bytes(parse: Parse, source: bytes):
    try:
        assert isinstance(parse(source), ast.Module)
    except SyntaxProblem as problem:
        assert problem.line >= 1
