"""Hypothesis strategies for small programs, composed as text so that blanks and parentheses vary with the syntax."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

_NAMES = st.sampled_from(["a", "b", "session", "self", "имя", "été", "match", "_"])
_BLANKS = st.sampled_from(["", "", " ", "  "])
_ATOMS = st.one_of(
    _NAMES,
    st.sampled_from(["1", "0x1F", "1.5", "2j", "None", "True", "...", "'text'", "'ж'", "b'x'", "r'\\d'", "'a' 'b'"]),
    st.sampled_from(["'''two\nlines'''", "f'{a}'", "f'ж{a!r:>{b}}'", "'a' f'{a.b(c)}'", "[]", "{}", "()", "''"]),
)
_OPERATORS = st.sampled_from(
    ["+", "-", "*", "/", "//", "%", "@", "**", "<<", ">>", "&", "^", "|",
     "and", "or", "<", "<=", "==", "!=", ">", ">=", "is", "in", "not in", "is not", "if x else"]
)  # fmt: skip
_PREFIXES = st.sampled_from(["-", "~", "not ", "await "])


def _wider(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    some = st.lists(inner, min_size=1, max_size=3)
    form: Callable[..., st.SearchStrategy[str]] = st.builds
    return st.one_of(
        form(lambda x, b: f"({b}{x}{b})", inner, _BLANKS),
        form(lambda x, op, y: f"({x} {op} {y})", inner, _OPERATORS, inner),
        form(lambda x, op, y: f"({x}\n  {op}  # why\n  {y})", inner, _OPERATORS, inner),
        form(lambda p, x: f"({p}{x})", _PREFIXES, inner),
        form(lambda x, b, n: f"({x}){b}.{b}{n}", inner, _BLANKS, _NAMES),
        form(lambda n, xs, b: f"{n}({b}{f'{b},{b}'.join(xs)}{b})", _NAMES, some, _BLANKS),
        form(
            lambda n, x, k, y, b: f"{n}({x}, *{y}{b}, {k}{b}={b}{x}, **{y}{b},{b})",
            _NAMES,
            inner,
            _NAMES,
            inner,
            _BLANKS,
        ),
        form(lambda n, x, b: f"{n}{b}[{b}{x}{b}]", _NAMES, inner, _BLANKS),
        form(lambda n, x, y, b: f"{n}[{b}{x}{b}:{b}{y}{b}, {x}{b}]", _NAMES, inner, inner, _BLANKS),
        form(lambda xs, b: f"[{b}{', '.join(xs)}{b},{b}]", some, _BLANKS),
        form(lambda xs, b: f"({b}{', '.join(xs)}{b},{b})", some, _BLANKS),
        form(lambda xs, b: f"{{{b}{', '.join(xs)}{b}}}", some, _BLANKS),
        form(lambda x, y, b: f"{{{x}{b}:{b}{y}, **{x}}}", inner, inner, _BLANKS),
        form(lambda x, n, y, b: f"[{b}{x} for {n} in {y} if {x}{b}]", inner, _NAMES, inner, _BLANKS),
        form(lambda n, x, m, y, b: f"{n}({b}{x} for {m} in {y}{b})", _NAMES, inner, _NAMES, inner, _BLANKS),
        form(lambda x, n, y: f"{{{x}: {y} async for {n}, {n} in {y}}}", inner, _NAMES, inner),
        form(lambda n, x: f"(lambda {n}, *rest, k={x}: {x})", _NAMES, inner),
        form(lambda n, x: f"({n} := {x})", st.sampled_from(["a", "имя"]), inner),
        form(lambda x: f"(yield {x})", inner),
        form(lambda x: f"(yield from {x})", inner),
    )


EXPRESSIONS = st.recursive(_ATOMS, _wider, max_leaves=6)
_TARGETS = st.one_of(
    _NAMES,
    st.sampled_from(["a.b", "a[0]", "(a, b)", "[a, *имя]", "(a)", "a.b[c].d", "a, *b"]),
)
_PATTERNS = st.sampled_from(
    ["_", "1", "-1 | 2", "[a, *_]", "(a, b)", "{'k': a, **rest}", "A(x=1, y=[_])", "a.b as c", "a, *b", "(None)", "'ж'"]
)

_SIMPLE = st.one_of(
    EXPRESSIONS,
    st.builds("{} = {}".format, _TARGETS, EXPRESSIONS),
    st.builds("{} = {} = {}".format, _TARGETS, _TARGETS, EXPRESSIONS),
    st.builds("{} += {}".format, st.sampled_from(["a", "a.b", "имя[0]"]), EXPRESSIONS),
    st.builds("{}: {} = {}".format, st.sampled_from(["a", "a.b", "имя[0]"]), EXPRESSIONS, EXPRESSIONS),
    st.builds("return {}".format, EXPRESSIONS),
    st.builds("raise {} from {}".format, EXPRESSIONS, EXPRESSIONS),
    st.builds("assert {}, {}".format, EXPRESSIONS, EXPRESSIONS),
    st.builds("del {}".format, _TARGETS.filter(lambda target: "*" not in target)),
    st.sampled_from(
        ["pass", "break", "continue", "return", "raise", "import a.b as c, d", "from ..a import (b as c, d,)"]
    ),
    st.sampled_from(["global a, b", "nonlocal имя", "from . import *", "x = yield", "x = *a, b"]),
)
_ENDINGS = st.sampled_from(["\n", "\n", " ;\n", "  # why\n", ";pass\n", "\n\n", "\n# between\n"])


def _block(body: list[str], indent: str) -> str:
    # Lines inside brackets and strings take the indentation along, which changes the strings but no syntax.
    return "".join(f"{indent}{line}\n" if line else "\n" for line in "".join(body).splitlines())


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    body = st.builds(_block, st.lists(inner, min_size=1, max_size=2), st.sampled_from(["  ", "    ", "\t"]))
    x, t, n = EXPRESSIONS, _TARGETS, _NAMES
    maybe_async = st.sampled_from(["", "async "])
    return st.one_of(
        st.builds("if {}:\n{}".format, x, body),
        st.builds("if {}:\n{}elif {}:\n{}else:\n{}".format, x, body, x, body, body),
        st.builds("while {}:\n{}else:\n{}".format, x, body, body),
        st.builds("{}for {} in {}:\n{}".format, maybe_async, t, x, body),
        st.builds("{}with {} as a, {}:\n{}".format, maybe_async, x, x, body),
        st.builds("with (\n  {} as b,  # why\n  {}\n):\n{}".format, x, n, body),
        st.builds("try:\n{}except {} as e :\n{}else:\n{}finally:\n{}".format, body, x, body, body, body),
        st.builds("try:\n{}except:\n{}".format, body, body),
        st.builds("@{}\n{}def {}(a, /, b: {} = 1, *c, d={}, **e) -> {}:\n{}".format, x, maybe_async, n, x, x, x, body),
        st.builds("@a.b\nclass {}({}, k={}):\n{}".format, n, x, x, body),
        st.builds(
            lambda subject, pattern, guard, body: (
                f"match {subject}:\n" + _block([f"case {pattern} if {guard}:\n{body}", f"case _:\n{body}"], "  ")
            ),
            x,
            _PATTERNS,
            x,
            body,
        ),
    )


_STATEMENTS = st.recursive(st.builds("{}{}".format, _SIMPLE, _ENDINGS), _compound, max_leaves=5)
PROGRAMS = st.builds("".join, st.lists(_STATEMENTS, min_size=1, max_size=4))
