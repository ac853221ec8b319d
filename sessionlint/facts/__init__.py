"""One file -> :class:`FileFacts`: pure, frozen, picklable, cached by content.

Reading order: ``shape`` (the form), ``builder`` (from a syntax tree to the form), ``syntax`` (from bytes to a syntax
tree, over the two front ends ``from_ast`` and ``from_cst``).
"""

from __future__ import annotations

from sessionlint.facts.shape import FileFacts, ParseProblem

__all__ = ["FileFacts", "ParseProblem", "extract"]


def extract(path: str, source: bytes) -> FileFacts | ParseProblem:
    """Facts of one file, or where and why it could not be parsed. Never raises for what a file may contain.

    ``path`` is relative to the project root with forward slashes and is carried through, not opened.
    """
    from sessionlint.facts import syntax
    from sessionlint.facts.builder import build

    try:
        tree = syntax.parse(source)
        return build(path, tree, syntax.as_utf8(source))
    except syntax.SyntaxProblem as problem:
        return ParseProblem(path, problem.line, problem.column, problem.message)
    except RecursionError:
        return ParseProblem(path, 1, 1, "nested too deeply to be analysed")
