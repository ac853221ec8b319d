"""Takes parameters out of a definition, with their annotations, defaults and the comma that goes with them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from sessionlint.findings import Step
from sessionlint.fixes.document import Document
from sessionlint.fixes.edits import Edit
from sessionlint.fixes.sources import Refused


def drop_parameters(
    document: Document, node: ast.FunctionDef | ast.AsyncFunctionDef, names: Iterable[str]
) -> Iterator[Edit]:
    """Edits that remove some parameters. Raises ``Refused`` where the layout does not let them go cleanly."""
    wanted = set(names)
    arguments = node.args
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults = dict(zip(reversed(plain), reversed(arguments.defaults), strict=False))
    keyword = {a: d for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d is not None}
    every = [*plain, *arguments.kwonlyargs]
    gone = [a for a in every if a.arg in wanted]
    if arguments.kwonlyargs and all(a in gone for a in arguments.kwonlyargs) and arguments.vararg is None:
        raise Refused("all keyword-only parameters would go", Step(document.place(gone[0]), "here"))
    for argument in gone:
        start = document.start(argument)
        end = document.end(defaults.get(argument) or keyword.get(argument) or argument)
        after = re.match(r"[ \t]*,[ \t]*(\r?\n[ \t]*)?", document.text[end:])
        comment = re.match(r"[ \t]*,?[ \t]*#", document.text[end:])
        if comment:
            raise Refused("a comment stands behind a parameter that would go", Step(document.place(argument), "here"))
        if after and argument is not every[-1]:
            yield Edit(document.file, start, end + after.end(), "")
        elif after and after.group(1):
            line = document.line_start(document.line_of(start))
            yield Edit(document.file, line, document.line_start(document.line_of(end) + 1), "")
        else:
            before = re.search(r",?\s*$", document.text[:start])
            keep_from = before.start() if before and all(a in gone for a in every[every.index(argument) :]) else start
            yield Edit(document.file, keep_from, end, "")
