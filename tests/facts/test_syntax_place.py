"""A syntax error is reported at the token it is about, in characters, and an open bracket as an open bracket."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessionlint.facts import syntax
from sessionlint.facts.syntax import SyntaxProblem
from sessionlint.facts.syntax_place import in_its_line, unclosed_bracket


def problem_of(text: str) -> SyntaxProblem:
    with pytest.raises(SyntaxProblem) as caught:
        syntax.parse(text.encode())
    return caught.value


# «» stands before the bracket that has to be reported.
_NEVER_CLOSED = {
    "def": "def save(db):\n    db.commit«»(\n\n\ndef other(:\n    pass\n",
    "def, closed later": "db.commit«»(a,\n\ndef other(): pass\n)\n",
    "the innermost": "f(a, «»[1, (2),\ndef g(): pass\n])\n",
    "class": "x = «»[\nclass A(B): pass\n]\n",
    "return": "def f():\n    x = [1,«»(\n    return y)]\n",
    "import": "x = «»(1,\nimport a\n)\n",
    "from": "x = «»(1\nfrom a import b\n)\n",
    "decorator": "x = «»{1: 2,\n@a\ndef f(): pass\n}\n",
    "async def": "x = «»(1,\nasync def f(): pass\n)\n",
    "async with": "x = «»(1,\nasync with f(): pass\n)\n",
    "with": "f«»(a,\nwith b:\n    c)\n",
    "for after an expression": "f«»(a\nfor b in c:\n    d)\n",
    "for after a comma": "f«»(a,\nfor b in c:\n    d)\n",
    "if after an expression": "f«»(a\nif b:  # why\n    d)\n",
    "if after a comma": "f«»(a,\nif b:\n    d)\n",
    "try": "f«»(\ntry:\n    d\n)\n",
    "except": "try:\n    f«»(\nexcept: a)\n",
    "raise": "f«»(\n    raise a)\n",
    "brackets in strings": "f(')', '''(\n[''')\nx = f«»(\n    ')', '''\n(''',\n\ndef g(): pass\n)\n",
    "brackets in comments": "f()  # (\nx = f«»(  # [\n    # )\ndef g(): pass\n)\n",
    "letters beyond ASCII": "имя = 'жж'; имя.запись«»('ж',\n\ndef g(): pass\n)\n",
    "tabs": "if a:\n\tb.\tc«»(\n\treturn)\n",
    "windows line ends": "x = 1\r\ny = «»(\r\n\r\nreturn)\r\n",
    "old mac line ends": "x = 1\ry = «»(\r\rreturn)\r",
    "byte order mark": "\ufeffx = «»(\n\nreturn)\n",
    "behind newer syntax": "type X = int\ny = «»(\n\ndef f(:\n    pass\n",
}


@pytest.mark.parametrize("text", _NEVER_CLOSED.values(), ids=_NEVER_CLOSED)
def test_open_bracket_before_a_statement(text: str):
    before, after = text.split("«»")
    lines = before.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    problem = problem_of(before + after)
    expected = (len(lines), len(lines[-1]) + 1, f"'{after[0]}' was never closed")
    assert (problem.line, problem.column, problem.message) == expected


_NOT_A_BRACKET = {
    "on the same line": ("f(return)\n", 1, 3),
    "a comprehension after a comma": ("x = [a,\n    for b in c]\n", 1, 6),
    "an async comprehension after a comma": ("x = [a,\n    async for b in c]\n", 1, 6),
    "a condition after a comma": ("x = [a,\n    if b else c]\n", 2, 5),
    "no bracket": ("x =\ndef f(): pass\n", 1, 4),
    "a closed bracket": ("f(\n)\nelse: a\n", 3, 1),
    "a bracket in a string": ("'''(\n''' \nelse: a\n", 3, 1),
    "a word that only looks like it": ("x = (\n    definite else)\n", 2, 14),
}


@pytest.mark.parametrize(("text", "line", "column"), _NOT_A_BRACKET.values(), ids=_NOT_A_BRACKET)
def test_other_errors_stay_where_they_are(text: str, line: int, column: int):
    problem = problem_of(text)
    assert (problem.line, problem.column) == (line, column)
    assert "never closed" not in problem.message


# «» stands before the token that is wrong.
_COLUMNS = {
    "unexpected indent": "a\n    «»b\n",
    "unexpected indent, tab": "if a:\n\tb\n\t\t«»c\n",
    "unindent": "if a:\n        b\n    «»c = d\n",
    "unindent, tabs": "if a:\n\t\tb\n\t«»c = d\n",
    "inconsistent tabs": "if a:\n        b\n\t«»c\n",
    "no block": "def f():\n«»x = 1\n",
    "after letters beyond ASCII": "имя = ж «»жж\n",
    "after tabs and letters beyond ASCII": "if a:\n\tимя =\t'ж' «»2\n",
    "astral letters": "x = '🦊' «»2\n",
    "string left open": "ж = ж + «»'a\n",
    "long string left open": "ж = «»'''a\nb\n",
    "bad letter": "ж = «»“a”\n",
    "wrong bracket": "имя = (ж, «»]\n",
    "surplus bracket": "return «»)\n",
    "f-string expression": "ж = 'ж', f'жж {«»a b}'\n",
    "f-string over lines": "ж = f'''\nж {«»a b}\n'''\n",
    "escape": "ж = ж, «»'\\x'\n",
    "letters in bytes": "ж = ж, «»b'ж'\n",
    "behind newer syntax": "type X = int\nжж = ж «»1\n",
    "behind newer syntax, an operator": "type X = int\nжж = ж <<«»< 1\n",
}
_MOVED = {"f-string over lines"} if sys.version_info >= (3, 12) else set()  # 3.12 counts from the string's first line


@pytest.mark.parametrize("name", [name for name in _COLUMNS if name not in _MOVED])
def test_column_is_that_of_the_token(name: str):
    before, after = _COLUMNS[name].split("«»")
    problem = problem_of(before + after)
    lines = before.split("\n")
    assert (problem.line, problem.column) == (len(lines), len(lines[-1]) + 1), problem.message


@pytest.mark.parametrize("text", ["f'{a!z}'", "f'{}'", "f'{a'", "f'{a}}'"])
def test_a_fault_of_an_f_string_lies_inside_it(text: str):
    problem = problem_of(f"x = 'ж', {text}\n")
    assert 10 <= problem.column <= 9 + len(text)


def test_only_a_generic_complaint_is_replaced():
    problem = SyntaxProblem(3, 1, "expected ':'")
    assert unclosed_bracket(b"f(\n\ndef g(): pass\n", problem) is problem


@settings(max_examples=200, deadline=None)
@given(
    text=st.text(alphabet="([{}])\"'f#\\\n\t :=ж@if def async for return", max_size=60),
    line=st.integers(1, 6),
    column=st.integers(1, 20),
    message=st.sampled_from(["invalid syntax", "unexpected indent", "f-string: invalid syntax", "(unicode error) x"]),
    quoted=st.sampled_from(["", "(ж)\n", "f(\n"]),
)
def test_any_text_and_any_place(text: str, line: int, column: int, message: str, quoted: str):
    problem = SyntaxProblem(line, column, message)
    for found in (unclosed_bracket(text.encode(), problem), in_its_line(text.encode(), problem, quoted)):
        assert found.line >= 1 and found.column >= 1
        assert found.message == message or "never closed" in found.message
